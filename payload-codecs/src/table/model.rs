//! What a table says, as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A whole table: the messages a device sends and takes.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// What identifiers in the C header begin with; without one, the file's name.
    pub name: Option<String>,
    /// The order of bytes, and of bits within them, where a field does not say otherwise.
    #[serde(default)]
    pub endian: Endian,
    /// Messages from the device. The first that fits a payload decodes it.
    #[serde(default)]
    pub uplink: Vec<Message>,
    /// Messages to the device. The first that has all the fields of a command encodes it.
    #[serde(default)]
    pub downlink: Vec<Message>,
    /// Payloads and what they say, in the form of `examples.json`.
    #[serde(default)]
    pub examples: Vec<serde_json::Value>,
}

/// Its numbers are finite (`Table::parse` sees to it), so a table equals itself.
impl Eq for Table {}

/// The order of bytes in a number, and of bits in a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// The most significant byte first; bits are counted from the most significant one of the first byte.
    #[default]
    Big,
    /// The least significant byte first; bits are counted from the least significant one of the first byte.
    Little,
}

/// One layout of a payload: fields in a row, then parts in any order if it has a tag.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// What the C header calls it; needed only where there are several in one direction.
    pub name: Option<String>,
    /// The ports (LoRaWAN's `FPort`, 1 to 223) it comes or goes on; the first is the one to send on. Without, any.
    #[serde(default)]
    pub port: Ports,
    /// The fields that every such payload has, one after the other.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// The type of the number that opens each part; with it, parts follow the fields until the payload ends.
    pub tag: Option<Type>,
    /// The parts there are.
    #[serde(default)]
    pub parts: Vec<Part>,
}

/// Fields behind a tag. A part that comes twice keeps its last values; one without fields is a command that just happens.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The number that opens it.
    pub tag: u64,
    /// The key of a part without fields: its value is `true`.
    pub name: Option<String>,
    /// What people call a part without fields.
    pub friendly_name: Option<String>,
    /// Its fields, one after the other.
    #[serde(default)]
    pub fields: Vec<Field>,
}

/// One field: bits, and what they mean. The value is `raw × scale + offset`.
///
/// Groups, `bytes` and `text` lie at whole bytes, and groups are whole bytes long; messages and parts are filled up to
/// a whole byte with zeros. Fields do not overlap; what no field claims is zero when written and ignored when read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its key in the decoded data. A field without a name is padding (zeros), a constant (`equals`) or carries `flags`.
    pub name: Option<String>,
    /// Its bits. A field with `fields` of its own has none.
    #[serde(rename = "type")]
    pub type_: Option<Type>,
    /// Where it begins, counted from the beginning of its message, part or group; without, behind the field before it.
    pub at: Option<At>,
    /// The order of its bytes, if not the table's.
    pub endian: Option<Endian>,
    /// What one step of the raw number is worth. 1 if not given.
    pub scale: Option<f64>,
    /// What the raw number 0 is worth. 0 if not given.
    pub offset: Option<f64>,
    /// The raw number that stands for "no reading": decoded as null. Signed, or as the bits are written (`0x8000`).
    pub absent: Option<i64>,
    /// The raw number that must stand here, signed or as the bits are written: with it a payload is told from others.
    /// Such a field has no name.
    pub equals: Option<i64>,
    /// What raw numbers are called, by the number in decimal.
    pub values: Option<BTreeMap<String, String>>,
    /// Single bits of the raw number, each a field of its own.
    pub flags: Option<Vec<Flag>>,
    /// What stands in a text, each a field of its own. Uplinks only: it is read, never written.
    pub find: Option<Vec<Find>>,
    /// Fields of a group: an object, or a list of them with `repeat`.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// How often the group comes.
    pub repeat: Option<Repeat>,
    /// The most repetitions the C header has room for; and that are encoded.
    pub most: Option<usize>,
    /// The payload may end before it. Only for a message's own fields of fixed size, at a byte, without `tag`.
    #[serde(default)]
    pub optional: bool,
    /// The least value a command may have, in the field's unit; a step of the field, as `max` is.
    pub min: Option<f64>,
    /// The greatest value a command may have, in the field's unit.
    pub max: Option<f64>,
    /// The value of a command that does not name it.
    pub default: Option<serde_json::Value>,
    /// Where it stands in a normalised measurement: `air.temperature`.
    pub normalized: Option<String>,
    /// What people call it; without one, its name.
    pub friendly_name: Option<String>,
    /// The unit of the value.
    pub unit: Option<String>,
    /// Home Assistant's `device_class`.
    pub device_class: Option<String>,
    /// Home Assistant's `state_class`.
    pub state_class: Option<String>,
    /// Whether it is about the device rather than about the world.
    #[serde(default)]
    pub diagnostic: bool,
}

/// One bit of a number, as a boolean field.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flag {
    /// Its key in the decoded data.
    pub name: String,
    /// Which bit of the raw number: 0 is the least significant.
    pub bit: u8,
    /// What people call it; without one, its name.
    pub friendly_name: Option<String>,
    /// Home Assistant's `device_class` of a binary sensor.
    pub device_class: Option<String>,
    /// Whether it is about the device rather than about the world.
    #[serde(default)]
    pub diagnostic: bool,
    /// Where it stands in a normalised measurement: `water.leak`.
    pub normalized: Option<String>,
}

/// Something that stands in a text, as a field of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Find {
    /// Its key in the decoded data.
    pub name: String,
    /// Texts and the value each stands for (`"LED on" = true`): the one that comes first counts. Without, it is the last
    /// number in the text.
    pub words: Option<BTreeMap<String, serde_json::Value>>,
    /// Whether a text without it is as good; else a warning tells of it.
    #[serde(default)]
    pub optional: bool,
    /// What people call it; without one, its name.
    pub friendly_name: Option<String>,
    /// The unit of the value.
    pub unit: Option<String>,
    /// Home Assistant's `device_class`.
    pub device_class: Option<String>,
    /// Home Assistant's `state_class`.
    pub state_class: Option<String>,
    /// Whether it is about the device rather than about the world.
    #[serde(default)]
    pub diagnostic: bool,
    /// Where it stands in a normalised measurement: `air.temperature`.
    pub normalized: Option<String>,
}

/// The bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An unsigned number of 1 to 64 bits: `u12`.
    Unsigned(u8),
    /// A number in two's complement, 2 to 64 bits: `i16`.
    Signed(u8),
    /// IEEE 754 of 32 or 64 bits: `f32`.
    Float(u8),
    /// `bool` is one bit, `bool8` a byte: 0 is false, all else is true, 1 is what is written.
    Boolean(u8),
    /// So many bytes, as hex: `bytes6`; `bytes` takes the rest of the payload.
    Bytes(Option<u16>),
    /// UTF-8 in so many bytes, padded with NUL: `text8`; `text` takes the rest of the payload. White space and NULs at
    /// its end are padding, and not shown.
    Text(Option<u16>),
}

/// Where a field begins: a byte, or `"byte.bit"`, bits counted in the order of the field's endianness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct At {
    /// Bits from the beginning.
    pub bits: usize,
}

/// How often a group comes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub enum Repeat {
    /// So many times.
    Times(usize),
    /// `"rest"`: until the payload ends.
    Rest,
    /// As often as the field of this name, before the group, says.
    Count(String),
}

/// The ports of a message: none stands for any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Ports(pub Vec<u8>);

/// A number or a text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a number, 0 or more, nor a text")]
enum Written {
    Number(usize),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a port, 1 to 223, nor a list of ports")]
enum OneOrMany {
    One(u8),
    Many(Vec<u8>),
}

impl Type {
    /// How many bits it has; `None` if it takes the rest of the payload.
    pub fn bits(self) -> Option<usize> {
        match self {
            Self::Unsigned(bits) | Self::Signed(bits) | Self::Float(bits) | Self::Boolean(bits) => Some(bits.into()),
            Self::Bytes(length) | Self::Text(length) => length.map(|length| usize::from(length) * 8),
        }
    }
}

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown =
            || format!("`{text}` is no type: there are u1 to u64, i2 to i64, f32, f64, bool, bool8, bytes and text");
        let digits = text.trim_start_matches(|character: char| character.is_ascii_alphabetic());
        let (kind, size) = text.split_at(text.len() - digits.len());
        let size = if size.is_empty() { None } else { Some(size.parse::<u16>().map_err(|_| unknown())?) };
        match (kind, size) {
            ("u", Some(bits @ 1..=64)) => Ok(Self::Unsigned(bits as u8)),
            ("i", Some(bits @ 2..=64)) => Ok(Self::Signed(bits as u8)),
            ("f", Some(bits @ (32 | 64))) => Ok(Self::Float(bits as u8)),
            ("bool", None) => Ok(Self::Boolean(1)),
            ("bool", Some(bits @ 1..=64)) => Ok(Self::Boolean(bits as u8)),
            ("bytes", length @ (None | Some(1..=242))) => Ok(Self::Bytes(length)),
            ("text", length @ (None | Some(1..=242))) => Ok(Self::Text(length)),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(bits) => write!(f, "u{bits}"),
            Self::Signed(bits) => write!(f, "i{bits}"),
            Self::Float(bits) => write!(f, "f{bits}"),
            Self::Boolean(1) => write!(f, "bool"),
            Self::Boolean(bits) => write!(f, "bool{bits}"),
            Self::Bytes(None) => write!(f, "bytes"),
            Self::Bytes(Some(length)) => write!(f, "bytes{length}"),
            Self::Text(None) => write!(f, "text"),
            Self::Text(Some(length)) => write!(f, "text{length}"),
        }
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Written> for At {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let text = match written {
            Written::Number(byte) => byte.to_string(),
            Written::Text(text) => text,
        };
        let malformed = || format!("`at = {text:?}` is neither a byte (5) nor a byte and bit (\"5.3\")");
        let (byte, bit) = text.split_once('.').unwrap_or((&text, "0"));
        let (byte, bit): (usize, usize) =
            (byte.parse().map_err(|_| malformed())?, bit.parse().map_err(|_| malformed())?);
        if byte > 255 || bit > 7 { Err(malformed()) } else { Ok(Self { bits: byte * 8 + bit }) }
    }
}

impl TryFrom<Written> for Repeat {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Ok(match written {
            Written::Number(0) => return Err("`repeat = 0` leaves nothing to read".to_owned()),
            Written::Number(times) => Self::Times(times),
            Written::Text(text) if text == "rest" => Self::Rest,
            Written::Text(text) => Self::Count(text),
        })
    }
}

impl From<OneOrMany> for Ports {
    fn from(ports: OneOrMany) -> Self {
        match ports {
            OneOrMany::One(port) => Self(vec![port]),
            OneOrMany::Many(ports) => Self(ports),
        }
    }
}
