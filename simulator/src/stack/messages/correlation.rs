//! Correlation ids: a prefix that names the step, and a ULID.

use jiff::Timestamp;

/// A new id, for example `as:downlink:01M7XR0DTMJ2W6KHKJVZS1F0WY`.
pub fn correlation_id(step: &str) -> String {
    format!("{step}:{}", ulid(Timestamp::now()))
}

/// A new id of an HTTP request, or of an error: 32 hexadecimal digits.
pub fn request_id() -> String {
    hex::encode(fastrand::u128(..).to_be_bytes())
}

/// 48 bits of milliseconds and 80 random bits in Crockford's base 32, 26 characters.
fn ulid(time: Timestamp) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let milliseconds = u128::from(time.as_millisecond().unsigned_abs()) & ((1 << 48) - 1);
    let number = milliseconds << 80 | fastrand::u128(..) >> 48;
    (0..26).rev().map(|digit| char::from(ALPHABET[(number >> (5 * digit)) as usize & 31])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ulid_starts_with_its_time_and_sorts_by_it() {
        let at = |seconds| ulid(Timestamp::from_second(seconds).unwrap());
        assert!(at(0).starts_with("0000000000"));
        assert_eq!(at(0).len(), 26);
        assert!(at(1_700_000_000) < at(1_800_000_000));
    }
}
