//! Checks all that a table says, so that decoding and encoding can rely on it.

mod field;
mod kinds;
mod measures;
mod place;
mod row;

use place::Place;

use super::{Endian, Message, Part, Table, TableError, Type};

/// Checks a table.
///
/// # Errors
/// The first thing that cannot be.
pub(super) fn table(table: &Table) -> Result<(), TableError> {
    if table.uplink.is_empty() && table.downlink.is_empty() {
        return Err(Place::default().wrong("uplink", "a table needs an uplink or a downlink"));
    }
    for (direction, messages) in [(Direction::Uplink, &table.uplink), (Direction::Downlink, &table.downlink)] {
        for (index, message) in messages.iter().enumerate() {
            let place = Place::of_message(direction.name(), index, message);
            if message.name.is_some() && messages[..index].iter().any(|earlier| earlier.name == message.name) {
                return Err(place.wrong("name", "two messages of one direction have it"));
            }
            Check { direction, endian: table.endian }.message(message, &place)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Uplink,
    Downlink,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::Uplink => "uplink",
            Self::Downlink => "downlink",
        }
    }
}

/// What the checks of a message need to know of the table.
#[derive(Clone, Copy)]
struct Check {
    direction: Direction,
    endian: Endian,
}

impl Check {
    fn message(self, message: &Message, place: &Place) -> Result<(), TableError> {
        if message.fields.is_empty() && message.parts.is_empty() {
            return Err(place.wrong("fields", "a message needs fields or parts"));
        }
        if let Some(port) = message.port.0.iter().find(|port| !(1..=223).contains(*port)) {
            return Err(place.wrong("port", format!("{port} is none for applications, which have 1 to 223")));
        }
        place.unique(message.keys())?;
        let rules = row::Rules { optional: message.tag.is_none(), rest: message.tag.is_none() };
        let fixed = self.row(&message.fields, place, rules)?;
        match message.tag {
            Some(tag) => self.parts(message, tag, fixed, place),
            None if message.parts.is_empty() => Ok(()),
            None => Err(place.wrong("tag", "it is missing: parts are told by it")),
        }
    }

    fn parts(self, message: &Message, tag: Type, fixed: usize, place: &Place) -> Result<(), TableError> {
        let Type::Unsigned(width @ (8 | 16 | 24 | 32 | 40 | 48 | 56 | 64)) = tag else {
            return Err(place.wrong("tag", "it must be an unsigned number of whole bytes, such as u8"));
        };
        if message.parts.is_empty() {
            return Err(place.wrong("parts", "they are missing: a message with a tag has some"));
        }
        for (index, part) in message.parts.iter().enumerate() {
            let place = place.part(index);
            if part.tag > u64::MAX >> (64 - width) {
                return Err(place.wrong("tag", format!("{} does not fit in {tag}", part.tag)));
            }
            if message.parts[..index].iter().any(|earlier| earlier.tag == part.tag) {
                return Err(place.wrong("tag", format!("{} opens another part already", part.tag)));
            }
            let rules = row::Rules { optional: false, rest: index + 1 == message.parts.len() };
            let bits = self.part(part, &place, rules)?;
            place.fits_payload("fields", fixed.next_multiple_of(8) + usize::from(width) + bits)?;
        }
        Ok(())
    }

    fn part(self, part: &Part, place: &Place, rules: row::Rules) -> Result<usize, TableError> {
        match &part.name {
            Some(_) if !part.fields.is_empty() => Err(place.wrong("name", "it is for a part without fields")),
            None if part.fields.is_empty() => Err(place.wrong("fields", "a part needs fields, or a name")),
            name => {
                name.iter().try_for_each(|name| place.is_name("name", name))?;
                self.row(&part.fields, place, rules)
            }
        }
    }
}
