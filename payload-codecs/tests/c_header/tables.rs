//! Tables made up by dice, with everything a table can say.

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;

/// Dice that fall alike in every run.
pub struct Dice(pub TestRng);

/// A table: its fields are those of an uplink and of a downlink alike.
pub struct Table {
    pub little: bool,
    pub messages: Vec<Message>,
}

/// A message, on a port of its own.
pub struct Message {
    pub fields: Vec<Spec>,
    /// The bits of the tag, and what is behind it.
    pub tag: Option<usize>,
    pub parts: Vec<(u64, Vec<Spec>)>,
}

/// A field.
pub struct Spec {
    pub name: Option<String>,
    pub kind: Kind,
    pub at: Option<usize>,
    pub endian: Option<&'static str>,
    pub optional: bool,
}

/// What a field is.
pub enum Kind {
    Padding(usize),
    Constant {
        bits: usize,
        raw: u64,
    },
    Number(Number),
    Values {
        bits: usize,
        names: Vec<u64>,
    },
    Boolean(usize),
    /// So many bits; perhaps only from -1 to 1.
    Float {
        bits: usize,
        limited: bool,
    },
    Flags {
        bits: usize,
        flags: Vec<(String, usize)>,
    },
    Bytes(Option<usize>),
    Text(Option<usize>),
    Group(Vec<Spec>),
    List {
        fields: Vec<Spec>,
        times: Times,
        most: usize,
    },
}

/// A number and what it is worth: raw × step / 10^places + offset.
#[derive(Clone, Default)]
pub struct Number {
    pub signed: bool,
    pub bits: usize,
    pub step: i64,
    pub places: u32,
    pub offset: i64,
    pub absent: Option<u64>,
    /// Raw numbers that are neither less nor more.
    pub range: Option<(i128, i128)>,
    /// Named bits beside the number.
    pub flags: Vec<(String, usize)>,
}

/// How often a group comes.
pub enum Times {
    Fixed,
    Counted(String),
    Rest,
}

impl Dice {
    /// From 0 to `sides - 1`.
    pub fn below(&mut self, sides: usize) -> usize {
        (self.0.next_u64() % sides as u64) as usize
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// So many bits; often all alike, where mistakes hide.
    pub fn bits(&mut self, bits: usize) -> u64 {
        let all = u64::MAX >> (64 - bits);
        match self.below(8) {
            0 => 0,
            1 => all,
            2 => all >> 1,
            3 => (all >> 1) + 1,
            _ => self.0.next_u64() & all,
        }
    }

    fn width(&mut self) -> usize {
        match self.below(3) {
            0 => [8, 16, 24, 32, 64][self.below(5)],
            _ => 1 + self.below(64),
        }
    }
}

/// A table that fits the longest payload.
pub fn table(dice: &mut Dice) -> Table {
    loop {
        let little = dice.once_in(2);
        let messages = (0..1 + dice.below(2)).map(|_| Builder::default().message(dice)).collect();
        let table = Table { little, messages };
        if table.messages.iter().all(|message| message.most_bits() <= 200 * 8) {
            return table;
        }
    }
}

/// Gives fields their names and places.
#[derive(Default)]
struct Builder {
    names: usize,
}

impl Builder {
    fn message(&mut self, dice: &mut Dice) -> Message {
        if dice.once_in(3) {
            return self.tagged(dice);
        }
        let least = usize::from(!dice.once_in(10));
        let mut fields = self.row(dice, 2, least);
        match dice.below(4) {
            0 => {
                let rest = self.rest(dice);
                push_behind(&mut fields, rest);
            }
            1 if fields.iter().all(|field| field.kind.fixed_bits().is_some()) => self.optional(dice, &mut fields),
            _ => {}
        }
        if fields.is_empty() {
            fields.push(self.named(Kind::Boolean(8)));
        }
        Message { fields, tag: None, parts: Vec::new() }
    }

    fn tagged(&mut self, dice: &mut Dice) -> Message {
        let tag = [8, 8, 16, 24][dice.below(4)];
        let fields = self.row(dice, 1, 0);
        let mut parts: Vec<(u64, Vec<Spec>)> = Vec::new();
        for _ in 0..1 + dice.below(4) {
            let number = dice.bits(tag);
            if parts.iter().all(|(taken, _)| *taken != number) {
                parts.push((number, if dice.once_in(4) { Vec::new() } else { self.shown_row(dice, 1) }));
            }
        }
        if dice.once_in(3) {
            let last = parts.len() - 1;
            if !parts[last].1.is_empty() {
                let rest = self.rest(dice);
                push_behind(&mut parts[last].1, rest);
            }
        }
        Message { fields, tag: Some(tag), parts }
    }

    /// Fields that fill whole bytes together; with `depth` 0 none that must lie at one.
    fn row(&mut self, dice: &mut Dice, depth: usize, least: usize) -> Vec<Spec> {
        let mut fields: Vec<Spec> = Vec::new();
        let mut at = 0;
        for _ in 0..least + dice.below(6) {
            let kind = if dice.once_in(4) { self.large(dice, depth) } else { Ok(self.scalar(dice)) };
            let kind = match kind {
                Ok(kind) => kind,
                Err((count, kind)) => {
                    at += 8;
                    fields.extend(pad(&mut at));
                    fields.push(Spec { name: Some(count), ..Spec::of(number(8)) });
                    kind
                }
            };
            if kind.needs_byte() {
                fields.extend(pad(&mut at));
            }
            let mut spec = if kind.nameless() { Spec::of(kind) } else { self.named(kind) };
            let bits = spec.kind.fixed_bits().unwrap_or(0);
            let whole = at.is_multiple_of(8) && bits.is_multiple_of(8);
            if spec.kind.is_number() && whole && dice.once_in(3) {
                spec.endian = Some(["big", "little"][dice.below(2)]);
            }
            at += bits;
            fields.push(spec);
        }
        fields.extend(pad(&mut at));
        let movable = fields.iter().all(|field| field.kind.fixed_bits().is_some());
        if movable && dice.once_in(3) { shuffled(dice, fields) } else { fields }
    }

    fn scalar(&mut self, dice: &mut Dice) -> Kind {
        let bits = dice.width();
        match dice.below(12) {
            0 => Kind::Padding(bits),
            1 => Kind::Constant { bits: bits.min(40), raw: dice.bits(bits.min(40)) },
            2 => Kind::Boolean([1, 1, 3, 8][dice.below(4)]),
            3 => Kind::Float { bits: [32, 64][dice.below(2)], limited: dice.once_in(3) },
            4 => self.flags(dice, bits),
            5 => self.values(dice, bits.min(40)),
            _ => Kind::Number(self.number(dice, bits)),
        }
    }

    fn flags(&mut self, dice: &mut Dice, bits: usize) -> Kind {
        let mut flags = Vec::new();
        for bit in 0..bits {
            if flags.is_empty() || dice.once_in(4) {
                flags.push((self.name(), bit));
            }
        }
        if dice.once_in(3) {
            return Kind::Number(Number { bits, step: 1, flags, ..Number::default() });
        }
        Kind::Flags { bits, flags }
    }

    fn values(&mut self, dice: &mut Dice, bits: usize) -> Kind {
        let mut names: Vec<_> = (0..1 + dice.below(4)).map(|_| dice.bits(bits)).collect();
        names.sort_unstable();
        names.dedup();
        Kind::Values { bits, names }
    }

    fn number(&mut self, dice: &mut Dice, bits: usize) -> Number {
        let signed = bits > 1 && dice.once_in(2);
        let mut number = Number { signed, bits, step: 1, ..Number::default() };
        // A double has 53 bits: finer values would not lead back to their raw numbers.
        if bits <= 32 && dice.once_in(2) {
            number.step = [1, 5, 25, -2, 625][dice.below(5)];
            number.places = dice.below(4) as u32;
            number.offset = [0, 0, -40, 1000][dice.below(4)];
        }
        if bits > 1 && dice.once_in(3) {
            number.absent = Some(dice.bits(bits));
        } else if bits > 4 && bits <= 32 && dice.once_in(3) {
            let (one, other) = (number.raw(dice.bits(bits)), number.raw(dice.bits(bits)));
            number.range = (one != other).then(|| (one.min(other), one.max(other)));
        }
        number
    }

    /// Something that lies at a byte; or, as an error, a list with the name of the field that counts it.
    fn large(&mut self, dice: &mut Dice, depth: usize) -> Result<Kind, (String, Kind)> {
        if depth == 0 {
            return Ok(self.scalar(dice));
        }
        match dice.below(6) {
            0 => Ok(Kind::Bytes(Some(1 + dice.below(6)))),
            1 => Ok(Kind::Text(Some(1 + dice.below(6)))),
            2 => Ok(Kind::Group(self.group(dice, depth))),
            3 | 4 => {
                let (fields, most) = (self.group(dice, depth), 1 + dice.below(4));
                Ok(Kind::List { fields, times: Times::Fixed, most })
            }
            _ => {
                let (count, fields, most) = (self.name(), self.group(dice, depth), 1 + dice.below(4));
                Err((count.clone(), Kind::List { fields, times: Times::Counted(count), most }))
            }
        }
    }

    fn group(&mut self, dice: &mut Dice, depth: usize) -> Vec<Spec> {
        self.shown_row(dice, depth - 1)
    }

    /// Fields of which at least one shows.
    fn shown_row(&mut self, dice: &mut Dice, depth: usize) -> Vec<Spec> {
        loop {
            let fields = self.row(dice, depth, 1);
            if fields.iter().any(Spec::shows) {
                return fields;
            }
        }
    }

    /// A field that takes the rest of the payload.
    fn rest(&mut self, dice: &mut Dice) -> Spec {
        let kind = match dice.below(3) {
            0 => Kind::Bytes(None),
            1 => Kind::Text(None),
            _ => Kind::List { fields: self.group(dice, 1), times: Times::Rest, most: 1 + dice.below(4) },
        };
        self.named(kind)
    }

    /// Fields before which the payload may end, now and then with padding before, or with something behind.
    fn optional(&mut self, dice: &mut Dice, fields: &mut Vec<Spec>) {
        for _ in 0..1 + dice.below(3) {
            if dice.once_in(4) {
                push_behind(fields, Spec { optional: true, ..Spec::of(Kind::Padding(8)) });
            }
            let kind = match dice.below(4) {
                0 => Kind::Text(Some(3)),
                1 => Kind::Group(self.group(dice, 1)),
                _ => self.bytes_number(dice),
            };
            push_behind(fields, Spec { optional: true, ..self.named(kind) });
            if dice.once_in(3) {
                let kind = self.bytes_number(dice);
                push_behind(fields, self.named(kind));
            }
        }
    }

    fn bytes_number(&mut self, dice: &mut Dice) -> Kind {
        let bits = 8 * (1 + dice.below(4));
        Kind::Number(self.number(dice, bits))
    }

    fn named(&mut self, kind: Kind) -> Spec {
        Spec { name: Some(self.name()), ..Spec::of(kind) }
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("f{}", self.names)
    }
}

impl Spec {
    /// Whether it is in the decoded data.
    pub fn shows(&self) -> bool {
        self.name.is_some() || matches!(self.kind, Kind::Flags { .. })
    }

    fn of(kind: Kind) -> Self {
        Self { name: None, kind, at: None, endian: None, optional: false }
    }
}

impl Number {
    /// The raw number that these bits are.
    pub fn raw(&self, bits: u64) -> i128 {
        let negative = self.signed && bits >> (self.bits - 1) == 1;
        i128::from(bits) - if negative { 1 << self.bits } else { 0 }
    }
}

impl Kind {
    /// Its bits, if every payload has as many.
    pub fn fixed_bits(&self) -> Option<usize> {
        match self {
            Self::Padding(bits) | Self::Boolean(bits) | Self::Float { bits, .. } => Some(*bits),
            Self::Constant { bits, .. } | Self::Values { bits, .. } | Self::Flags { bits, .. } => Some(*bits),
            Self::Number(number) => Some(number.bits),
            Self::Bytes(length) | Self::Text(length) => length.map(|length| length * 8),
            Self::Group(fields) => sum(fields),
            Self::List { fields, times: Times::Fixed, most } => sum(fields).map(|bits| bits * most),
            Self::List { .. } => None,
        }
    }

    /// Its bits at the most.
    fn most_bits(&self) -> usize {
        match self {
            Self::List { fields, most, .. } => fields.iter().map(|field| field.kind.most_bits()).sum::<usize>() * most,
            Self::Group(fields) => fields.iter().map(|field| field.kind.most_bits()).sum(),
            other => other.fixed_bits().unwrap_or(20 * 8),
        }
    }

    fn needs_byte(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Text(_) | Self::Group(_) | Self::List { .. })
    }

    fn nameless(&self) -> bool {
        matches!(self, Self::Padding(_) | Self::Constant { .. } | Self::Flags { .. })
    }

    fn is_number(&self) -> bool {
        !self.needs_byte() && !matches!(self, Self::Boolean(_))
    }
}

impl Message {
    fn most_bits(&self) -> usize {
        let parts = self.parts.iter().flat_map(|(_, fields)| fields);
        // What is shuffled may leave gaps.
        self.fields.iter().chain(parts).map(|field| field.kind.most_bits() + 16).sum::<usize>() + 16 * self.parts.len()
    }
}

/// The bits of fields in a row, gaps included.
fn sum(fields: &[Spec]) -> Option<usize> {
    let mut ends = Some((0, 0));
    for field in fields {
        let (next, end): (usize, usize) = ends?;
        let next = field.at.unwrap_or(next) + field.kind.fixed_bits()?;
        ends = Some((next, end.max(next)));
    }
    ends.map(|(_, end)| end)
}

/// Adds a field behind all others, whatever their order is.
fn push_behind(fields: &mut Vec<Spec>, mut field: Spec) {
    field.at = sum(fields).filter(|_| fields.iter().any(|other| other.at.is_some()));
    fields.push(field);
}

/// A plain number.
fn number(bits: usize) -> Kind {
    Kind::Number(Number { bits, step: 1, ..Number::default() })
}

/// Padding to the next byte, if `at` is within one.
fn pad(at: &mut usize) -> Option<Spec> {
    let missing = (8 - *at % 8) % 8;
    *at += missing;
    (missing > 0).then(|| Spec::of(Kind::Padding(missing)))
}

/// The fields in another order, each saying where it lies; with gaps now and then.
fn shuffled(dice: &mut Dice, mut fields: Vec<Spec>) -> Vec<Spec> {
    let mut at = 0;
    for field in &mut fields {
        if dice.once_in(6) {
            at += 8;
        }
        field.at = Some(at);
        at += field.kind.fixed_bits().unwrap_or(0);
    }
    for last in (1..fields.len()).rev() {
        fields.swap(last, dice.below(last + 1));
    }
    fields
}
