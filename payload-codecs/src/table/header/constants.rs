//! Macros and enums: ports, sizes, and the raw numbers that have a name.

use super::HeaderError;
use super::code::Code;
use super::layout::{Message, Number, Shape, Slot, Step, What};
use super::names::{Names, macro_part, macros};
use super::range::literal;
use crate::table::model::{Field, Type};

/// Writes the constants of one header.
#[derive(Debug)]
pub(super) struct Constants<'h> {
    pub(super) prefix: &'h str,
    /// What is called something already.
    pub(super) names: &'h mut Names,
}

impl Constants<'_> {
    /// What a message is sent on, how long it gets, and what its fields' raw numbers are called.
    pub(super) fn message(&mut self, code: &mut Code, message: &Message<'_>) -> Result<(), HeaderError> {
        let macros = &message.shape.macros;
        if let [first, others @ ..] = message.ports {
            let others: Vec<_> = others.iter().map(u8::to_string).collect();
            let others = if others.is_empty() { String::new() } else { format!("  /* also {} */", others.join(", ")) };
            self.define(code, "PORT", macros, &message.shape.name, &format!("{first}{others}"))?;
        }
        self.define(code, "SIZE", macros, &message.shape.name, &format!("{}  /* bytes, at the most */", message.size))?;
        for group in message.groups() {
            self.steps(code, group, &group.steps)?;
        }
        self.steps(code, &message.shape, &message.shape.steps)?;
        let mut parts = message.parts.iter().flat_map(|parts| &parts.parts);
        parts.try_for_each(|part| self.steps(code, &message.shape, &part.steps))
    }

    fn steps(&mut self, code: &mut Code, shape: &Shape<'_>, steps: &[Step<'_>]) -> Result<(), HeaderError> {
        for step in steps {
            if let Step::Slot(Slot { field, what: What::Scalar { number, .. }, .. }) = step {
                self.scalar(code, shape, field, *number)?;
            }
        }
        Ok(())
    }

    fn scalar(&mut self, code: &mut Code, shape: &Shape<'_>, field: &Field, number: Number) -> Result<(), HeaderError> {
        let macros = macros(shape, field);
        if let Some(absent) = field.absent {
            let word = field.name.as_deref().unwrap_or_default();
            self.define(code, "ABSENT", &macros, word, &literal(number.raw(absent)))?;
        }
        for flag in field.flags.iter().flatten() {
            self.define(code, &macro_part(&flag.name), &macros, &flag.name, &format!("{:#x}u", 1_u64 << flag.bit))?;
        }
        match field.values.is_some() && !matches!(number.kind, Type::Boolean(_)) {
            true => self.values(code, &macros, shape, field),
            false => Ok(()),
        }
    }

    /// The names of raw numbers: an enum if each fits the least `int` that C allows, else macros.
    fn values(&mut self, code: &mut Code, macros: &str, shape: &Shape<'_>, field: &Field) -> Result<(), HeaderError> {
        let (named, word) = (value_names(field), field.name.as_deref().unwrap_or_default());
        if named.iter().any(|(raw, _)| i16::try_from(*raw).is_err()) {
            return named.iter().try_for_each(|(raw, name)| self.define(code, name, macros, word, &literal(*raw)));
        }
        let tag = format!("{}_{}_{}", self.prefix, shape.name, macro_part(word).to_ascii_lowercase());
        self.names.take(&tag, word)?;
        named.iter().try_for_each(|(_, name)| self.names.take(&format!("{macros}_{name}"), word))?;
        code.definition(format!("enum {tag}"), |code| {
            named.iter().for_each(|(raw, name)| code.line(format!("{macros}_{name} = {raw},")));
        });
        Ok(())
    }

    /// A macro called `name` behind what the macros of its field or message, `word` in the table, begin with.
    fn define(
        &mut self,
        code: &mut Code,
        name: &str,
        macros: &str,
        word: &str,
        value: &str,
    ) -> Result<(), HeaderError> {
        let name = format!("{macros}_{name}");
        self.names.take(&name, word)?;
        code.line(format!("#define {name} {value}"));
        Ok(())
    }
}

/// Raw numbers and their labels as parts of macros; with the number where a label would be nothing, or like another.
fn value_names(field: &Field) -> Vec<(i128, String)> {
    let mut named: Vec<(i128, String)> = Vec::new();
    let numbers = field.values.iter().flatten().filter_map(|(raw, label)| Some((raw.parse::<i128>().ok()?, label)));
    for (raw, label) in numbers {
        let number = if raw < 0 { format!("MINUS_{}", -raw) } else { raw.to_string() };
        let name = match macro_part(label) {
            label if label.is_empty() => number,
            label if named.iter().any(|(_, taken)| *taken == label) => format!("{label}_{number}"),
            label => label,
        };
        named.push((raw, name));
    }
    named.sort_unstable();
    named
}
