//! Which keys of the data a message's fields stand for, and which of them a command must have.

use super::{Field, Message, Part, Repeat, Type};

impl Message {
    /// The keys it shows, parts included.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().flat_map(Field::keys).chain(self.parts.iter().flat_map(Part::keys))
    }

    /// Whether it can say what a command with these keys wants said: it knows them all.
    pub(super) fn knows<'k>(&self, mut keys: impl Iterator<Item = &'k str>) -> bool {
        keys.all(|key| self.keys().any(|known| known == key))
    }

    /// The first key that a command with these keys lacks to be encoded; it must say something.
    pub(super) fn missing<'a>(&'a self, has: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        let says_something = self.keys().any(has);
        let any_part = self.parts.iter().find(|_| !says_something).and_then(|part| part.keys().next());
        let mut chosen = self.parts.iter().filter(|part| part.keys().any(has));
        let of_parts = chosen.find_map(|part| missing(&part.fields, has));
        missing(&self.fields, has).or(any_part).or(of_parts)
    }
}

impl Part {
    /// The keys it shows: those of its fields, or its own name.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.name.as_deref().into_iter().chain(self.fields.iter().flat_map(Field::keys))
    }
}

impl Field {
    /// The keys it shows beside each other: its name, its flags, what is found in it.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        let flags = self.flags.iter().flatten().map(|flag| flag.name.as_str());
        let found = self.find.iter().flatten().map(|find| find.name.as_str());
        self.name.as_deref().into_iter().chain(flags).chain(found)
    }

    /// The key that must be there for the field to be written, if it is not.
    fn missing(&self, has: &dyn Fn(&str) -> bool) -> Option<&str> {
        let given = self.name.as_deref().is_some_and(has) || self.default.is_some() || self.equals.is_some();
        let mut needed = self.flags.iter().flatten().map(|flag| flag.name.as_str()).peekable();
        match needed.peek() {
            _ if given => None,
            Some(_) => needed.find(|flag| !has(flag)),
            None => self.name.as_deref(),
        }
    }
}

/// The fields that are written for data with these keys: those behind an optional one that nobody needs are left out.
pub(super) fn written<'a>(fields: &'a [Field], has: &dyn Fn(&str) -> bool) -> &'a [Field] {
    let needed = fields.iter().rposition(|field| field.keys().any(has)).map_or(0, |last| last + 1);
    let end = fields[needed..].iter().position(|field| field.optional).map_or(fields.len(), |at| needed + at);
    &fields[..end]
}

/// The first key that must be there for these fields to be written, and is not.
pub(super) fn missing<'a>(fields: &'a [Field], has: &dyn Fn(&str) -> bool) -> Option<&'a str> {
    let needed = written(fields, has).iter().filter(|field| counted_by(fields, field).is_none());
    needed.filter_map(|field| field.missing(has)).next()
}

/// Whether a field can count the repetitions of a group.
pub(super) fn is_plain_count(field: &Field) -> bool {
    let scaled = [field.scale, field.offset, field.min, field.max].iter().any(Option::is_some);
    let named = field.values.is_some() || field.flags.is_some() || field.absent.is_some() || field.default.is_some();
    matches!(field.type_, Some(Type::Unsigned(_))) && !scaled && !named
}

/// The group whose repetitions this field counts, if it is such a count.
pub(super) fn counted_by<'a>(fields: &'a [Field], count: &Field) -> Option<&'a Field> {
    let name = count.name.as_ref()?;
    fields.iter().find(|field| matches!(&field.repeat, Some(Repeat::Count(counts)) if counts == name))
}
