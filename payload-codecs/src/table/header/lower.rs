//! From the table as it is written to the layout in C.

use super::HeaderError;
use super::layout::{Length, Message, Number, Part, Parts, Shape, Slot, Step, Times, What};
use super::names::{self, Names, macro_part, member, part};
use crate::table::encode::LONGEST_PAYLOAD;
use crate::table::layout::{least_bits, least_bits_of};
use crate::table::model::{self, Endian, Field, Repeat, Type};

/// Makes layouts of messages, for one header.
#[derive(Debug)]
pub(super) struct Lowering<'n> {
    endian: Endian,
    prefix: String,
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

/// Fields in a row while their steps are collected.
#[derive(Default)]
struct Row<'t> {
    steps: Vec<Step<'t>>,
    /// Where the next field lies, and behind all so far: in bits from the beginning of the message, part or group, and at
    /// the most, behind a list.
    next: usize,
    end: usize,
    /// The step that opened what the payload may end before, and whether any of it shows.
    open: Option<(usize, bool)>,
}

impl<'n> Lowering<'n> {
    /// For a header whose identifiers and macros begin so.
    pub(super) fn new(endian: Endian, prefix: &str, macros: &str, globals: &'n mut Names) -> Self {
        Self { endian, prefix: prefix.to_owned(), macros: macros.to_owned(), globals }
    }

    /// The messages of one direction; the only one may go without a name of its own. One that shares its name with a
    /// message of the `other` direction says which it is.
    pub(super) fn direction<'t>(
        &mut self,
        direction: &str,
        messages: &'t [model::Message],
        other: &[model::Message],
    ) -> Result<Vec<Message<'t>>, HeaderError> {
        let name = |message: &model::Message| match &message.name {
            Some(name) if other.iter().any(|other| other.name == message.name) => Ok(format!("{name}_{direction}")),
            Some(name) => Ok(name.clone()),
            None if messages.len() == 1 => Ok(direction.to_owned()),
            None => Err(HeaderError::Unnamed(direction.to_owned())),
        };
        messages.iter().map(|message| self.message(&name(message)?, message)).collect()
    }

    fn message<'t>(&mut self, name: &str, message: &'t model::Message) -> Result<Message<'t>, HeaderError> {
        let mut scope = self.scope(None, name, 0)?;
        let (mut steps, bits) = self.steps(&mut scope, &message.fields)?;
        if !bits.is_multiple_of(8) {
            steps.push(Step::Align);
        }
        scope.before = bits.next_multiple_of(8);
        let mut parts = None;
        if let Some(tag) = message.tag {
            parts = Some(self.parts(&mut scope, self.number(tag, None), &message.parts)?);
        }
        let size = (scope.before / 8).min(LONGEST_PAYLOAD);
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
            let has = if part.fields.is_empty() { member(&name)? } else { format!("has_{}", names::part(&name)?) };
            scope.members.take(&has, &name)?;
            scope.before = first + tag.bits;
            let (mut steps, bits) = self.steps(scope, &part.fields)?;
            if !(tag.bits + bits).is_multiple_of(8) {
                steps.push(Step::Align);
            }
            sum += (tag.bits + bits).next_multiple_of(8);
            let members = part.fields.iter().flat_map(Field::keys).collect();
            lowered.push(Part { tag: part.tag, has, friendly_name: part.friendly_name.as_deref(), members, steps });
        }
        scope.before = sum;
        Ok(Parts { tag, parts: lowered })
    }

    /// The steps through fields in a row, and how many bits they have at the most.
    fn steps<'t>(&mut self, scope: &mut Scope, fields: &'t [Field]) -> Result<(Vec<Step<'t>>, usize), HeaderError> {
        let (mut row, before) = (Row::default(), scope.before);
        for field in fields {
            row.seek(field.at.map_or(row.next, |at| at.bits));
            if field.optional {
                row.open(least_bits_of(field));
            }
            if let Some(name) = shown(field) {
                row.name(scope, name)?;
            }
            scope.before = before + row.next;
            let (what, bits) = self.what(scope, field)?;
            row.steps.push(Step::Slot(Slot { field, what }));
            row.next += bits;
            row.end = row.end.max(row.next);
        }
        Ok(row.close())
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
        let room = (LONGEST_PAYLOAD * 8).saturating_sub(scope.before) / least_bits(&field.fields).max(8);
        let times = times(scope, field, &member, room.max(1))?;
        let most = match times {
            Times::Once => 1,
            Times::Fixed(most) | Times::Counted { most, .. } | Times::Rest { most, .. } => most,
        };
        Ok((What::Group { member, shape: inner.shape(steps), times }, bits * most))
    }

    /// A struct named after its message, or after the groups it is in.
    fn scope(&mut self, outer: Option<&Scope>, word: &str, before: usize) -> Result<Scope, HeaderError> {
        let plain = part(word)?;
        let (name, macros) = match outer {
            None => (plain, format!("{}_{}", self.macros, macro_part(word))),
            Some(outer) => (format!("{}_{plain}", outer.name), format!("{}_{}", outer.macros, macro_part(word))),
        };
        self.globals.take(&format!("{}_{name}", self.prefix), word)?;
        Ok(Scope { name, macros, members: Names::default(), before })
    }

    fn number(&self, kind: Type, endian: Option<Endian>) -> Number {
        Number { kind, bits: kind.bits().unwrap_or(0), endian: endian.unwrap_or(self.endian) }
    }
}

impl<'t> Row<'t> {
    fn seek(&mut self, start: usize) {
        if start != self.next {
            self.steps.push(Step::Seek(start));
            self.next = start;
        }
    }

    /// The payload may end before the next field, of so many bits. Padding that may be missing belongs to what follows it.
    fn open(&mut self, more: usize) {
        if let Some((at, false)) = self.open
            && let Step::Open { bits, .. } = &mut self.steps[at]
        {
            *bits += more;
            return;
        }
        if self.open.is_some() {
            self.steps.push(Step::Close);
        }
        self.open = Some((self.steps.len(), false));
        self.steps.push(Step::Open { has: String::new(), bits: more });
    }

    /// A field that shows is next: the first behind an end of the payload tells whether that was the end.
    fn name(&mut self, scope: &mut Scope, name: &str) -> Result<(), HeaderError> {
        let Some((at, shows @ false)) = &mut self.open else { return Ok(()) };
        let member = format!("has_{}", part(name)?);
        scope.members.take(&member, name)?;
        if let Step::Open { has, .. } = &mut self.steps[*at] {
            *has = member;
        }
        *shows = true;
        Ok(())
    }

    fn close(mut self) -> (Vec<Step<'t>>, usize) {
        self.seek(self.end);
        match self.open {
            None => {}
            Some((_, true)) => self.steps.push(Step::Close),
            // Nobody can tell whether padding at the end is there.
            Some((at, false)) => self.steps.truncate(at),
        }
        (self.steps, self.end)
    }
}

impl Scope {
    /// Takes the member of a field; the word too that it is made of.
    fn member<'t>(&mut self, field: &'t Field) -> Result<(String, &'t str), HeaderError> {
        // Only a text that is searched goes without a name and is still more than padding.
        let word = field.name.as_deref().unwrap_or("text");
        let member = member(word)?;
        self.members.take(&member, word)?;
        Ok((member, word))
    }

    fn shape<'t>(self, steps: Vec<Step<'t>>) -> Shape<'t> {
        Shape { name: self.name, macros: self.macros, steps }
    }
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
        let member = member(&flag.name)?;
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
            let most = LONGEST_PAYLOAD.saturating_sub(scope.before / 8).max(1);
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
    let most = field.most.unwrap_or(room).min(LONGEST_PAYLOAD);
    match &field.repeat {
        None => Ok(Times::Once),
        Some(Repeat::Times(times)) => Ok(Times::Fixed(*times)),
        Some(Repeat::Count(name)) => Ok(Times::Counted { count: names::member(name)?, most }),
        Some(Repeat::Rest) => {
            let count = format!("{member}_count");
            scope.members.take(&count, member)?;
            Ok(Times::Rest { count, most })
        }
    }
}

/// The first name under which the field shows in decoded data.
fn shown(field: &Field) -> Option<&str> {
    field.keys().next()
}
