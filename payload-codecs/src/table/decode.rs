//! From a payload to the data it says.

use serde_json::{Map, Value};

use super::layout::{Cursor, is_fixed, least_bits, least_bits_of};
use super::scale::Scalar;
use super::{Data, Endian, Field, Message, Ports, Repeat, Type, bits, text};

/// What a payload says: its data, and warnings.
pub(super) type Said = (Data, Vec<String>);

/// Reads a payload with the first message that fits.
///
/// # Errors
/// Why none fits: what each message for this port expected, and at which byte.
pub(super) fn decode(messages: &[Message], endian: Endian, f_port: u8, bytes: &[u8]) -> Result<Said, String> {
    let mut misfits = Vec::new();
    for message in messages.iter().filter(|message| message.port.allow(f_port)) {
        let mut reader = Reader { bytes, endian, warnings: Vec::new() };
        match reader.message(message) {
            Ok(data) => return Ok((data, reader.warnings)),
            Err(misfit) if misfits.contains(&misfit) => {}
            Err(misfit) => misfits.push(misfit),
        }
    }
    if misfits.is_empty() { Err(wrong_port(messages, f_port)) } else { Err(misfits.join("; or ")) }
}

impl Ports {
    /// Whether a payload may come or go on this port.
    pub(super) fn allow(&self, f_port: u8) -> bool {
        self.0.is_empty() || self.0.contains(&f_port)
    }
}

fn wrong_port(messages: &[Message], f_port: u8) -> String {
    let mut ports: Vec<u8> = messages.iter().flat_map(|message| message.port.0.iter().copied()).collect();
    ports.sort_unstable();
    ports.dedup();
    let ports: Vec<_> = ports.iter().map(u8::to_string).collect();
    match ports.is_empty() {
        true => "the table has no message in this direction".to_owned(),
        false => format!("expected port {}, got {f_port}", ports.join(" or ")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    endian: Endian,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn message(&mut self, message: &Message) -> Result<Data, String> {
        let least = least_bits(&message.fields).div_ceil(8);
        if self.bytes.len() < least {
            let exact = message.tag.is_none() && !message.fields.iter().any(|field| field.optional || !is_fixed(field));
            let at_least = if exact { "" } else { "at least " };
            return Err(format!("expected {at_least}{}, got {}", count(least), self.bytes.len()));
        }
        let mut data = Map::new();
        let mut at = self.fields(&message.fields, 0, &mut data)?.next_multiple_of(8);
        match message.tag {
            Some(tag) => {
                while at < self.end() {
                    at = self.part(message, tag, at, &mut data)?.next_multiple_of(8);
                }
            }
            None if at < self.end() => self.warnings.push(format!("{} too many", count((self.end() - at) / 8))),
            None => {}
        }
        Ok(data)
    }

    fn part(&mut self, message: &Message, tag: Type, at: usize, data: &mut Data) -> Result<usize, String> {
        let width = tag.bits().unwrap_or(8);
        let number = self.number(at, width, self.endian).ok_or_else(|| cut_short("a tag", at))?;
        let part = message.parts.iter().find(|part| part.tag == number);
        let part = part.ok_or_else(|| format!("unknown tag {number} (0x{number:02x}) at byte {}", at / 8))?;
        if let Some(name) = &part.name {
            data.insert(name.clone(), true.into());
        }
        self.fields(&part.fields, at + width, data)
    }

    /// Reads fields in a row; gives where they end.
    fn fields(&mut self, fields: &[Field], base: usize, data: &mut Data) -> Result<usize, String> {
        let mut cursor = Cursor::new(base);
        for field in fields {
            let start = cursor.start(field);
            if field.optional && start.saturating_add(least_bits_of(field)) > self.end() {
                break;
            }
            let end = match field.type_ {
                None => self.group(field, start, data)?,
                Some(Type::Bytes(_) | Type::Text(_)) => self.string(field, start, data)?,
                Some(type_) => self.scalar(Scalar { field, type_ }, start, data)?,
            };
            cursor.pass(end);
        }
        Ok(cursor.end())
    }

    fn scalar(&mut self, scalar: Scalar<'_>, start: usize, data: &mut Data) -> Result<usize, String> {
        let field = scalar.field;
        let width = scalar.type_.bits().unwrap_or(0);
        let endian = field.endian.unwrap_or(self.endian);
        let bits = self.number(start, width, endian).ok_or_else(|| cut_short(label(field), start))?;
        if let Some(expected) = field.equals.filter(|expected| scalar.bits(*expected) != bits) {
            let expected = scalar.bits(expected);
            return Err(format!("expected {expected} (0x{expected:02x}) at byte {}, got {bits}", start / 8));
        }
        for flag in field.flags.iter().flatten() {
            data.insert(flag.name.clone(), (bits.checked_shr(flag.bit.into()).unwrap_or(0) & 1 == 1).into());
        }
        if let Some(name) = &field.name {
            let value = scalar.value(bits).unwrap_or_else(|odd| {
                self.warnings.push(format!("{name}: {odd}"));
                Value::Null
            });
            data.insert(name.clone(), value);
        }
        Ok(start + width)
    }

    /// Reads bytes or a text.
    fn string(&mut self, field: &Field, start: usize, data: &mut Data) -> Result<usize, String> {
        let end = field.type_.and_then(Type::bits).map_or(self.end(), |width| start + width);
        let bytes = self.bytes.get(start / 8..end / 8).ok_or_else(|| cut_short(label(field), start))?;
        let is_text = matches!(field.type_, Some(Type::Text(_)));
        let said = if is_text { text::from_bytes(bytes) } else { hex::encode(bytes) };
        for find in field.find.iter().flatten() {
            match text::find(find, &said) {
                Some(value) => drop(data.insert(find.name.clone(), value)),
                None if find.optional => {}
                None => self.warnings.push(text::holds_no(find)),
            }
        }
        if let Some(name) = &field.name {
            data.insert(name.clone(), said.into());
        }
        Ok(end)
    }

    fn group(&mut self, field: &Field, start: usize, data: &mut Data) -> Result<usize, String> {
        let (value, end) = match &field.repeat {
            None => {
                let mut group = Map::new();
                let end = self.fields(&field.fields, start, &mut group)?;
                (Value::Object(group), end)
            }
            Some(repeat) => self.list(field, repeat, start, data)?,
        };
        if let Some(name) = &field.name {
            data.insert(name.clone(), value);
        }
        Ok(end)
    }

    fn list(&mut self, field: &Field, repeat: &Repeat, start: usize, data: &Data) -> Result<(Value, usize), String> {
        let times = match repeat {
            Repeat::Times(times) => Some(*times as u64),
            Repeat::Count(name) => Some(data.get(name).and_then(Value::as_u64).unwrap_or(0)),
            Repeat::Rest => None,
        };
        let (mut list, mut at) = (Vec::new(), start);
        while times.map_or(at < self.end(), |times| (list.len() as u64) < times) {
            let mut group = Map::new();
            let end = self.fields(&field.fields, at, &mut group)?;
            if end == at {
                return Err(format!("{}: a group of no size cannot be repeated", label(field)));
            }
            at = end;
            list.push(Value::Object(group));
        }
        Ok((Value::Array(list), at))
    }

    /// The number there; `None` if the payload ends before.
    fn number(&self, start: usize, width: usize, endian: Endian) -> Option<u64> {
        (start + width <= self.end()).then(|| bits::read(self.bytes, start, width, endian))
    }

    fn end(&self) -> usize {
        self.bytes.len() * 8
    }
}

/// What errors call a field.
fn label(field: &Field) -> &str {
    field.keys().next().unwrap_or("padding")
}

fn cut_short(what: &str, start: usize) -> String {
    format!("{what} is cut short at byte {}", start / 8)
}

fn count(bytes: usize) -> String {
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}
