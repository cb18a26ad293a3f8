//! From the table as it is written to the layout in C.

use super::HeaderError;
use super::layout::{LONGEST, Length, Message, Number, Optional, Part, Parts, Shape, Slot, Step, Times, What};
use super::names::{Names, identifier, macro_part};
use crate::table::layout::{least_bits, least_bits_of};
use crate::table::model::{self, Endian, Field, Repeat, Type};

/// Makes layouts of messages, for one header.
#[derive(Debug)]
pub(super) struct Lowering<'n> {
    endian: Endian,
    macros: String,
    globals: &'n mut Names,
}

/// A struct while its members are collected.
struct Scope {
    name: String,
    macros: String,
    members: Names,
    /// The most bits of the payload before the fields that come next.
    before: usize,
}

/// Where the next field lies, in bits from the beginning of its message, part or group: at the most, behind a list.
#[derive(Clone, Copy, Default)]
struct Place {
    next: usize,
    end: usize,
    /// Whether a list came before, so that `next` and `end` depend on the payload.
    varies: bool,
}

impl<'n> Lowering<'n> {
    /// For a header whose macros begin so.
    pub(super) fn new(endian: Endian, macros: &str, globals: &'n mut Names) -> Self {
        Self { endian, macros: macros.to_owned(), globals }
    }

    /// The messages of one direction; the only one may go without a name of its own.
    pub(super) fn direction<'t>(
        &mut self,
        messages: &'t [model::Message],
        direction: &str,
    ) -> Result<Vec<Message<'t>>, HeaderError> {
        let alone = messages.len() == 1;
        let named = messages.iter().map(|message| match &message.name {
            Some(name) => Ok((name.as_str(), message)),
            None if alone => Ok((direction, message)),
            None => Err(HeaderError::Unnamed(direction.to_owned())),
        });
        named.map(|named| named.and_then(|(name, message)| self.message(name, message))).collect()
    }

    fn message<'t>(&mut self, name: &str, message: &'t model::Message) -> Result<Message<'t>, HeaderError> {
        let mut scope = self.scope(None, name, 0)?;
        let (mut steps, bits) = self.steps(&mut scope, &message.fields)?;
        if bits % 8 != 0 {
            steps.push(Step::Align);
        }
        scope.before = bits.next_multiple_of(8);
        let mut parts = None;
        if let Some(tag) = message.tag {
            parts = Some(self.parts(&mut scope, self.number(tag, None), &message.parts)?);
        }
        let size = (scope.before / 8).min(LONGEST);
        Ok(Message { shape: scope.shape(steps), ports: &message.port.0, parts, size })
    }

    /// The parts; the scope's `before` grows by all of them.
    fn parts<'t>(
        &mut self,
        scope: &mut Scope,
        tag: Number,
        parts: &'t [model::Part],
    ) -> Result<Parts<'t>, HeaderError> {
        let first = scope.before;
        let mut sum = first;
        let mut lowered = Vec::new();
        for part in parts {
            let name = part.name.as_deref().or_else(|| part.fields.iter().find_map(shown));
            let name = name.map_or_else(|| format!("part_{}", part.tag), str::to_owned);
            let has = if part.fields.is_empty() { identifier(&name)? } else { format!("has_{}", identifier(&name)?) };
            scope.members.take(&has, &name)?;
            scope.before = first + tag.bits;
            let (mut steps, bits) = self.steps(scope, &part.fields)?;
            if (tag.bits + bits) % 8 != 0 {
                steps.push(Step::Align);
            }
            sum += (tag.bits + bits).next_multiple_of(8);
            lowered.push(Part { tag: part.tag, has, friendly_name: part.friendly_name.as_deref(), steps });
        }
        scope.before = sum;
        Ok(Parts { tag, parts: lowered })
    }

    /// The steps through fields in a row, and how many bits they have at the most.
    fn steps<'t>(&mut self, scope: &mut Scope, fields: &'t [Field]) -> Result<(Vec<Step<'t>>, usize), HeaderError> {
        let (mut steps, mut place, before) = (Vec::new(), Place::default(), scope.before);
        for field in fields {
            if place.varies && field.at.is_some() {
                return Err(HeaderError::BehindList(scope.word(field)));
            }
            if field.optional && place.end > place.next {
                steps.push(Step::Seek(place.end));
                place.next = place.end;
            }
            let start = field.at.map_or(place.next, |at| at.bits);
            scope.before = before + start;
            let optional = optional(scope, field, place.next, start)?;
            let (what, bits) = self.what(scope, field)?;
            place.varies |= what.varies();
            let seek = (start != place.next).then_some(start);
            place.next = start + bits;
            place.end = place.end.max(place.next);
            steps.push(Step::Slot(Slot { field, seek, optional, what }));
        }
        if place.end > place.next {
            steps.push(Step::Seek(place.end));
        }
        Ok((steps, place.end))
    }

    /// What a field is, and how many bits it has at the most.
    fn what<'t>(&mut self, scope: &mut Scope, field: &'t Field) -> Result<(What<'t>, usize), HeaderError> {
        match field.type_ {
            None => self.group(scope, field),
            Some(Type::Bytes(length)) => run(scope, field, length, false),
            Some(Type::Text(length)) => run(scope, field, length, true),
            Some(type_) => {
                let number = self.number(type_, field.endian);
                Ok((scalar(scope, field, number)?, number.bits))
            }
        }
    }

    fn group<'t>(&mut self, scope: &mut Scope, field: &'t Field) -> Result<(What<'t>, usize), HeaderError> {
        let (member, word) = scope.member(field)?;
        let mut inner = self.scope(Some(scope), word, scope.before)?;
        let (steps, bits) = self.steps(&mut inner, &field.fields)?;
        let room = (LONGEST * 8).saturating_sub(scope.before) / least_bits(&field.fields).max(8);
        let times = times(scope, field, &member, room.max(1))?;
        let most = match times {
            Times::Once => 1,
            Times::Fixed(most) | Times::Counted { most, .. } | Times::Rest { most, .. } => most,
        };
        Ok((What::Group { member, shape: inner.shape(steps), times }, bits * most))
    }

    /// A struct named after its message, or after the groups it is in.
    fn scope(&mut self, outer: Option<&Scope>, word: &str, before: usize) -> Result<Scope, HeaderError> {
        let plain = identifier(word)?;
        let plain = plain.trim_matches('_');
        let (name, macros) = match outer {
            None => (plain.to_owned(), format!("{}_{}", self.macros, macro_part(word))),
            Some(outer) => (format!("{}_{plain}", outer.name), format!("{}_{}", outer.macros, macro_part(word))),
        };
        self.globals.take(&name, word)?;
        Ok(Scope { name, macros, members: Names::default(), before })
    }

    fn number(&self, kind: Type, endian: Option<Endian>) -> Number {
        Number { kind, bits: kind.bits().unwrap_or(0), endian: endian.unwrap_or(self.endian) }
    }
}

impl Scope {
    /// Takes the member of a field; the word too that it is made of.
    fn member<'t>(&mut self, field: &'t Field) -> Result<(String, &'t str), HeaderError> {
        // Only a text that is searched goes without a name and is still more than padding.
        let word = field.name.as_deref().unwrap_or("text");
        let member = identifier(word)?;
        self.members.take(&member, word)?;
        Ok((member, word))
    }

    /// What messages call a field: its struct and its name.
    fn word(&self, field: &Field) -> String {
        format!("{}.{}", self.name, shown(field).unwrap_or("(padding)"))
    }

    fn shape<'t>(self, steps: Vec<Step<'t>>) -> Shape<'t> {
        Shape { name: self.name, macros: self.macros, steps }
    }
}

impl What<'_> {
    /// Whether its length depends on the payload.
    fn varies(&self) -> bool {
        match self {
            Self::Run { length, .. } => matches!(length, Length::Rest { .. }),
            Self::Group { shape, times, .. } => {
                let inner = |step: &Step<'_>| matches!(step, Step::Slot(slot) if slot.what.varies());
                !matches!(times, Times::Once | Times::Fixed(_)) || shape.steps.iter().any(inner)
            }
            _ => false,
        }
    }
}

/// How an optional field at `start` says that it is there; `next` is where the cursor stands.
fn optional(scope: &mut Scope, field: &Field, next: usize, start: usize) -> Result<Option<Optional>, HeaderError> {
    let Some(name) = shown(field).filter(|_| field.optional) else { return Ok(None) };
    let has = format!("has_{}", identifier(name)?);
    scope.members.take(&has, name)?;
    Ok(Some(Optional { has, bits: start + least_bits_of(field) - next }))
}

fn scalar<'t>(scope: &mut Scope, field: &'t Field, number: Number) -> Result<What<'t>, HeaderError> {
    if let Some(equals) = field.equals {
        return Ok(What::Constant(number, number.pattern(equals)));
    }
    if field.name.is_some() {
        return Ok(What::Scalar { member: scope.member(field)?.0, number });
    }
    let Some(flags) = &field.flags else { return Ok(What::Padding(number.bits)) };
    let mut members = Vec::new();
    for flag in flags {
        let member = identifier(&flag.name)?;
        scope.members.take(&member, &flag.name)?;
        members.push((member, flag.bit));
    }
    Ok(What::Flags { number, members })
}

fn run<'t>(
    scope: &mut Scope,
    field: &'t Field,
    length: Option<u16>,
    text: bool,
) -> Result<(What<'t>, usize), HeaderError> {
    if let (None, None, Some(length)) = (&field.name, &field.find, length) {
        return Ok((What::Padding(usize::from(length) * 8), usize::from(length) * 8));
    }
    let (member, _) = scope.member(field)?;
    let (length, most) = match length {
        Some(length) => (Length::Fixed(length.into()), length.into()),
        None => {
            let most = LONGEST.saturating_sub(scope.before / 8).max(1);
            let count = format!("{member}_length");
            if !text {
                scope.members.take(&count, &member)?;
            }
            (Length::Rest { count, most }, most)
        }
    };
    Ok((What::Run { member, text, length }, most * 8))
}

/// How often a group comes if `room` is what the longest payload holds of it.
fn times(scope: &mut Scope, field: &Field, member: &str, room: usize) -> Result<Times, HeaderError> {
    let most = field.most.unwrap_or(room);
    match &field.repeat {
        None => Ok(Times::Once),
        Some(Repeat::Times(times)) => Ok(Times::Fixed(*times)),
        Some(Repeat::Count(name)) => Ok(Times::Counted { count: identifier(name)?, most }),
        Some(Repeat::Rest) => {
            let count = format!("{member}_count");
            scope.members.take(&count, member)?;
            Ok(Times::Rest { count, most })
        }
    }
}

/// The first name under which the field shows in decoded data.
fn shown(field: &Field) -> Option<&str> {
    let flag = || field.flags.iter().flatten().map(|flag| flag.name.as_str()).next();
    field.name.as_deref().or_else(flag)
}
