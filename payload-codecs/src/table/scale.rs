//! What a field's raw number is worth, and which raw number a value wants.

use serde_json::{Number, Value};

use super::decimal::Decimal;
use super::{Field, Type};

/// A field that is a number, a boolean or padding: at most 64 bits.
#[derive(Clone, Copy)]
pub(super) struct Scalar<'a> {
    pub field: &'a Field,
    pub type_: Type,
}

impl Scalar<'_> {
    /// The bits of a raw number that is written signed, or as its bits: `-1` and `0xff` are the same `i8`.
    pub fn bits(&self, raw: i64) -> u64 {
        raw as u64 & self.mask()
    }

    /// Whether a raw number fits, be it written signed or as its bits.
    pub fn fits(&self, raw: i64) -> bool {
        let width = self.width();
        width >= 64 || (-1_i128 << (width - 1)..1_i128 << width).contains(&i128::from(raw))
    }

    /// Whether a raw number is one that the bits hold.
    pub fn holds(&self, raw: i128) -> bool {
        self.raw_range().is_some_and(|(low, high)| (low..=high).contains(&raw))
    }

    /// Whether every raw number that the bits hold is worth a number.
    pub fn is_finite(&self) -> bool {
        self.raw_range().is_none_or(|(low, high)| [low, high].iter().all(|raw| self.roughly(*raw as f64).is_finite()))
    }

    /// Whether a raw number stands for "no reading".
    pub fn is_absent(&self, raw: i128) -> bool {
        self.field.absent.is_some_and(|absent| self.bits(absent) == raw as u64 & self.mask())
    }

    /// What these bits say; the error says what is odd about them (the value is then null).
    pub fn value(&self, bits: u64) -> Result<Value, String> {
        if self.is_absent(bits.into()) {
            return Ok(Value::Null);
        }
        match self.type_ {
            Type::Boolean(_) => Ok(Value::Bool(bits != 0)),
            Type::Float(32) => self.float(f32::from_bits(bits as u32).to_string().parse().unwrap_or(f64::NAN)),
            Type::Float(_) => self.float(f64::from_bits(bits)),
            _ => match &self.field.values {
                Some(names) => {
                    let raw = self.raw(bits).to_string();
                    names
                        .get(&raw)
                        .map(|name| name.as_str().into())
                        .ok_or_else(|| format!("{raw} is none of its values"))
                }
                None => Ok(self.worth(self.raw(bits))),
            },
        }
    }

    /// The bits of a command's value; the error says what the value must be.
    pub fn bits_of(&self, value: &Value) -> Result<u64, String> {
        let bits = match (value, self.field.absent) {
            (Value::Null, Some(absent)) => Some(self.bits(absent)),
            (Value::Bool(on), _) if matches!(self.type_, Type::Boolean(_)) => Some(u64::from(*on)),
            (Value::String(name), _) => self.named(name),
            (Value::Number(number), _) if self.field.values.is_none() => self.number_bits(number),
            _ => None,
        };
        bits.ok_or_else(|| self.must_be())
    }

    /// The least and the greatest value a command may have, if the field's bits or its `min` and `max` set them.
    pub fn range(&self) -> Option<(Number, Number)> {
        let limit = |limit: Option<f64>| limit.and_then(Decimal::of_f64)?.to_number();
        let (low, high) = self.raw_range().map(|range| self.worths(range)).unzip();
        Some((limit(self.field.min).or(low)?, limit(self.field.max).or(high)?))
    }

    /// What a range of raw numbers is worth, without the one at its edge that stands for "no reading".
    fn worths(&self, (low, high): (i128, i128)) -> (Number, Number) {
        let absent = self.field.absent.map(|absent| self.raw(self.bits(absent)));
        let low = self.number(low + i128::from(absent == Some(low)));
        let high = self.number(high - i128::from(absent == Some(high)));
        if self.field.scale.unwrap_or(1.0) < 0.0 { (high, low) } else { (low, high) }
    }

    /// The least and the greatest raw number the bits hold.
    fn raw_range(&self) -> Option<(i128, i128)> {
        match self.type_ {
            Type::Unsigned(width) => Some((0, (1 << width) - 1)),
            Type::Signed(width) => Some((-1 << (width - 1), (1 << (width - 1)) - 1)),
            _ => None,
        }
    }

    fn raw(&self, bits: u64) -> i128 {
        let unused = 64 - self.width();
        match self.type_ {
            Type::Signed(_) => ((bits << unused) as i64 >> unused).into(),
            _ => bits.into(),
        }
    }

    fn worth(&self, raw: i128) -> Value {
        Value::Number(self.number(raw))
    }

    fn number(&self, raw: i128) -> Number {
        let exact = || Decimal::from(raw).scaled(self.scale()?, self.offset()?)?.to_number();
        exact().or_else(|| Number::from_f64(self.roughly(raw as f64))).unwrap_or_else(|| 0.into())
    }

    fn float(&self, raw: f64) -> Result<Value, String> {
        let value = self.roughly(raw);
        let exact = (value.fract() == 0.0).then(|| Decimal::of_f64(value)?.to_number()).flatten();
        let number = exact.or_else(|| Number::from_f64(value));
        number.map(Value::Number).ok_or_else(|| format!("{value} is no number"))
    }

    fn roughly(&self, raw: f64) -> f64 {
        raw * self.field.scale.unwrap_or(1.0) + self.field.offset.unwrap_or(0.0)
    }

    fn named(&self, wanted: &str) -> Option<u64> {
        let (raw, _) = self.field.values.as_ref()?.iter().find(|(_, name)| *name == wanted)?;
        Some(raw.parse::<i128>().ok()? as u64 & self.mask())
    }

    fn number_bits(&self, number: &Number) -> Option<u64> {
        let value = number.as_f64()?;
        if self.field.min.is_some_and(|min| value < min) || self.field.max.is_some_and(|max| value > max) {
            return None;
        }
        let unscaled = (value - self.field.offset.unwrap_or(0.0)) / self.field.scale.unwrap_or(1.0);
        match self.type_ {
            Type::Float(32) => Some((unscaled as f32).to_bits().into()).filter(|_| (unscaled as f32).is_finite()),
            Type::Float(_) => Some(unscaled.to_bits()).filter(|_| unscaled.is_finite()),
            _ => {
                let exact = || Decimal::of(number)?.steps(self.scale()?, self.offset()?);
                let raw = exact().unwrap_or(unscaled.round() as i128);
                let bits = raw as u64 & self.mask();
                (self.holds(raw) && !self.is_absent(raw)).then_some(bits)
            }
        }
    }

    fn must_be(&self) -> String {
        let or_null = if self.field.absent.is_some() { ", or null" } else { "" };
        match (&self.field.values, self.type_) {
            (_, Type::Boolean(_)) => "must be true or false".to_owned(),
            (Some(names), _) => {
                let names: Vec<_> = names.values().map(String::as_str).collect();
                format!("must be one of {}{or_null}", names.join(", "))
            }
            _ => match self.range() {
                Some((low, high)) => format!("must be a number from {low} to {high}{or_null}"),
                None => "must be a number".to_owned(),
            },
        }
    }

    fn scale(&self) -> Option<Decimal> {
        Decimal::of_f64(self.field.scale.unwrap_or(1.0))
    }

    fn offset(&self) -> Option<Decimal> {
        Decimal::of_f64(self.field.offset.unwrap_or(0.0))
    }

    fn width(&self) -> usize {
        self.type_.bits().unwrap_or(0).clamp(1, 64)
    }

    fn mask(&self) -> u64 {
        u64::MAX >> (64 - self.width())
    }
}
