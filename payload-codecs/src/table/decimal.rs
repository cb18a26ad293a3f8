//! Exact decimal arithmetic between raw numbers and values: 2150 × 0.01 is 21.5, not 21.500000000000004.

use serde_json::Number;

/// Numbers with more decimal places than this are left to doubles. A scale of 2^-31 has 25 that count.
const MOST_PLACES: usize = 30;

/// The number `digits / 10^places`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    digits: i128,
    places: u32,
}

impl Decimal {
    /// The decimal that a JSON number is written as; `None` if it has too many digits.
    pub fn of(number: &Number) -> Option<Self> {
        number.as_i128().map(Self::from).or_else(|| Self::of_f64(number.as_f64()?))
    }

    /// The shortest decimal that stands for this number; `None` if it has too many digits.
    pub fn of_f64(number: f64) -> Option<Self> {
        number.is_finite().then(|| Self::parse(&number.to_string())).flatten()
    }

    /// Reads `-12.5`; `None` if it is no such number, or has too many digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}").parse().ok().filter(|_| fraction.len() <= MOST_PLACES)?;
        Some(Self { digits, places: fraction.len() as u32 })
    }

    /// `self × scale + offset`; `None` if it has too many digits.
    pub fn scaled(self, scale: Self, offset: Self) -> Option<Self> {
        let product =
            Self { digits: self.digits.checked_mul(scale.digits)?, places: self.places.checked_add(scale.places)? };
        let places = product.places.max(offset.places);
        Some(Self { digits: product.with_places(places)?.checked_add(offset.with_places(places)?)?, places })
    }

    /// How many steps of `scale` it is away from `offset`, rounded to the nearest; `None` if that cannot be said.
    pub fn steps(self, scale: Self, offset: Self) -> Option<i128> {
        let places = self.places.max(scale.places).max(offset.places);
        let distance = self.with_places(places)?.checked_sub(offset.with_places(places)?)?;
        let step = scale.with_places(places).filter(|step| *step != 0)?;
        let (whole, rest) = (distance.checked_div(step)?, distance.checked_rem(step)?);
        let away_from_zero = rest.unsigned_abs() >= step.unsigned_abs().div_ceil(2);
        let sign = if (distance < 0) == (step < 0) { 1 } else { -1 };
        Some(if away_from_zero { whole + sign } else { whole })
    }

    /// The JSON number: whole ones without a fraction, others rounded once.
    pub fn to_number(self) -> Option<Number> {
        let unit = 10_i128.checked_pow(self.places)?;
        if self.digits % unit == 0
            && let Some(whole) = Number::from_i128(self.digits / unit)
        {
            return Some(whole);
        }
        let rounded: f64 = format!("{}e-{}", self.digits, self.places).parse().ok()?;
        match rounded as i64 {
            whole if whole as f64 == rounded && rounded.abs() < i64::MAX as f64 => Some(whole.into()),
            _ => Number::from_f64(rounded),
        }
    }

    fn with_places(self, places: u32) -> Option<i128> {
        self.digits.checked_mul(10_i128.checked_pow(places.checked_sub(self.places)?)?)
    }
}

impl From<i128> for Decimal {
    fn from(whole: i128) -> Self {
        Self { digits: whole, places: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(raw: i128, scale: f64, offset: f64) -> String {
        let [scale, offset] = [scale, offset].map(|number| Decimal::of_f64(number).unwrap());
        Decimal::from(raw).scaled(scale, offset).unwrap().to_number().unwrap().to_string()
    }

    #[test]
    fn values_print_as_a_person_would_write_them() {
        assert_eq!(value(2150, 0.01, 0.0), "21.5");
        assert_eq!(value(3, 0.1, 0.0), "0.3");
        assert_eq!(value(100, 0.5, -40.0), "10");
        assert_eq!(value(-7, 0.0625, 0.0), "-0.4375");
        assert_eq!(value(i128::from(u64::MAX), 1.0, 0.0), "18446744073709551615");
        assert_eq!(value(1, 1e-7, 0.0), "1e-7");
        assert_eq!(value(1, 2.0_f64.powi(-31), 0.0), "4.656612873077393e-10");
        assert_eq!(value(1 << 30, 180.0 / 2.0_f64.powi(31), 0.0), "90");
    }

    #[test]
    fn a_value_between_two_steps_goes_to_the_nearer_one() {
        let steps = |number: &str, scale: &str| {
            Decimal::parse(number).unwrap().steps(Decimal::parse(scale).unwrap(), Decimal::from(0)).unwrap()
        };
        assert_eq!([steps("0.29", "0.01"), steps("21.504", "0.01"), steps("21.506", "0.01")], [29, 2150, 2151]);
        assert_eq!([steps("-21.506", "0.01"), steps("-0.25", "0.5"), steps("3", "-2")], [-2151, -1, -2]);
    }

    #[test]
    fn what_has_too_many_digits_is_none_and_no_panic() {
        let huge = Decimal::of_f64(1e37).unwrap();
        assert!(huge.scaled(huge, huge).is_none());
        assert!(Decimal::of_f64(1e300).is_none() && Decimal::of_f64(f64::NAN).is_none());
        assert!(Decimal::of_f64(5e-324).is_none() && Decimal::of_f64(1e-40).is_none());
    }

    proptest! {
        #[test]
        fn a_scaled_value_leads_back_to_its_raw_number(raw in -(1_i64 << 52)..1 << 52, step in 1_i64..100_000, places in 0_i32..7, offset in -10_000_i64..10_000) {
            let unit = 10_f64.powi(places);
            let [scale, offset] = [step as f64 / unit, offset as f64 / unit].map(|number| Decimal::of_f64(number).unwrap());
            let value = Decimal::from(i128::from(raw)).scaled(scale, offset).unwrap();
            prop_assert_eq!(value.steps(scale, offset), Some(i128::from(raw)));
        }
    }
}
