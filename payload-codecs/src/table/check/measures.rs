//! Checks that what is normalised has its place in a measurement, and is what stands there.

use serde_json::Value;

use super::Place;
use crate::normalized::{self, Kind};
use crate::table::{Field, Find, TableError, Type};

/// What a key shows.
enum Shown<'a> {
    Number,
    Flag,
    Text,
    OneOf(Vec<&'a Value>),
    Named(Vec<&'a str>),
}

/// Checks the `normalized` paths of a field, its flags and what is found in it.
pub(super) fn check(field: &Field, place: &Place) -> Result<(), TableError> {
    let own = field.normalized.iter().map(|path| measures(path, &shown_by(field), field.unit.as_deref()));
    let flags = field.flags.iter().flatten().filter_map(|flag| flag.normalized.as_ref());
    let flags = flags.map(|path| measures(path, &Shown::Flag, None));
    let found = field.find.iter().flatten().filter_map(|find| Some((find, find.normalized.as_ref()?)));
    let found = found.map(|(find, path)| measures(path, &found_by(find), find.unit.as_deref()));
    own.chain(flags).chain(found).collect::<Result<(), _>>().map_err(|reason| place.wrong("normalized", reason))
}

fn shown_by(field: &Field) -> Shown<'_> {
    match (field.type_, &field.values) {
        (_, Some(values)) => Shown::Named(values.values().map(String::as_str).collect()),
        (Some(Type::Boolean(_)), None) => Shown::Flag,
        (Some(Type::Bytes(_) | Type::Text(_)), None) => Shown::Text,
        _ => Shown::Number,
    }
}

fn found_by(find: &Find) -> Shown<'_> {
    find.words.as_ref().map_or(Shown::Number, |words| Shown::OneOf(words.values().collect()))
}

fn measures(path: &str, shown: &Shown<'_>, unit: Option<&str>) -> Result<(), String> {
    let quantity = normalized::find(path).ok_or_else(|| format!("a measurement has no `{path}`"))?;
    let is_name = |name: &str| matches!(quantity.kind, Kind::Choice(names) if names.contains(&name));
    let fits = match (shown, &quantity.kind) {
        (Shown::Number, kind) => matches!(kind, Kind::Number(..)),
        (Shown::Flag, kind) => *kind == Kind::Flag,
        (Shown::Text, kind) => *kind == Kind::Time,
        (Shown::Named(names), _) => names.iter().all(|name| is_name(name)),
        (Shown::OneOf(values), Kind::Number(..)) => values.iter().all(|value| value.is_number()),
        (Shown::OneOf(values), Kind::Flag) => values.iter().all(|value| value.is_boolean()),
        (Shown::OneOf(values), _) => values.iter().all(|value| value.as_str().is_some_and(is_name)),
    };
    match (quantity.unit, unit) {
        _ if !fits => Err(format!("`{path}` is {}", named(&quantity.kind))),
        (Some(measured), Some(unit)) if measured != unit => Err(format!("`{path}` is in {measured}, not in {unit}")),
        _ => Ok(()),
    }
}

fn named(kind: &Kind) -> String {
    match kind {
        Kind::Time => "a time".to_owned(),
        Kind::Number(..) => "a number".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Choice(names) => format!("one of {}", names.join(", ")),
    }
}
