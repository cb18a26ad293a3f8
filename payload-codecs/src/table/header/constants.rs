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
    /// The macros and enum constants there are.
    pub(super) names: &'h mut Names,
}

impl Constants<'_> {
    /// What a message is sent on, how long it gets, and what its fields' raw numbers are called.
    pub(super) fn message(&mut self, code: &mut Code, message: &Message<'_>) -> Result<(), HeaderError> {
        let macros = &message.shape.macros;
        if let [first, others @ ..] = message.ports {
            let others: Vec<_> = others.iter().map(u8::to_string).collect();
            let others = if others.is_empty() { String::new() } else { format!("  /* also {} */", others.join(", ")) };
            self.define(code, format!("{macros}_PORT"), &format!("{first}{others}"))?;
        }
        self.define(code, format!("{macros}_SIZE"), &format!("{}  /* bytes, at the most */", message.size))?;
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

    fn scalar(
        &mut self,
        code: &mut Code,
        shape: &Shape<'_>,
        field: &Field,
        number: Number,
    ) -> Result<(), HeaderError> {
        let macros = macros(shape, field);
        if let Some(absent) = field.absent {
            self.define(code, format!("{macros}_ABSENT"), &literal(number.raw(absent)))?;
        }
        for flag in field.flags.iter().flatten() {
            let name = format!("{macros}_{}", macro_part(&flag.name));
            self.define(code, name, &format!("{:#x}u", 1_u64 << flag.bit))?;
        }
        match field.values.is_some() && !matches!(number.kind, Type::Boolean(_)) {
            true => self.values(code, &macros, &enum_name(self.prefix, shape, field), field),
            false => Ok(()),
        }
    }

    /// The names of raw numbers: an enum if each fits the least `int` that C allows, else macros.
    fn values(&mut self, code: &mut Code, macros: &str, name: &str, field: &Field) -> Result<(), HeaderError> {
        let mut named: Vec<(i128, String)> = Vec::new();
        for (raw, label) in field.values.iter().flatten() {
            let raw = raw.parse().map_err(|_| HeaderError::NoNumber(raw.clone()))?;
            named.push((raw, value_name(macros, label, raw, &named)));
        }
        named.sort_unstable();
        if named.iter().any(|(raw, _)| i16::try_from(*raw).is_err()) {
            code.line(format!("/* {name} */"));
            return named.into_iter().try_for_each(|(raw, name)| self.define(code, name, &literal(raw)));
        }
        named.iter().try_for_each(|(_, name)| self.names.take(name, name))?;
        code.definition(format!("enum {name}"), |code| {
            named.iter().for_each(|(raw, name)| code.line(format!("{name} = {raw},")));
        });
        Ok(())
    }

    fn define(&mut self, code: &mut Code, name: String, value: &str) -> Result<(), HeaderError> {
        self.names.take(&name, &name)?;
        code.line(format!("#define {name} {value}"));
        Ok(())
    }
}

/// What the enum of a field's `values` is called.
pub(super) fn enum_name(prefix: &str, shape: &Shape<'_>, field: &Field) -> String {
    let word = macro_part(field.name.as_deref().unwrap_or_default());
    format!("{prefix}_{}_{}", shape.name, word.to_ascii_lowercase())
}

/// The label as a constant; with its number where that would be nothing, or what another is called.
fn value_name(macros: &str, label: &str, raw: i128, named: &[(i128, String)]) -> String {
    let number = if raw < 0 { format!("MINUS_{}", -raw) } else { raw.to_string() };
    let word = macro_part(label);
    let name = if word.is_empty() { format!("{macros}_{number}") } else { format!("{macros}_{word}") };
    if named.iter().any(|(_, taken)| *taken == name) { format!("{name}_{number}") } else { name }
}
