//! Checks what a field says of itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Check, Place, kinds, measures};
use crate::table::encode::check_value;
use crate::table::keys::is_plain_count;
use crate::table::scale::Scalar;
use crate::table::{Field, Repeat, TableError, Type};

impl Check {
    /// Checks one field; `earlier` are those before it in its row.
    pub(super) fn field(self, field: &Field, earlier: &[Field], place: &Place) -> Result<(), TableError> {
        field.keys().try_for_each(|key| place.is_name("name", key))?;
        kinds::check(field, self.direction, place)?;
        measures::check(field, place)?;
        match (field.type_, field.fields.is_empty()) {
            (None, true) => return Err(place.wrong("type", "it is missing; a group has `fields` instead")),
            (Some(_), false) => return Err(place.wrong("type", "a group has none")),
            (None, false) => {
                repetitions(field, earlier, place)?;
                self.group(field, place)?;
            }
            (Some(Type::Text(_)), true) => findings(field, place)?,
            (Some(type_), true) => scalar(Scalar { field, type_ }, place)?,
        }
        let default = field.default.as_ref().map_or(Ok(()), |default| check_value(field, default));
        default.map_err(|reason| place.wrong("default", reason))
    }
}

fn scalar(scalar: Scalar<'_>, place: &Place) -> Result<(), TableError> {
    let field = scalar.field;
    for (key, number) in [("scale", field.scale), ("offset", field.offset), ("min", field.min), ("max", field.max)] {
        if number.is_some_and(|number| !number.is_finite() || (key == "scale" && number == 0.0)) {
            return Err(place.wrong(key, "it must be a finite number, and a scale not 0"));
        }
    }
    if !scalar.is_finite() {
        return Err(place.wrong("scale", "its greatest numbers would be beyond any"));
    }
    for (key, raw) in [("absent", field.absent), ("equals", field.equals)] {
        if let Some(raw) = raw.filter(|raw| !scalar.fits(*raw)) {
            return Err(place.wrong(key, format!("{raw} does not fit in {}", scalar.type_)));
        }
    }
    limits(scalar, place)?;
    values(scalar, place)?;
    flags(scalar, place)
}

fn limits(scalar: Scalar<'_>, place: &Place) -> Result<(), TableError> {
    let field = scalar.field;
    if let (Some(min), Some(max)) = (field.min, field.max)
        && min >= max
    {
        return Err(place.wrong("min", format!("{min} is not less than `max`, {max}")));
    }
    let unlimited = Field { min: None, max: None, ..field.clone() };
    let unlimited = Scalar { field: &unlimited, ..scalar };
    for (key, limit) in [("min", field.min), ("max", field.max)] {
        let Some(limit) = limit else { continue };
        let bits = unlimited.bits_of(&limit.into());
        let bits = bits.map_err(|must| place.wrong(key, format!("{limit} is beyond what the bits hold: it {must}")))?;
        let is_float = matches!(scalar.type_, Type::Float(_));
        match unlimited.value(bits) {
            Ok(step) if !is_float && step.as_f64() != Some(limit) => {
                return Err(
                    place.wrong(key, format!("{limit} is between two steps of the field; the nearest is {step}"))
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn values(scalar: Scalar<'_>, place: &Place) -> Result<(), TableError> {
    let Some(values) = &scalar.field.values else { return Ok(()) };
    if values.is_empty() {
        return Err(place.wrong("values", "there are none"));
    }
    for (index, (raw, name)) in values.iter().enumerate() {
        let number = raw.parse().ok().filter(|number: &i128| number.to_string() == *raw);
        if !number.is_some_and(|number| scalar.holds(number)) {
            return Err(place.wrong("values", format!("`{raw}` is no whole number that fits in {}", scalar.type_)));
        }
        if number.is_some_and(|number| scalar.is_absent(number)) {
            return Err(place.wrong("values", format!("`{raw}` is the number that `absent` stands for")));
        }
        if values.values().take(index).any(|earlier| earlier == name) {
            return Err(place.wrong("values", format!("`{name}` stands for two numbers")));
        }
    }
    Ok(())
}

fn flags(scalar: Scalar<'_>, place: &Place) -> Result<(), TableError> {
    let Some(flags) = &scalar.field.flags else { return Ok(()) };
    if flags.is_empty() {
        return Err(place.wrong("flags", "there are none"));
    }
    for (index, flag) in flags.iter().enumerate() {
        if scalar.type_.bits().is_none_or(|width| usize::from(flag.bit) >= width) {
            return Err(place.wrong("flags", format!("{} has no bit {}", scalar.type_, flag.bit)));
        }
        if flags[..index].iter().any(|earlier| earlier.bit == flag.bit) {
            return Err(place.wrong("flags", format!("bit {} is there twice", flag.bit)));
        }
    }
    Ok(())
}

fn findings(field: &Field, place: &Place) -> Result<(), TableError> {
    let is_empty = |words: &BTreeMap<String, Value>| words.is_empty() || words.contains_key("");
    let wordless = field.find.iter().flatten().find(|find| find.words.as_ref().is_some_and(is_empty));
    wordless.map_or(Ok(()), |find| Err(place.wrong("find", format!("`{}` has no words", find.name))))
}

fn repetitions(field: &Field, earlier: &[Field], place: &Place) -> Result<(), TableError> {
    if field.most == Some(0) {
        return Err(place.wrong("most", "it leaves nothing to read"));
    }
    let Some(Repeat::Count(count)) = &field.repeat else { return Ok(()) };
    match earlier.iter().find(|earlier| earlier.name.as_ref() == Some(count)) {
        None => Err(place.wrong("repeat", format!("no field before the group, beside it, is called `{count}`"))),
        Some(count) if is_plain_count(count) => Ok(()),
        Some(_) => Err(place.wrong("repeat", format!("`{count}` must be an unsigned number and nothing more"))),
    }
}
