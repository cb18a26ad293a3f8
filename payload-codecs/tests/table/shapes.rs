//! Generates tables, and values that fit them.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What a generated field is.
#[derive(Clone, Debug)]
pub enum Shape {
    Number { signed: bool, width: u32, step: u32, places: u32, offset: i32, with_absent: bool },
    Exact { signed: bool, width: u32 },
    Float { width: u32 },
    Boolean { width: u32 },
    Named { width: u32, names: u8 },
    Flags { width: u32, flags: u8, named: bool },
    Bytes { length: u32 },
    Text { length: u32 },
    Constant { width: u32, number: u32 },
    Padding { width: u32 },
    Group { fields: Vec<Shape>, repeat: Times },
}

/// How often a generated group comes.
#[derive(Clone, Copy, Debug)]
pub enum Times {
    Once,
    Fixed(u8),
    Counted,
}

/// A generated message: fields, optional ones behind them, a last one that takes the rest, or parts.
#[derive(Clone, Debug)]
pub struct Layout {
    pub little: bool,
    pub fields: Vec<Shape>,
    pub tail: Tail,
}

/// What comes behind the fields of a generated message.
#[derive(Clone, Debug)]
pub enum Tail {
    Nothing,
    Optional(Vec<Shape>),
    Rest(Box<Shape>),
    Parts(Vec<Vec<Shape>>),
}

pub fn any_layout() -> impl Strategy<Value = Layout> {
    let tail = prop_oneof![
        Just(Tail::Nothing),
        vec(any_scalar(), 1..4).prop_map(Tail::Optional),
        any_rest().prop_map(|shape| Tail::Rest(Box::new(shape))),
        vec(vec(any_shape(), 0..4), 1..5).prop_map(Tail::Parts),
    ];
    (any::<bool>(), vec(any_shape(), 1..8), tail).prop_map(|(little, fields, tail)| Layout { little, fields, tail })
}

fn any_scalar() -> impl Strategy<Value = Shape> {
    prop_oneof![
        4 => (any::<bool>(), 2_u32..=32, 1_u32..1000, 0_u32..5, -1000_i32..1000, any::<bool>()).prop_map(
            |(signed, width, step, places, offset, with_absent)| {
                Shape::Number { signed, width, step, places, offset, with_absent }
            }
        ),
        2 => (any::<bool>(), 2_u32..=64).prop_map(|(signed, width)| Shape::Exact { signed, width }),
        1 => prop_oneof![Just(32), Just(64)].prop_map(|width| Shape::Float { width }),
        1 => (1_u32..=16).prop_map(|width| Shape::Boolean { width }),
        1 => (3_u32..=16, 1_u8..8).prop_map(|(width, names)| Shape::Named { width, names }),
        1 => (4_u32..=16, 1_u8..4, any::<bool>()).prop_map(|(width, flags, named)| Shape::Flags { width, flags, named }),
        1 => (1_u32..=16, any::<u32>()).prop_map(|(width, number)| Shape::Constant { width, number: number % (1 << width) }),
        1 => (1_u32..=16).prop_map(|width| Shape::Padding { width }),
    ]
}

fn any_run() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (1_u32..5).prop_map(|length| Shape::Bytes { length }),
        (1_u32..9).prop_map(|length| Shape::Text { length })
    ]
}

fn any_shape() -> impl Strategy<Value = Shape> {
    let times = prop_oneof![Just(Times::Once), (1_u8..4).prop_map(Times::Fixed), Just(Times::Counted)];
    let group = (vec(any_scalar(), 1..4), times).prop_map(|(fields, repeat)| Shape::Group { fields, repeat });
    prop_oneof![6 => any_scalar(), 1 => any_run(), 1 => group]
}

/// Bytes or a text of no length (0 stands for it), or a group that comes until the payload ends.
fn any_rest() -> impl Strategy<Value = Shape> {
    let group = vec(any_scalar(), 1..4).prop_map(|fields| Shape::Group { fields, repeat: Times::Once });
    prop_oneof![Just(Shape::Bytes { length: 0 }), Just(Shape::Text { length: 0 }), group]
}

/// A source of numbers for values, so that one seed gives all of a payload's.
pub struct Dice(pub u64);

impl Dice {
    /// SplitMix64 (public domain, Sebastiano Vigna).
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A message under construction: its fields in TOML, and the data of one payload.
struct Row<'a> {
    toml: String,
    data: Map<String, Value>,
    bits: u32,
    dice: &'a mut Dice,
    names: &'a mut u32,
}

impl Layout {
    /// The table in TOML, its message in the direction named, and data that it can encode.
    pub fn render(&self, direction: &str, seed: u64) -> (String, Map<String, Value>) {
        let (mut dice, mut names) = (Dice(seed), 0);
        let mut row = Row::new(&mut dice, &mut names);
        self.fields.iter().for_each(|shape| row.add(shape, ""));
        let mut tail = String::new();
        match &self.tail {
            Tail::Nothing => {}
            Tail::Optional(shapes) => row.add_optional(shapes),
            Tail::Rest(shape) => row.add_rest(shape),
            Tail::Parts(parts) => tail = row.add_parts(parts),
        }
        let endian = if self.little { "little" } else { "big" };
        let table = format!("endian = {endian:?}\n[[{direction}]]\nfields = [{}]\n{tail}", row.toml);
        (table, row.data)
    }
}

impl<'a> Row<'a> {
    fn new(dice: &'a mut Dice, names: &'a mut u32) -> Self {
        Self { toml: String::new(), data: Map::new(), bits: 0, dice, names }
    }

    fn name(&mut self) -> String {
        *self.names += 1;
        format!("f{}", self.names)
    }

    fn field(&mut self, toml: &str, bits: u32) {
        writeln!(self.toml, "{{ {toml} }},").unwrap();
        self.bits += bits;
    }

    fn fill_the_byte(&mut self) {
        let lacking = self.bits.next_multiple_of(8) - self.bits;
        if lacking > 0 {
            self.field(&format!("type = \"u{lacking}\""), lacking);
        }
    }

    fn show(&mut self, name: &str, value: Value, key: &str) -> String {
        self.data.insert(name.to_owned(), value);
        format!("name = {name:?}, {key}")
    }

    /// Adds a field with a value; `more` are keys it has besides.
    fn add(&mut self, shape: &Shape, more: &str) {
        match shape {
            Shape::Bytes { .. } | Shape::Text { .. } => self.add_run(shape, more),
            Shape::Group { fields, repeat } => self.add_group(fields, *repeat),
            _ => {
                let name = self.name();
                let (toml, bits) = self.scalar(shape, &name);
                self.field(&format!("{toml}{more}"), bits);
            }
        }
    }

    fn scalar(&mut self, shape: &Shape, name: &str) -> (String, u32) {
        match *shape {
            Shape::Number { signed, width, step, places, offset, with_absent } => {
                let raw = self.raw(signed, width);
                let unit = 10_i64.pow(places);
                let decimal = |number: i64| number as f64 / unit as f64;
                let (absent, value) = match with_absent {
                    true if raw == -1 || raw == (1 << width) - 1 => (", absent = -1", Value::Null),
                    true => (", absent = -1", json!(decimal(raw * i64::from(step) + i64::from(offset)))),
                    false => ("", json!(decimal(raw * i64::from(step) + i64::from(offset)))),
                };
                let (scale, offset) = (decimal(step.into()), decimal(offset.into()));
                let letter = if signed { 'i' } else { 'u' };
                let key = format!("type = \"{letter}{width}\", scale = {scale:?}, offset = {offset:?}{absent}");
                (self.show(name, value, &key), width)
            }
            Shape::Exact { signed: true, width } => {
                let value = json!(self.dice.next() as i64 >> (64 - width));
                (self.show(name, value, &format!("type = \"i{width}\"")), width)
            }
            Shape::Exact { signed: false, width } => {
                let value = json!(self.dice.next() >> (64 - width));
                (self.show(name, value, &format!("type = \"u{width}\"")), width)
            }
            Shape::Float { width } => {
                let (number, power) = (self.dice.next() as i32, self.dice.below(21) as i32 - 10);
                let number = f64::from(number) * 10_f64.powi(power);
                let shortest = if width == 32 { (number as f32).to_string() } else { number.to_string() };
                (self.show(name, json!(shortest.parse::<f64>().unwrap()), &format!("type = \"f{width}\"")), width)
            }
            Shape::Boolean { width } => {
                let value = json!(self.dice.below(2) == 1);
                (self.show(name, value, &format!("type = \"bool{width}\"")), width)
            }
            Shape::Named { width, names } => {
                let names: Vec<_> = (0..names).map(|raw| format!("\"{raw}\" = \"is {raw}\"")).collect();
                let value = json!(format!("is {}", self.dice.below(names.len() as u64)));
                (self.show(name, value, &format!("type = \"u{width}\", values = {{ {} }}", names.join(", "))), width)
            }
            Shape::Flags { width, flags, named } => (self.flags(name, width, flags, named), width),
            Shape::Constant { width, number } => (format!("type = \"u{width}\", equals = {number}"), width),
            Shape::Padding { width } => (format!("type = \"u{width}\""), width),
            Shape::Bytes { .. } | Shape::Text { .. } | Shape::Group { .. } => unreachable!("no scalar"),
        }
    }

    /// A raw number; one in eight is all ones, which is what absent numbers are.
    fn raw(&mut self, signed: bool, width: u32) -> i64 {
        let bits = if self.dice.below(8) == 0 { u64::MAX } else { self.dice.next() };
        if signed { bits as i64 >> (64 - width) } else { (bits >> (64 - width)) as i64 }
    }

    fn flags(&mut self, name: &str, width: u32, flags: u8, named: bool) -> String {
        let mut number = self.dice.next() >> (64 - width);
        let mut list = Vec::new();
        for bit in 0..flags {
            list.push(format!("{{ name = \"{name}_{bit}\", bit = {bit} }}"));
            self.data.insert(format!("{name}_{bit}"), json!(number >> bit & 1 == 1));
        }
        let key = format!("type = \"u{width}\", flags = [{}]", list.join(", "));
        if named { self.show(name, json!(std::mem::take(&mut number)), &key) } else { key }
    }

    fn add_run(&mut self, shape: &Shape, more: &str) {
        self.fill_the_byte();
        let name = self.name();
        let (kind, length, value) = match *shape {
            Shape::Bytes { length } => {
                let bytes = if length == 0 { self.dice.below(5) } else { length.into() };
                ("bytes", length, (0..bytes).map(|_| format!("{:02x}", self.dice.next() as u8)).collect())
            }
            Shape::Text { length } => {
                let characters = self.dice.below(u64::from(if length == 0 { 9 } else { length }) + 1);
                let any = |dice: &mut Dice| char::from(b'!' + dice.below(94) as u8);
                ("text", length, (0..characters).map(|_| any(self.dice)).collect::<String>())
            }
            _ => unreachable!("no run"),
        };
        let length_written = if length == 0 { String::new() } else { length.to_string() };
        let toml = self.show(&name, json!(value), &format!("type = \"{kind}{length_written}\"{more}"));
        self.field(&toml, length * 8);
    }

    fn add_group(&mut self, fields: &[Shape], repeat: Times) {
        let times = match repeat {
            Times::Once => return self.add_repeated(fields, None, 1),
            Times::Fixed(times) => return self.add_repeated(fields, Some(times.to_string()), times.into()),
            Times::Counted => self.dice.below(4),
        };
        let count = self.name();
        let toml = self.show(&count, json!(times), "type = \"u8\"");
        self.field(&toml, 8);
        self.add_repeated(fields, Some(format!("{count:?}")), times);
    }

    fn add_rest(&mut self, shape: &Shape) {
        match shape {
            Shape::Group { fields, .. } => {
                let times = self.dice.below(4);
                self.add_repeated(fields, Some("\"rest\"".to_owned()), times);
            }
            run => self.add_run(run, ""),
        }
    }

    fn add_repeated(&mut self, fields: &[Shape], repeat: Option<String>, times: u64) {
        self.fill_the_byte();
        let name = self.name();
        let first_name = *self.names;
        let (mut list, mut toml) = (Vec::new(), String::new());
        for _ in 0..times.max(1) {
            *self.names = first_name;
            let mut row = Row::new(self.dice, self.names);
            fields.iter().for_each(|shape| row.add(shape, ""));
            row.fill_the_byte();
            list.push(Value::Object(row.data));
            toml = row.toml;
        }
        list.truncate(times as usize);
        let key = format!("fields = [{}]", toml.replace('\n', " "));
        let (value, key) = match repeat {
            Some(repeat) => (Value::Array(list), format!("repeat = {repeat}, {key}")),
            None => (list.remove(0), key),
        };
        let toml = self.show(&name, value, &key);
        self.field(&toml, 0);
    }

    /// Fields of which the payload has the first few only.
    fn add_optional(&mut self, shapes: &[Shape]) {
        let kept = self.dice.below(shapes.len() as u64 + 1) as usize;
        for (index, shape) in shapes.iter().enumerate() {
            let before = self.data.clone();
            self.fill_the_byte();
            self.add(shape, ", optional = true");
            if index >= kept {
                self.data = before;
            }
        }
    }

    fn add_parts(&mut self, parts: &[Vec<Shape>]) -> String {
        let mut toml = String::from("tag = \"u8\"\nparts = [\n");
        for (index, shapes) in parts.iter().enumerate() {
            let tag = index * 37 % 256;
            let mut row = Row::new(self.dice, self.names);
            shapes.iter().for_each(|shape| row.add(shape, ""));
            let name = row.name();
            let chosen = index == 0 || row.dice.below(2) == 1;
            match row.data.is_empty() {
                true => {
                    writeln!(toml, "{{ tag = {tag}, name = {name:?} }},").unwrap();
                    row.data.insert(name, json!(true));
                }
                false => writeln!(toml, "{{ tag = {tag}, fields = [{}] }},", row.toml.replace('\n', " ")).unwrap(),
            }
            let data = row.data;
            if chosen {
                self.data.extend(data);
            }
        }
        toml + "]"
    }
}
