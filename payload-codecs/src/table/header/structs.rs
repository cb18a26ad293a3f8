//! Structs of raw numbers, with comments that say what a number is worth.

use super::code::Code;
use super::layout::{Length, Message, Number, Part, Shape, Slot, Step, Times, What};
use super::names::{comment, macros};
use super::range::raw_range;
use crate::table::model::{Field, Type};

/// Declares the structs of one header.
#[derive(Debug)]
pub(super) struct Structs<'h> {
    pub(super) prefix: &'h str,
}

/// A line in a struct.
struct Member {
    declaration: String,
    comment: String,
}

impl Structs<'_> {
    /// The struct of a message; those of its groups stand before it.
    pub(super) fn message(&self, code: &mut Code, message: &Message<'_>) {
        let shape = &message.shape;
        let mut members: Vec<_> = shape.steps.iter().flat_map(|step| self.members(shape, step)).collect();
        for part in message.parts.iter().flat_map(|parts| &parts.parts) {
            members.push(Member::new(format!("bool {};", part.has), part_comment(part)));
            members.extend(part.steps.iter().flat_map(|step| self.members(shape, step)));
        }
        self.structure(code, &shape.name, members);
    }

    /// The struct of a group.
    pub(super) fn group(&self, code: &mut Code, shape: &Shape<'_>) {
        self.structure(code, &shape.name, shape.steps.iter().flat_map(|step| self.members(shape, step)).collect());
    }

    /// A struct with its comments in one column.
    fn structure(&self, code: &mut Code, name: &str, mut members: Vec<Member>) {
        if members.is_empty() {
            members.push(Member::new("uint8_t nothing;".into(), "C has no empty structs".into()));
        }
        let width = members.iter().map(|member| member.declaration.len()).max().unwrap_or(0);
        code.definition(format!("struct {}_{name}", self.prefix), |code| {
            for Member { declaration, comment } in members {
                match comment.as_str() {
                    "" => code.line(declaration),
                    comment => code.line(format!("{declaration:width$}  /* {comment} */")),
                }
            }
        });
    }

    fn members(&self, shape: &Shape<'_>, step: &Step<'_>) -> Vec<Member> {
        let Slot { field, what } = match step {
            Step::Slot(slot) => slot,
            Step::Open { has, .. } => {
                return vec![Member::new(format!("bool {has};"), "if not, the payload ends here".into())];
            }
            Step::Seek(_) | Step::Align | Step::Close => return Vec::new(),
        };
        match what {
            What::Padding(_) | What::Constant(..) => Vec::new(),
            What::Scalar { member, number } => {
                let comment = Self::scalar_comment(shape, field, *number);
                vec![Member::new(format!("{} {member};", number.c_type()), comment)]
            }
            What::Flags { members, .. } => flag_members(field, members),
            What::Run { member, text, length } => run_members(field, member, *text, length),
            What::Group { member, shape, times } => self.group_members(field, member, shape, times),
        }
    }

    fn group_members(&self, field: &Field, member: &str, shape: &Shape<'_>, times: &Times) -> Vec<Member> {
        let kind = format!("struct {}_{}", self.prefix, shape.name);
        let friendly = || friendly(field).into_iter().collect::<Vec<_>>();
        let array = |most: &usize, comment: String| Member::new(format!("{kind} {member}[{most}];"), comment);
        match times {
            Times::Once => vec![Member::new(format!("{kind} {member};"), friendly().concat())],
            Times::Fixed(times) => vec![array(times, friendly().concat())],
            Times::Counted { count, most } => {
                let comment = [friendly(), vec![format!("{count} says how many there are")]].concat().join("; ");
                vec![array(most, comment)]
            }
            Times::Rest { count, most } => vec![
                Member::new(format!("uint8_t {count};"), format!("how many of {member} there are")),
                array(most, friendly().concat()),
            ],
        }
    }

    fn scalar_comment(shape: &Shape<'_>, field: &Field, number: Number) -> String {
        let macros = macros(shape, field);
        let mut parts: Vec<String> = friendly(field).into_iter().chain(worth(field, number)).collect();
        if field.values.is_some() && !matches!(number.kind, Type::Boolean(_)) {
            parts.push(format!("one of {macros}_…"));
        }
        if field.flags.is_some() {
            parts.push(format!("bits of {macros}_…"));
        }
        if let Some((least, greatest)) = raw_range(field, number) {
            parts.push(format!("{least} to {greatest}"));
        }
        if field.absent.is_some() {
            parts.push(format!("{macros}_ABSENT for none"));
        }
        parts.join("; ")
    }
}

impl Member {
    fn new(declaration: String, comment: String) -> Self {
        Self { declaration, comment }
    }
}

fn flag_members(field: &Field, members: &[(String, u8)]) -> Vec<Member> {
    let flags = members.iter().zip(field.flags.iter().flatten());
    let member = |((member, _), flag): (&(String, u8), &crate::table::model::Flag)| {
        let friendly = flag.friendly_name.as_deref().filter(|name| !name.eq_ignore_ascii_case(&flag.name));
        Member::new(format!("bool {member};"), friendly.map(comment).unwrap_or_default())
    };
    flags.map(member).collect()
}

fn run_members(field: &Field, member: &str, text: bool, length: &Length) -> Vec<Member> {
    let friendly = friendly(field).unwrap_or_default();
    let bytes = |size: &usize| Member::new(format!("uint8_t {member}[{size}];"), friendly.clone());
    match (text, length) {
        (true, Length::Fixed(most) | Length::Rest { most, .. }) => {
            let comment =
                [friendly.as_str(), "UTF-8 with a NUL at its end"].into_iter().filter(|part| !part.is_empty());
            let comment = comment.collect::<Vec<_>>().join("; ");
            vec![Member::new(format!("char {member}[{}];", most + 1), comment)]
        }
        (false, Length::Fixed(size)) => vec![bytes(size)],
        (false, Length::Rest { count, most }) => {
            vec![Member::new(format!("uint8_t {count};"), format!("how many bytes of {member} there are")), bytes(most)]
        }
    }
}

/// What a step of the raw number is worth, and what 0 is.
fn worth(field: &Field, number: Number) -> Option<String> {
    let unit = field.unit.as_deref().map(|unit| format!(" {}", comment(unit))).unwrap_or_default();
    let (scale, offset) = (field.scale.unwrap_or(1.0), field.offset.unwrap_or(0.0));
    let step = match scale {
        1.0 if unit.is_empty() => None,
        1.0 => Some(format!("in{unit}")),
        _ if matches!(number.kind, Type::Float(_)) => Some(format!("times {scale}{unit}")),
        _ => Some(format!("in steps of {scale}{unit}")),
    };
    let zero = (offset != 0.0).then(|| format!("0 is {offset}{unit}"));
    let worth: Vec<_> = step.into_iter().chain(zero).collect();
    (!worth.is_empty()).then(|| worth.join(", "))
}

/// What people call it, if that says more than the name of its member.
fn friendly(field: &Field) -> Option<String> {
    let name = field.friendly_name.as_deref()?;
    let says_more = !field.name.as_ref().is_some_and(|key| key.eq_ignore_ascii_case(name));
    says_more.then(|| comment(name))
}

fn part_comment(part: &Part<'_>) -> String {
    match part.friendly_name {
        Some(name) => comment(name),
        None if part.members.len() < 2 => String::new(),
        None => format!("whether there are {}", part.members.join(", ")),
    }
}
