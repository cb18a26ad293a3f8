//! Where fields lie: the walk along a row of them that decoding, encoding and checking share.

use super::{Field, Repeat};

/// Goes along the fields of a message, part or group, in bits from the beginning of the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    base: usize,
    next: usize,
    end: usize,
}

impl Cursor {
    /// Stands before the first field.
    pub fn new(base: usize) -> Self {
        Self { base, next: base, end: base }
    }

    /// Where this field begins, if it is the next one.
    pub fn start(&self, field: &Field) -> usize {
        field.at.map_or(self.next, |at| self.base + at.bits)
    }

    /// Goes behind a field that ends here.
    pub fn pass(&mut self, end: usize) {
        self.next = end;
        self.end = self.end.max(end);
    }

    /// Behind all fields so far.
    pub fn end(&self) -> usize {
        self.end
    }
}

/// How many bits these fields have at least: up to the first optional one, with lists of no fixed length empty.
pub(super) fn least_bits(fields: &[Field]) -> usize {
    let mut cursor = Cursor::new(0);
    for field in fields.iter().take_while(|field| !field.optional) {
        cursor.pass(cursor.start(field).saturating_add(least_bits_of(field)));
    }
    cursor.end()
}

/// How many bits this field has at least.
pub(super) fn least_bits_of(field: &Field) -> usize {
    match (field.type_, &field.repeat) {
        (Some(type_), _) => type_.bits().unwrap_or(0),
        (None, None) => least_bits(&field.fields),
        (None, Some(Repeat::Times(times))) => least_bits(&field.fields).saturating_mul(*times),
        (None, Some(Repeat::Rest | Repeat::Count(_))) => 0,
    }
}

/// Whether the field has the same number of bits in every payload.
pub(super) fn is_fixed(field: &Field) -> bool {
    match (field.type_, &field.repeat) {
        (Some(type_), _) => type_.bits().is_some(),
        (None, Some(Repeat::Rest | Repeat::Count(_))) => false,
        (None, _) => field.fields.iter().all(is_fixed),
    }
}

/// Whether the field takes all that is left of the payload.
pub(super) fn takes_the_rest(field: &Field) -> bool {
    field.repeat == Some(Repeat::Rest) || field.type_.is_some_and(|type_| type_.bits().is_none())
}
