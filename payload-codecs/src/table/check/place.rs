//! Where in a table something is wrong.

use std::collections::HashSet;

use crate::table::encode::LONGEST_PAYLOAD;
use crate::table::{Field, Message, TableError};

/// A message, and a field or part in it.
#[derive(Clone, Default)]
pub(super) struct Place {
    message: Option<String>,
    field: Option<String>,
}

impl Place {
    pub fn of_message(direction: &str, index: usize, message: &Message) -> Self {
        let which = message.name.as_ref().map_or_else(|| (index + 1).to_string(), |name| format!("`{name}`"));
        Self { message: Some(format!("{direction} {which}")), field: None }
    }

    pub fn part(&self, index: usize) -> Self {
        self.inside(format!("part {}", index + 1))
    }

    pub fn field(&self, index: usize, field: &Field) -> Self {
        self.inside(field.keys().next().map_or_else(|| format!("number {}", index + 1), str::to_owned))
    }

    fn inside(&self, step: String) -> Self {
        let field = self.field.as_ref().map_or(step.clone(), |outer| format!("{outer}.{step}"));
        Self { message: self.message.clone(), field: Some(field) }
    }

    /// The error that says so.
    pub fn wrong(&self, key: &'static str, reason: impl Into<String>) -> TableError {
        TableError::Invalid { message: self.message.clone(), field: self.field.clone(), key, reason: reason.into() }
    }

    /// Keys become parts of JSON paths, topics and C identifiers.
    pub fn is_name(&self, key: &'static str, name: &str) -> Result<(), TableError> {
        let mut characters = name.chars();
        let starts = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if starts && characters.all(|character| character.is_ascii_alphanumeric() || character == '_') {
            return Ok(());
        }
        Err(self.wrong(key, format!("`{name}` must be letters (a to z), digits and _, and begin with no digit")))
    }

    /// No two fields may stand for one key.
    pub fn unique<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Result<(), TableError> {
        let mut seen = HashSet::new();
        let twice = keys.into_iter().find(|key| !seen.insert(*key));
        twice.map_or(Ok(()), |key| Err(self.wrong("name", format!("`{key}` stands for two fields"))))
    }

    pub fn fits_payload(&self, key: &'static str, bits: usize) -> Result<(), TableError> {
        match bits.div_ceil(8) {
            0..=LONGEST_PAYLOAD => Ok(()),
            _ => Err(self.wrong(key, format!("it ends behind byte {LONGEST_PAYLOAD}, the last that a payload has"))),
        }
    }
}
