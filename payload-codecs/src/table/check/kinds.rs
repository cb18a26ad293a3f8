//! Checks that a field has only keys that mean something for its kind.

use super::{Direction, Place};
use crate::table::{Field, Repeat, TableError, Type};

/// Checks which keys a field has.
pub(super) fn check(field: &Field, direction: Direction, place: &Place) -> Result<(), TableError> {
    let (is_group, is_named, is_up) = (field.type_.is_none(), field.name.is_some(), direction == Direction::Uplink);
    let is_text = matches!(field.type_, Some(Type::Text(_)));
    let varies = matches!(field.repeat, Some(Repeat::Rest | Repeat::Count(_)));
    let is_settable = !is_group && (is_named || field.flags.is_some());
    if is_group && !is_named {
        return Err(place.wrong("name", "a group needs one"));
    }
    numbers(field, place)?;
    only_for("texts of uplinks", is_text && is_up, &[("find", field.find.is_some())], place)?;
    only_for("groups", is_group, &[("repeat", field.repeat.is_some())], place)?;
    only_for("groups that come as often as a payload says", varies, &[("most", field.most.is_some())], place)?;
    only_for("fields with a name or `flags`", is_settable, &[("default", field.default.is_some())], place)?;
    let is_measured = !is_group && is_named && is_up;
    only_for("named fields of uplinks", is_measured, &[("normalized", field.normalized.is_some())], place)
}

fn numbers(field: &Field, place: &Place) -> Result<(), TableError> {
    let is_whole = matches!(field.type_, Some(Type::Unsigned(_) | Type::Signed(_)));
    let is_number = is_whole || matches!(field.type_, Some(Type::Float(_)));
    let (has_name, has_values, has_flags) = (field.name.is_some(), field.values.is_some(), field.flags.is_some());
    let is_plain = is_number && !has_values && !has_flags && field.equals.is_none();
    let scaling = [
        ("scale", field.scale.is_some()),
        ("offset", field.offset.is_some()),
        ("min", field.min.is_some()),
        ("max", field.max.is_some()),
    ];
    let naming = [("absent", field.absent.is_some()), ("values", has_values)];
    let is_bare = is_whole && !has_name && !has_values && !has_flags;
    only_for("numbers", is_number, &[("endian", field.endian.is_some())], place)?;
    only_for("whole numbers", is_whole, &[("flags", has_flags)], place)?;
    only_for("numbers without `values`, `flags` or `equals`", is_plain, &scaling, place)?;
    only_for("whole numbers with a name and no `flags`", is_whole && has_name && !has_flags, &naming, place)?;
    only_for("whole numbers without `name`, `values` or `flags`", is_bare, &[("equals", field.equals.is_some())], place)
}

/// Refuses the first of these keys that is there, unless the field is of the kind they are for.
fn only_for(whom: &str, fits: bool, keys: &[(&'static str, bool)], place: &Place) -> Result<(), TableError> {
    match keys.iter().find(|(_, is_there)| *is_there && !fits) {
        Some((key, _)) => Err(place.wrong(key, format!("it is for {whom}"))),
        None => Ok(()),
    }
}
