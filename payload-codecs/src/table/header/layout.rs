//! A table as C sees it: structs with members, and the steps in which each is written and read.

use crate::table::model::{Endian, Field, Type};

/// A message: a struct, and how it goes over the air.
#[derive(Debug)]
pub(super) struct Message<'t> {
    pub(super) shape: Shape<'t>,
    /// The ports it comes or goes on; none stands for any.
    pub(super) ports: &'t [u8],
    /// What follows the fields, if the message has tags.
    pub(super) parts: Option<Parts<'t>>,
    /// The most bytes it can have.
    pub(super) size: usize,
}

/// The parts of a tagged message.
#[derive(Debug)]
pub(super) struct Parts<'t> {
    pub(super) tag: Number,
    pub(super) parts: Vec<Part<'t>>,
}

/// One part: the fields behind a tag.
#[derive(Debug)]
pub(super) struct Part<'t> {
    pub(super) tag: u64,
    /// The boolean member that says that the part is there.
    pub(super) has: String,
    /// What people call it, if it has no fields.
    pub(super) friendly_name: Option<&'t str>,
    /// What else comes with it.
    pub(super) members: Vec<&'t str>,
    pub(super) steps: Vec<Step<'t>>,
}

/// A struct: that of a message or of a group.
#[derive(Debug)]
pub(super) struct Shape<'t> {
    /// What its functions end in: `uplink_channels`.
    pub(super) name: String,
    /// What its macros begin with: `NODE_UPLINK_CHANNELS`.
    pub(super) macros: String,
    pub(super) steps: Vec<Step<'t>>,
}

/// What is done next with the cursor.
#[derive(Debug)]
pub(super) enum Step<'t> {
    /// It goes to so many bits behind the beginning of the message, part or group.
    Seek(usize),
    /// It goes on to the next byte, if it is within one.
    Align,
    /// The payload may end before what comes until `Close`. The boolean member says that it does not: then so many bits
    /// follow at least.
    Open {
        has: String,
        bits: usize,
    },
    Close,
    /// A field is written or read.
    Slot(Slot<'t>),
}

/// A field in its struct.
#[derive(Debug)]
pub(super) struct Slot<'t> {
    pub(super) field: &'t Field,
    pub(super) what: What<'t>,
}

/// What a field is in C.
#[derive(Debug)]
pub(super) enum What<'t> {
    /// So many zero bits without a member.
    Padding(usize),
    /// A number that is always the same, as its bits.
    Constant(Number, u64),
    /// A number, float or boolean.
    Scalar { member: String, number: Number },
    /// A boolean for each named bit of a number.
    Flags { number: Number, members: Vec<(String, u8)> },
    /// Bytes or text.
    Run { member: String, text: bool, length: Length },
    /// A struct, or an array of them.
    Group { member: String, shape: Shape<'t>, times: Times },
}

/// The bits of a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    pub(super) kind: Type,
    pub(super) bits: usize,
    pub(super) endian: Endian,
}

/// How long bytes or a text are.
#[derive(Debug)]
pub(super) enum Length {
    Fixed(usize),
    /// They end with the payload; there is room for so many. `count` is the member with the length of bytes.
    Rest {
        count: String,
        most: usize,
    },
}

/// How often a group comes.
#[derive(Debug)]
pub(super) enum Times {
    /// Once: a struct, not an array.
    Once,
    /// As often as the array is long.
    Fixed(usize),
    /// As the member `count` says, at the most as often as the array is long.
    Counted { count: String, most: usize },
    /// Until the payload ends; the member `count` says how often that is.
    Rest { count: String, most: usize },
}

impl Number {
    /// The type that holds it.
    pub(super) fn c_type(self) -> &'static str {
        match (self.kind, self.bits) {
            (Type::Boolean(_), _) => "bool",
            (Type::Float(_), 0..=32) => "float",
            (Type::Float(_), _) => "double",
            (Type::Signed(_), 0..=8) => "int8_t",
            (Type::Signed(_), 9..=16) => "int16_t",
            (Type::Signed(_), 17..=32) => "int32_t",
            (Type::Signed(_), _) => "int64_t",
            (_, 0..=8) => "uint8_t",
            (_, 9..=16) => "uint16_t",
            (_, 17..=32) => "uint32_t",
            (_, _) => "uint64_t",
        }
    }

    /// `be` or `le`, as the functions of the cursor end in.
    pub(super) fn order(self) -> &'static str {
        match self.endian {
            Endian::Big => "be",
            Endian::Little => "le",
        }
    }

    /// The raw number as an integer: `0x8000` of 16 signed bits is -32768.
    pub(super) fn raw(self, written: i64) -> i128 {
        let bits = self.pattern(written) as i128;
        let signed = matches!(self.kind, Type::Signed(_));
        if signed && bits >> (self.bits - 1) == 1 { bits - (1 << self.bits) } else { bits }
    }

    /// The bits of a raw number.
    pub(super) fn pattern(self, written: i64) -> u64 {
        written as u64 & (u64::MAX >> (64 - self.bits))
    }
}

impl Shape<'_> {
    /// Whether nothing in it has a member: only padding and constants.
    pub(super) fn is_empty(&self) -> bool {
        let bare = |slot: &Slot<'_>| matches!(slot.what, What::Padding(_) | What::Constant(..));
        self.steps.iter().all(|step| !matches!(step, Step::Slot(slot) if !bare(slot)))
    }

    /// The groups in it, those in groups before what holds them.
    pub(super) fn groups(&self) -> Vec<&Shape<'_>> {
        groups(&self.steps)
    }
}

impl Message<'_> {
    /// The groups in its fields and parts, those in groups before what holds them.
    pub(super) fn groups(&self) -> Vec<&Shape<'_>> {
        let parts = self.parts.iter().flat_map(|parts| &parts.parts);
        self.shape.groups().into_iter().chain(parts.flat_map(|part| groups(&part.steps))).collect()
    }
}

fn groups<'s>(steps: &'s [Step<'_>]) -> Vec<&'s Shape<'s>> {
    let mut found = Vec::new();
    for step in steps {
        if let Step::Slot(Slot { what: What::Group { shape, .. }, .. }) = step {
            found.extend(groups(&shape.steps));
            found.push(shape);
        }
    }
    found
}

/// Whether the steps need to know where their message, part or group begins.
pub(super) fn seek(steps: &[Step<'_>]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Seek(_)))
}
