//! Checks where fields lie: at whole bytes where they must, over no other, and within a payload.

use super::{Check, Place};
use crate::table::layout::{Cursor, is_fixed, least_bits_of, takes_the_rest};
use crate::table::{Field, TableError, Type};

/// What fields of a row may do, by what they are in.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    /// Be optional.
    pub optional: bool,
    /// Take the rest of the payload, if they are the last.
    pub rest: bool,
}

impl Check {
    /// Checks fields in a row; gives how many bits they have at least.
    pub(super) fn row(self, fields: &[Field], place: &Place, rules: Rules) -> Result<usize, TableError> {
        let mut cursor = Cursor::new(0);
        let mut taken: Vec<std::ops::Range<usize>> = Vec::new();
        let mut is_placed = true;
        for (index, field) in fields.iter().enumerate() {
            let place = place.field(index, field);
            self.field(field, &fields[..index], &place)?;
            if field.at.is_some() && !is_placed {
                return Err(place.wrong("at", "no place is fixed behind a list of no fixed length"));
            }
            let (start, bits) = (cursor.start(field), least_bits_of(field));
            let end = start.saturating_add(bits);
            place.fits_payload(if field.at.is_some() { "at" } else { "type" }, end)?;
            self.lies_at_a_byte(field, start, &place)?;
            self.may_end(field, index + 1 == fields.len(), start == cursor.end(), rules, &place)?;
            if taken.iter().any(|other| other.start < end && start < other.end) {
                return Err(place.wrong("at", "it lies over another field"));
            }
            taken.push(start..end);
            cursor.pass(end);
            is_placed &= is_fixed(field);
        }
        Ok(cursor.end())
    }

    /// Groups have rules of their own for what lies in them.
    pub(super) fn group(self, field: &Field, place: &Place) -> Result<(), TableError> {
        place.unique(field.fields.iter().flat_map(Field::keys))?;
        match self.row(&field.fields, place, Rules { optional: false, rest: false })? {
            0 => Err(place.wrong("fields", "a group needs at least a byte")),
            bits if bits % 8 == 0 => Ok(()),
            bits => {
                let lacking = 8 - bits % 8;
                let reason =
                    format!("a group is whole bytes, and {bits} bits are none: {{ type = \"u{lacking}\" }} fills them");
                Err(place.wrong("fields", reason))
            }
        }
    }

    fn lies_at_a_byte(self, field: &Field, start: usize, place: &Place) -> Result<(), TableError> {
        let odd_size = field.type_.and_then(Type::bits).is_some_and(|bits| bits % 8 != 0);
        let is_odd = !start.is_multiple_of(8);
        if (is_odd || odd_size) && field.endian.is_some_and(|endian| endian != self.endian) {
            return Err(place.wrong("endian", "another order than the table's is for whole bytes at a whole byte"));
        }
        let (key, what) = match field.type_ {
            None => ("type", "a group begins"),
            Some(Type::Bytes(_) | Type::Text(_)) => ("type", "bytes and texts begin"),
            Some(_) if field.optional => ("optional", "a payload ends"),
            Some(_) => return Ok(()),
        };
        match is_odd {
            true => {
                Err(place.wrong(key, format!("{what} at a whole byte, not at bit {} of byte {}", start % 8, start / 8)))
            }
            false => Ok(()),
        }
    }

    fn may_end(
        self,
        field: &Field,
        is_last: bool,
        is_next: bool,
        rules: Rules,
        place: &Place,
    ) -> Result<(), TableError> {
        let key = if field.repeat.is_some() { "repeat" } else { "type" };
        if takes_the_rest(field) {
            return match () {
                () if field.optional => Err(place.wrong("optional", "what takes the rest may be empty anyway")),
                () if !rules.rest => {
                    Err(place.wrong(key, "the rest is for the last field of a message, or of its last part"))
                }
                () if !is_last || !is_next => Err(place.wrong(key, "nothing comes behind what takes the rest")),
                () => Ok(()),
            };
        }
        match field.optional {
            false => Ok(()),
            true if !rules.optional => Err(place.wrong("optional", "it is for fields of a message without tag")),
            true if !is_fixed(field) || !is_next => {
                Err(place.wrong("optional", "it is for a field of fixed size, behind all others so far"))
            }
            true => Ok(()),
        }
    }
}
