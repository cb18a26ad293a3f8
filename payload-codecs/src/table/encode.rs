//! From data to the payload that says it.

use serde_json::Value;

use super::keys::{counted_by, missing, written};
use super::layout::Cursor;
use super::scale::Scalar;
use super::{Data, Endian, Field, Message, Part, Repeat, Type, bits, text};

/// The longest application payload any data rate carries (LoRaWAN Regional Parameters 1.0.3, 2.2.6: EU863-870).
pub(super) const LONGEST_PAYLOAD: usize = 242;

/// Writes the payload with the first message that has all the data's keys and misses none of its own; with it comes the
/// port asked for, else the message's first.
///
/// # Errors
/// What is wrong with the data, and what would be right.
pub(super) fn encode(
    messages: &[Message],
    endian: Endian,
    f_port: Option<u8>,
    data: &Data,
) -> Result<(Vec<u8>, Option<u8>), String> {
    let message = choose(messages, f_port, data)?;
    let mut writer = Writer { bytes: Vec::new(), endian };
    writer.message(message, data)?;
    match writer.bytes.len() {
        0..=LONGEST_PAYLOAD => Ok((writer.bytes, f_port.or(message.port.0.first().copied()))),
        length => Err(format!("the payload would have {length} bytes, and at most {LONGEST_PAYLOAD} can be sent")),
    }
}

/// What is wrong with the value of this field on its own; `Ok` if it can be encoded.
pub(super) fn check_value(field: &Field, value: &Value) -> Result<(), String> {
    match field.type_ {
        None => Err("is a group".to_owned()),
        Some(Type::Bytes(_) | Type::Text(_)) => bytes_of(field, value).map(drop),
        Some(type_) => Scalar { field, type_ }.bits_of(value).map(drop),
    }
}

fn choose<'a>(messages: &'a [Message], f_port: Option<u8>, data: &Data) -> Result<&'a Message, String> {
    let is_on_port = |message: &&Message| f_port.is_none_or(|f_port| message.port.allow(f_port));
    let on_port: Vec<_> = messages.iter().filter(is_on_port).collect();
    if on_port.is_empty() {
        let nothing = f_port.map_or("no message".to_owned(), |port| format!("nothing for port {port}"));
        return Err(format!("the table has {nothing} in this direction"));
    }
    refuse_unknown(data, on_port.iter().flat_map(|message| message.keys()))?;
    let knowing = on_port.iter().filter(|message| message.knows(data.keys().map(String::as_str)));
    let mut lacking = knowing.map(|message| message.missing(&|key| data.contains_key(key)).map_or(Ok(*message), Err));
    match lacking.clone().find_map(Result::ok) {
        Some(message) => Ok(message),
        None => Err(match lacking.next() {
            Some(Err(key)) => format!("{key} is missing"),
            _ => format!("no message takes {} together", data.keys().cloned().collect::<Vec<_>>().join(", ")),
        }),
    }
}

fn refuse_unknown<'a>(data: &Data, known: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut known: Vec<_> = known.collect();
    let Some(stranger) = data.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let mut seen = std::collections::HashSet::new();
    known.retain(|key| seen.insert(*key));
    Err(format!("`{stranger}` is no field of this device; there are {}", known.join(", ")))
}

struct Writer {
    bytes: Vec<u8>,
    endian: Endian,
}

impl Writer {
    fn message(&mut self, message: &Message, data: &Data) -> Result<(), String> {
        let mut at = self.fields(&message.fields, 0, data)?.next_multiple_of(8);
        let Some(tag) = message.tag else { return Ok(()) };
        for part in message.parts.iter().filter(|part| part.keys().any(|key| data.contains_key(key))) {
            at = self.part(part, tag, at, data)?.next_multiple_of(8);
        }
        Ok(())
    }

    fn part(&mut self, part: &Part, tag: Type, at: usize, data: &Data) -> Result<usize, String> {
        if let Some(name) = part.name.as_ref().filter(|name| data.get(*name) != Some(&Value::Bool(true))) {
            return Err(format!("{name} must be true"));
        }
        let width = tag.bits().unwrap_or(8);
        bits::write(&mut self.bytes, at, width, self.endian, part.tag);
        self.fields(&part.fields, at + width, data)
    }

    /// Writes fields in a row; gives where they end.
    fn fields(&mut self, fields: &[Field], base: usize, data: &Data) -> Result<usize, String> {
        let mut cursor = Cursor::new(base);
        for field in written(fields, &|key| data.contains_key(key)) {
            let start = cursor.start(field);
            let end = match field.type_ {
                None => self.group(field, start, data)?,
                Some(Type::Bytes(_) | Type::Text(_)) => self.string(field, start, data)?,
                Some(type_) => {
                    let scalar = Scalar { field, type_ };
                    let bits = match counted_by(fields, field) {
                        Some(group) => repetitions(scalar, group, data)?,
                        None => scalar_bits(scalar, data)?,
                    };
                    self.scalar(scalar, start, bits)
                }
            };
            cursor.pass(end);
        }
        Ok(cursor.end())
    }

    fn scalar(&mut self, scalar: Scalar<'_>, start: usize, bits: u64) -> usize {
        let width = scalar.type_.bits().unwrap_or(0);
        bits::write(&mut self.bytes, start, width, scalar.field.endian.unwrap_or(self.endian), bits);
        start + width
    }

    /// Writes bytes or a text.
    fn string(&mut self, field: &Field, start: usize, data: &Data) -> Result<usize, String> {
        let bytes = match value_of(field, data) {
            Some((name, value)) => bytes_of(field, value).map_err(|problem| format!("{name} {problem}"))?,
            None => Vec::new(),
        };
        let end = start + field.type_.and_then(Type::bits).unwrap_or(bytes.len() * 8);
        self.bytes.resize(self.bytes.len().max(end.div_ceil(8)), 0);
        self.bytes[start / 8..][..bytes.len()].copy_from_slice(&bytes);
        Ok(end)
    }

    fn group(&mut self, field: &Field, start: usize, data: &Data) -> Result<usize, String> {
        let Some((name, value)) = value_of(field, data) else { return Ok(start) };
        if field.repeat.is_none() {
            return self.group_of(field, start, value).map_err(|problem| format!("{name}: {problem}"));
        }
        let list = list_of(field, value).map_err(|problem| format!("{name} {problem}"))?;
        list.iter().enumerate().try_fold(start, |at, (index, value)| {
            self.group_of(field, at, value).map_err(|problem| format!("{name}[{index}]: {problem}"))
        })
    }

    fn group_of(&mut self, field: &Field, start: usize, value: &Value) -> Result<usize, String> {
        let data = value.as_object().ok_or("must be an object")?;
        refuse_unknown(data, field.fields.iter().flat_map(Field::keys))?;
        match missing(&field.fields, &|key| data.contains_key(key)) {
            Some(key) => Err(format!("{key} is missing")),
            None => self.fields(&field.fields, start, data),
        }
    }
}

/// The bits of a number: a constant, what the data say, the default, or zeros; flags are set over it.
fn scalar_bits(scalar: Scalar<'_>, data: &Data) -> Result<u64, String> {
    let field = scalar.field;
    let mut bits = match (field.equals, value_of(field, data)) {
        (Some(constant), _) => scalar.bits(constant),
        (None, Some((name, value))) => scalar.bits_of(value).map_err(|problem| format!("{name} {problem}"))?,
        (None, None) => 0,
    };
    for flag in field.flags.iter().flatten() {
        let Some(value) = data.get(&flag.name) else { continue };
        let on = value.as_bool().ok_or_else(|| format!("{} must be true or false", flag.name))?;
        let mask = 1_u64.checked_shl(flag.bit.into()).unwrap_or(0);
        bits = if on { bits | mask } else { bits & !mask };
    }
    Ok(bits)
}

/// The bits of a count: as many as the group has; if the data say it too, they must agree.
fn repetitions(scalar: Scalar<'_>, group: &Field, data: &Data) -> Result<u64, String> {
    let name = scalar.field.name.as_deref().unwrap_or_default();
    let list = group.name.as_ref().and_then(|group| data.get(group)).and_then(Value::as_array);
    let count = Value::from(list.map_or(0, Vec::len));
    if data.get(name).is_some_and(|said| *said != count) {
        return Err(format!("{name} must be {count}: so many {} there are", group.name.as_deref().unwrap_or_default()));
    }
    scalar.bits_of(&count).map_err(|problem| format!("{name} {problem}"))
}

/// The value to be written, with what errors call it.
fn value_of<'a>(field: &'a Field, data: &'a Data) -> Option<(&'a str, &'a Value)> {
    let name = field.name.as_deref();
    let given = name.and_then(|name| data.get(name));
    Some((name.unwrap_or("default"), given.or(field.default.as_ref())?))
}

/// The bytes of a value that is a text or hex.
fn bytes_of(field: &Field, value: &Value) -> Result<Vec<u8>, String> {
    let value = value.as_str();
    let (bytes, fits, must_be) = match field.type_ {
        Some(Type::Bytes(Some(room))) => {
            (value.and_then(text::from_hex), usize::from(room)..=room.into(), format!("must be {room} bytes in hex"))
        }
        Some(Type::Bytes(None)) => (value.and_then(text::from_hex), 0..=LONGEST_PAYLOAD, "must be bytes in hex".into()),
        Some(Type::Text(room)) => {
            let room = room.map_or(LONGEST_PAYLOAD, usize::from);
            (value.map(|text| text.as_bytes().to_vec()), 0..=room, format!("must be a text of at most {room} bytes"))
        }
        _ => return Err("is a number".to_owned()),
    };
    bytes.filter(|bytes| fits.contains(&bytes.len())).ok_or(must_be)
}

/// The values of a group that is repeated.
fn list_of<'a>(field: &Field, value: &'a Value) -> Result<&'a [Value], String> {
    let (fits, length) = match (&field.repeat, field.most.unwrap_or(LONGEST_PAYLOAD)) {
        (Some(Repeat::Times(times)), _) => (*times..=*times, times.to_string()),
        (_, most) => (0..=most, format!("at most {most}")),
    };
    let list = value.as_array().filter(|list| fits.contains(&list.len()));
    list.map(Vec::as_slice).ok_or_else(|| format!("must be a list of {length}"))
}
