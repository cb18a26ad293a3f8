//! Made-up values of made-up tables: as JSON, and as members of a struct in C.

use serde_json::{Map, Value};

use crate::dice::Dice;
use crate::tables::{Kind, Message, Number, Spec, Times};
use crate::written::{part_name, value_name, worth};

/// What a message says.
pub struct Said {
    /// As the decoder gives it and the encoder takes it.
    pub data: Map<String, Value>,
    /// As the struct in C holds it.
    pub members: Vec<Member>,
}

/// A member in C, by its path from the struct, and what it holds.
pub struct Member {
    path: String,
    held: Held,
}

enum Held {
    /// A number as C writes it.
    Number(String),
    /// The bits of a float or a double.
    Float(usize, u64),
    Bytes(Vec<u8>),
    Text(String),
}

impl Said {
    /// Anything the message can say.
    pub fn any(dice: &mut Dice, message: &Message) -> Self {
        let mut said = Self { data: Map::new(), members: Vec::new() };
        said.fields(dice, &message.fields, "");
        let mut chosen: Vec<_> = message.parts.iter().filter(|_| dice.once_in(2)).collect();
        if chosen.is_empty() {
            chosen.extend(message.parts.first());
        }
        for (tag, fields) in chosen {
            if fields.is_empty() {
                said.data.insert(part_name(*tag), true.into());
            }
            said.number(&has_part(*tag, fields), "true");
            said.fields(dice, fields, "");
        }
        said
    }

    /// The members of `variable` set.
    pub fn assignments(&self, variable: &str) -> Vec<String> {
        self.members.iter().map(|member| member.assignment(variable)).collect()
    }

    /// The members of `variable` compared.
    pub fn checks(&self, variable: &str) -> Vec<String> {
        self.members.iter().map(|member| member.check(variable)).collect()
    }

    fn fields(&mut self, dice: &mut Dice, fields: &[Spec], path: &str) {
        for field in fields {
            if let Some(name) = field.name.as_ref().filter(|_| field.optional) {
                let there = !dice.once_in(3);
                self.number(&format!("{path}has_{name}"), if there { "true" } else { "false" });
                if !there {
                    return;
                }
            }
            // What counts a list is said with the list.
            if !fields.iter().any(|list| counts(field, list)) {
                self.field(dice, field, path);
            }
        }
    }

    fn field(&mut self, dice: &mut Dice, field: &Spec, path: &str) {
        let name = field.name.clone().unwrap_or_default();
        let path = format!("{path}{name}");
        let value = match &field.kind {
            Kind::Padding(_) | Kind::Constant { .. } => return,
            Kind::Flags { flags, .. } => return self.flags(dice, flags, path.as_str()),
            Kind::Number(number) => self.scalar(dice, number, &path),
            Kind::Values { names, .. } => {
                let raw = names[dice.below(names.len())];
                self.number(&path, &format!("{raw}u"));
                value_name(raw).into()
            }
            Kind::Boolean(_) => {
                let on = dice.once_in(2);
                self.number(&path, if on { "true" } else { "false" });
                on.into()
            }
            Kind::Float { bits, limited } => self.float(dice, *bits, *limited, path),
            Kind::Bytes(length) => self.bytes(dice, *length, path),
            Kind::Text(length) => self.text(dice, length.unwrap_or(9), path),
            Kind::Group(fields) => self.inner(dice, fields, &format!("{path}.")),
            Kind::List { fields, times, most } => self.list(dice, fields, times, *most, &path),
        };
        self.data.insert(name, value);
    }

    fn scalar(&mut self, dice: &mut Dice, number: &Number, path: &str) -> Value {
        let bits = match (number.range, number.absent) {
            (Some((low, high)), _) => (low + i128::from(dice.bits(48)) % (high - low + 1)) as u64,
            (None, Some(absent)) if dice.once_in(3) => absent,
            (None, _) => dice.bits(number.bits),
        };
        let bits = bits & (u64::MAX >> (64 - number.bits));
        let raw = number.raw(bits);
        self.number(path, &literal(raw));
        for (name, bit) in &number.flags {
            self.data.insert(name.clone(), (bits >> bit & 1 == 1).into());
        }
        if number.absent == Some(bits) { Value::Null } else { serde_json::from_str(&worth(number, raw)).unwrap() }
    }

    fn flags(&mut self, dice: &mut Dice, flags: &[(String, usize)], path: &str) {
        for (name, _) in flags {
            let on = dice.once_in(2);
            self.number(&format!("{path}{name}"), if on { "true" } else { "false" });
            self.data.insert(name.clone(), on.into());
        }
    }

    fn float(&mut self, dice: &mut Dice, bits: usize, limited: bool, path: String) -> Value {
        // Not the negative zero: JSON has only one.
        let any = match limited {
            true => [-1.0, -0.25, 0.1, 0.9999, 1.0][dice.below(5)],
            false => (dice.bits(40) as f64 - 1e9) / [1.0, 1e6, 3.0, 1e25][dice.below(4)] + 0.5,
        };
        let (pattern, number) = match bits {
            32 => (u64::from((any as f32).to_bits()), (any as f32).to_string().parse().unwrap()),
            _ => (any.to_bits(), any),
        };
        self.members.push(Member { path, held: Held::Float(bits, pattern) });
        number.into()
    }

    fn bytes(&mut self, dice: &mut Dice, length: Option<usize>, path: String) -> Value {
        let bytes: Vec<_> = (0..length.unwrap_or_else(|| dice.below(20))).map(|_| dice.bits(8) as u8).collect();
        if length.is_none() {
            self.number(&format!("{path}_length"), &bytes.len().to_string());
        }
        let hex = hex::encode(&bytes);
        self.members.push(Member { path, held: Held::Bytes(bytes) });
        hex.into()
    }

    fn text(&mut self, dice: &mut Dice, most: usize, path: String) -> Value {
        let letters = (0..dice.below(most + 1)).map(|_| ['a', '"', '\\', '1', '?', '*', '/', 'ß'][dice.below(8)]);
        let mut text: String = letters.collect();
        while text.len() > most {
            text.pop();
        }
        self.members.push(Member { path, held: Held::Text(text.clone()) });
        text.into()
    }

    /// The fields of a group.
    fn inner(&mut self, dice: &mut Dice, fields: &[Spec], path: &str) -> Value {
        let outer = std::mem::take(&mut self.data);
        self.fields(dice, fields, path);
        Value::Object(std::mem::replace(&mut self.data, outer))
    }

    fn list(&mut self, dice: &mut Dice, fields: &[Spec], times: &Times, most: usize, path: &str) -> Value {
        let length = if matches!(times, Times::Fixed) { most } else { dice.below(most + 1) };
        match times {
            Times::Fixed => {}
            Times::Rest => self.number(&format!("{path}_count"), &length.to_string()),
            Times::Counted(count) => {
                let (parent, _) = path.rsplit_once('.').map_or(("", path), |(parent, name)| (parent, name));
                let dot = if parent.is_empty() { "" } else { "." };
                self.number(&format!("{parent}{dot}{count}"), &length.to_string());
                self.data.insert(count.clone(), length.into());
            }
        }
        (0..length).map(|index| self.inner(dice, fields, &format!("{path}[{index}]."))).collect()
    }

    fn number(&mut self, path: &str, number: &str) {
        self.members.push(Member { path: path.to_owned(), held: Held::Number(number.to_owned()) });
    }
}

impl Member {
    fn assignment(&self, variable: &str) -> String {
        let place = format!("{variable}.{}", self.path);
        match &self.held {
            Held::Number(number) => format!("{place} = {number};"),
            Held::Float(bits, pattern) => format!("{place} = f{bits}_of({pattern}u);"),
            Held::Bytes(bytes) => format!("memcpy({place}, {}, {});", quoted(bytes), bytes.len()),
            Held::Text(text) => format!("strcpy({place}, {});", quoted(text.as_bytes())),
        }
    }

    fn check(&self, variable: &str) -> String {
        let place = format!("{variable}.{}", self.path);
        match &self.held {
            Held::Number(number) => format!("CHECK({place} == {number});"),
            Held::Float(bits, pattern) => format!("CHECK(f{bits}_bits({place}) == {pattern}u);"),
            Held::Bytes(bytes) => format!("CHECK(memcmp({place}, {}, {}) == 0);", quoted(bytes), bytes.len()),
            Held::Text(text) => format!("CHECK(strcmp({place}, {}) == 0);", quoted(text.as_bytes())),
        }
    }
}

/// The member that says that a part is there.
fn has_part(tag: u64, fields: &[Spec]) -> String {
    let first = fields.iter().find(|field| field.shows());
    match first.map(|field| (&field.kind, &field.name)) {
        None => part_name(tag),
        Some((Kind::Flags { flags, .. }, None)) => format!("has_{}", flags[0].0),
        Some((_, name)) => format!("has_{}", name.as_deref().unwrap()),
    }
}

/// Whether the struct in C may hold what was decoded: lists not too long, numbers within their limits.
pub fn fits(fields: &[Spec], data: &Map<String, Value>) -> bool {
    fields.iter().all(|field| {
        let value = field.name.as_ref().and_then(|name| data.get(name));
        let inner = |fields: &[Spec], value: &Value| value.as_object().is_none_or(|data| fits(fields, data));
        match (&field.kind, value) {
            (Kind::Number(number @ Number { range: Some((low, high)), .. }), Some(value)) if !value.is_null() => {
                let [one, other] = [low, high].map(|raw| worth(number, *raw).parse::<f64>().unwrap());
                (one.min(other)..=one.max(other)).contains(&value.as_f64().unwrap())
            }
            (Kind::Float { limited: true, .. }, Some(value)) => value.as_f64().is_some_and(|value| value.abs() <= 1.0),
            (Kind::Group(fields), Some(value)) => inner(fields, value),
            (Kind::List { fields, most, .. }, Some(Value::Array(list))) => {
                list.len() <= *most && list.iter().all(|value| inner(fields, value))
            }
            _ => true,
        }
    })
}

/// Whether `field` says how often `list` comes.
fn counts(field: &Spec, list: &Spec) -> bool {
    matches!(&list.kind, Kind::List { times: Times::Counted(count), .. } if field.name.as_ref() == Some(count))
}

fn literal(raw: i128) -> String {
    match raw {
        _ if raw == i128::from(i64::MIN) => "(-9223372036854775807 - 1)".to_owned(),
        _ if raw > i128::from(i64::MAX) => format!("{raw}u"),
        _ => raw.to_string(),
    }
}

/// Bytes as a text in C.
fn quoted(bytes: &[u8]) -> String {
    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("\"{octal}\"")
}
