//! Which fields a device's decoded data has, and of what kind their values are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Fields that are remembered of one device: a codec may make up new names for ever.
const MOST_FIELDS: usize = 200;
/// Levels that are looked into.
const MOST_LEVELS: usize = 8;
/// Bytes of a field's path.
const LONGEST_PATH: usize = 200;

/// The fields seen so far with what they hold, by their paths: the names of nested objects joined by dots. Only leaves, and
/// places as a whole. It only grows, in no more than 200 fields. A name that holds a dot itself could not be told from two
/// levels, and is left out, as is an empty one.
pub type Shape = BTreeMap<String, ValueKind>;

/// What the values of one field have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    Bool,
    /// Numbers that were only ever 0 and 1.
    Binary,
    Number,
    /// Texts, lists, and whatever was not of one kind.
    Text,
    /// An object with `latitude` and `longitude`. Its path is empty if they stand at the top of the data.
    Place,
    /// Nothing but `null` so far.
    Null,
}

/// Takes in what one message holds: a JSON object. Returns whether that is news; only then a shape that is shared is copied.
/// What is no object has no fields.
pub fn extend_shape(shape: &mut Arc<Shape>, data: &str) -> bool {
    let mut walk = Walk { shape, path: String::new(), levels: 0, news: false };
    // What cannot be read has no further fields.
    drop(walk.value().deserialize(&mut serde_json::Deserializer::from_str(data)));
    walk.news
}

/// The same of the value of one member, as it stands in its object.
pub fn extend_shape_by(shape: &mut Arc<Shape>, name: &str, data: &str) -> bool {
    let mut walk = Walk { shape, path: String::new(), levels: 0, news: false };
    walk.below(name, |walk| {
        if let Ok(Some(kind)) = walk.value().deserialize(&mut serde_json::Deserializer::from_str(data)) {
            walk.note(kind);
        }
    });
    walk.news
}

impl ValueKind {
    /// What values of both kinds have in common.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (Self::Null, one) | (one, Self::Null) => one,
            (Self::Binary, Self::Number) | (Self::Number, Self::Binary) => Self::Number,
            _ => Self::Text,
        }
    }
}

/// A walk through one message.
struct Walk<'a> {
    shape: &'a mut Arc<Shape>,
    path: String,
    levels: usize,
    news: bool,
}

/// Reads one value: its kind, or nothing of an object, whose members are noted.
struct Value<'a, 'w>(&'w mut Walk<'a>);

impl<'a> Walk<'a> {
    fn value(&mut self) -> Value<'a, '_> {
        Value(self)
    }

    /// Does something one level further down; not below a name that cannot stand in a path.
    fn below<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        let (length, levels) = (self.path.len(), self.levels);
        let fits = !name.is_empty() && !name.contains('.') && length + name.len() < LONGEST_PATH;
        self.levels = if fits { levels.saturating_add(1) } else { usize::MAX };
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(if fits { name } else { "" });
        let done = work(self);
        self.path.truncate(length);
        self.levels = levels;
        done
    }

    fn is_too_deep(&self) -> bool {
        self.levels > MOST_LEVELS
    }

    fn note(&mut self, kind: ValueKind) {
        if self.is_too_deep() {
            return;
        }
        let known = self.shape.get(&self.path).copied();
        let both = known.map_or(kind, |known| known.with(kind));
        if known == Some(both) || (known.is_none() && self.shape.len() >= MOST_FIELDS) {
            return;
        }
        Arc::make_mut(self.shape).insert(self.path.clone(), both);
        self.news = true;
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Option<ValueKind>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Option<ValueKind>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Some(ValueKind::Bool))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(if number <= 1 { ValueKind::Binary } else { ValueKind::Number }))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Some(ValueKind::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Some(ValueKind::Number))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Some(ValueKind::Text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Some(ValueKind::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Some(ValueKind::Text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let Self(walk) = self;
        let mut coordinates = Vec::new();
        while let Some(name) = members.next_key::<String>()? {
            let kind = walk.below(&name, |walk| members.next_value_seed(walk.value()))?;
            match kind {
                Some(kind) if is_coordinate(&name, kind) => coordinates.push((name, kind)),
                Some(kind) => walk.below(&name, |walk| walk.note(kind)),
                None => {}
            }
        }
        if coordinates.len() >= 2 {
            walk.note(ValueKind::Place);
        } else {
            coordinates.into_iter().for_each(|(name, kind)| walk.below(&name, |walk| walk.note(kind)));
        }
        Ok(None)
    }
}

/// A tracker without a fix tells `null`.
fn is_coordinate(name: &str, kind: ValueKind) -> bool {
    let is_number = matches!(kind, ValueKind::Binary | ValueKind::Number | ValueKind::Null);
    is_number && matches!(name, "latitude" | "longitude")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ValueKind::{Binary, Bool, Null, Number, Place, Text};
    use super::*;

    fn shape(fields: &[(&str, ValueKind)]) -> Shape {
        fields.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect()
    }

    fn after(messages: &[&str]) -> Shape {
        let mut shape = Arc::default();
        for message in messages {
            extend_shape(&mut shape, message);
        }
        Arc::unwrap_or_clone(shape)
    }

    #[test]
    fn every_leaf_has_its_path_and_kind() {
        let seen =
            after(&[r#"{"t": 21.5, "n": -1, "door": true, "on": 1, "text": "x", "list": [{"a": 1}], "none": null,
            "air": {"co2": 400, "deep": {"x": 0}}, "gps": {"latitude": 52.1, "longitude": 13, "altitude": 30}}"#]);
        let expected = [
            ("t", Number),
            ("n", Number),
            ("door", Bool),
            ("on", Binary),
            ("text", Text),
            ("list", Text),
            ("none", Null),
            ("air.co2", Number),
            ("air.deep.x", Binary),
            ("gps", Place),
            ("gps.altitude", Number),
        ];
        assert_eq!(seen, shape(&expected));
    }

    #[test]
    fn a_kind_widens_and_never_narrows() {
        assert_eq!(after(&[r#"{"a": 0}"#, r#"{"a": 2}"#, r#"{"a": 1}"#])["a"], Number);
        assert_eq!(after(&[r#"{"a": null}"#, r#"{"a": 1}"#, r#"{"a": null}"#])["a"], Binary);
        assert_eq!(after(&[r#"{"a": true}"#, r#"{"a": "x"}"#])["a"], Text);
    }

    #[test]
    fn what_was_seen_before_is_no_news() {
        let mut shape = Arc::<Shape>::default();
        let mut is_news = |data: &str| extend_shape(&mut shape, data);
        assert!(is_news(r#"{"a": 1, "b": {"c": 2}}"#));
        assert!(!is_news(r#"{"b": {"c": 3}, "a": 0}"#));
        assert!(is_news(r#"{"a": 5}"#));
        assert!(!is_news("[1, 2]") && !is_news("5") && !is_news("{"));
    }

    #[test]
    fn coordinates_are_a_place_together_and_numbers_alone() {
        assert_eq!(after(&[r#"{"latitude": 1, "longitude": 2.5}"#]), shape(&[("", Place)]));
        assert_eq!(after(&[r#"{"x": {"latitude": null, "longitude": null}}"#]), shape(&[("x", Place)]));
        assert_eq!(after(&[r#"{"latitude": 1.5}"#]), shape(&[("latitude", Number)]));
    }

    #[test]
    fn a_field_taken_by_its_name_is_the_same_as_in_its_object() {
        let mut shape = Arc::<Shape>::default();
        for (name, value) in [("a", "1"), ("b", r#"{"c": 2}"#), ("gps", r#"{"latitude": 1, "longitude": 2}"#)] {
            assert!(extend_shape_by(&mut shape, name, value), "{name}");
        }
        assert_eq!(*shape, after(&[r#"{"a": 1, "b": {"c": 2}, "gps": {"latitude": 1, "longitude": 2}}"#]));
    }

    #[test]
    fn names_that_make_no_path_and_endless_names_are_left_out() {
        let (long, deep) = ("x".repeat(300), "{\"a\":".repeat(20) + "1" + &"}".repeat(20));
        let odd = format!(r#"{{"": 1, "a.b": 1, "a.c": {{"d": 1}}, "{long}": 1, "deep": {deep}, "ok": 1}}"#);
        assert_eq!(after(&[&odd]), shape(&[("ok", Binary)]));
        let many: Vec<_> = (0..1000).map(|number| format!(r#"{{"f{number}": 1}}"#)).collect();
        assert_eq!(after(&many.iter().map(String::as_str).collect::<Vec<_>>()).len(), MOST_FIELDS);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_stumble(text in "\\PC{0,60}") {
            after(&[&text]);
        }
    }
}
