//! Made-up tables, with everything a table can say.

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

impl Spec {
    /// Whether it is in the decoded data.
    pub fn shows(&self) -> bool {
        self.name.is_some() || matches!(self.kind, Kind::Flags { .. })
    }

    /// Without a name or place.
    pub fn of(kind: Kind) -> Self {
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
    pub fn most_bits(&self) -> usize {
        match self {
            Self::List { fields, most, .. } => fields.iter().map(|field| field.kind.most_bits()).sum::<usize>() * most,
            Self::Group(fields) => fields.iter().map(|field| field.kind.most_bits()).sum(),
            other => other.fixed_bits().unwrap_or(20 * 8),
        }
    }

    /// Whether it must lie at a byte.
    pub fn needs_byte(&self) -> bool {
        matches!(self, Self::Bytes(_) | Self::Text(_) | Self::Group(_) | Self::List { .. })
    }

    pub fn nameless(&self) -> bool {
        matches!(self, Self::Padding(_) | Self::Constant { .. } | Self::Flags { .. })
    }

    pub fn is_number(&self) -> bool {
        !self.needs_byte() && !matches!(self, Self::Boolean(_))
    }
}

impl Message {
    pub fn most_bits(&self) -> usize {
        let parts = self.parts.iter().flat_map(|(_, fields)| fields);
        // What is shuffled may leave gaps.
        self.fields.iter().chain(parts).map(|field| field.kind.most_bits() + 16).sum::<usize>() + 16 * self.parts.len()
    }
}

/// The bits of fields in a row, gaps included.
pub fn sum(fields: &[Spec]) -> Option<usize> {
    let mut ends = Some((0, 0));
    for field in fields {
        let (next, end): (usize, usize) = ends?;
        let next = field.at.unwrap_or(next) + field.kind.fixed_bits()?;
        ends = Some((next, end.max(next)));
    }
    ends.map(|(_, end)| end)
}
