//! The limits of a field as raw numbers, and numbers as C writes them.

use super::layout::Number;
use crate::table::decimal::Decimal;
use crate::table::model::{Field, Type};

/// The least and the greatest whole raw number between a field's `min` and `max`; `None` if it has neither.
pub(super) fn raw_range(field: &Field, number: Number) -> Option<(i128, i128)> {
    if matches!(number.kind, Type::Float(_)) || (field.min.is_none() && field.max.is_none()) {
        return None;
    }
    let scale = field.scale.unwrap_or(1.0);
    let [at_min, at_max] = [field.min, field.max].map(|limit| raw(limit?, scale, field.offset.unwrap_or(0.0)));
    let (least, greatest) = if scale < 0.0 { (at_max, at_min) } else { (at_min, at_max) };
    let (first, last) = bounds(number);
    Some((least.unwrap_or(first).max(first), greatest.unwrap_or(last).min(last)))
}

/// The least and the greatest raw number of a float, where it has them, as C writes them.
pub(super) fn float_range(field: &Field, number: Number) -> (Option<String>, Option<String>) {
    let (scale, offset) = (field.scale.unwrap_or(1.0), field.offset.unwrap_or(0.0));
    let literal = |limit: f64| match (limit - offset) / scale {
        raw if number.bits == 32 => format!("{:?}f", raw as f32),
        raw => format!("{raw:?}"),
    };
    let (at_min, at_max) = (field.min.map(literal), field.max.map(literal));
    if scale < 0.0 { (at_max, at_min) } else { (at_min, at_max) }
}

/// The least and the greatest number of the type in C that holds it.
pub(super) fn c_bounds(number: Number) -> (i128, i128) {
    let bits = number.bits.next_power_of_two().max(8);
    bounds(Number { bits, ..number })
}

/// A whole number as C writes it: with a suffix if it is beyond `int32_t`, and without the digits that C has no negative
/// of.
pub(super) fn literal(raw: i128) -> String {
    const LEAST_32: i128 = i32::MIN as i128;
    const LEAST_64: i128 = i64::MIN as i128;
    match raw {
        LEAST_32 => "(-2147483647 - 1)".to_owned(),
        LEAST_64 => "(-9223372036854775807 - 1)".to_owned(),
        _ if raw < 0 => format!("({raw})"),
        _ if raw > i128::from(i32::MAX) => format!("{raw}u"),
        _ => raw.to_string(),
    }
}

fn bounds(number: Number) -> (i128, i128) {
    match number.kind {
        Type::Signed(_) => (-(1 << (number.bits - 1)), (1 << (number.bits - 1)) - 1),
        _ => (0, (1 << number.bits) - 1),
    }
}

/// The raw number that stands for a value, as the encoder rounds it.
fn raw(value: f64, scale: f64, offset: f64) -> Option<i128> {
    Decimal::of_f64(value)?.steps(Decimal::of_f64(scale)?, Decimal::of_f64(offset)?)
}
