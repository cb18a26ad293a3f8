//! Until when a certificate is good: the one date that is read out of it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The tags of X.680: UTCTime, whose years have two digits, and GeneralizedTime; and that of a certificate's version,
/// which the oldest do not have.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// The end of a certificate's validity (RFC 5280, 4.1: Certificate, tbsCertificate, validity, notAfter). None if it is no
/// certificate in DER.
pub fn end_of_validity(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    if *fields.first()? == VERSION {
        (_, _, fields) = element(fields)?;
    }
    // Serial number, signature, issuer.
    for _ in 0..3 {
        (_, _, fields) = element(fields)?;
    }
    let (_, validity, _) = element(fields)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// RFC 5280, 4.1.2.5: to the second, in UTC; two digits mean 1950 to 2049.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        UTC_TIME if text.get(..2)?.parse::<u8>().ok()? < 50 => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// A tag, what it holds, and what comes behind it (X.690, 8.1).
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let longer = |length: usize, digit: &u8| length.checked_mul(256)?.checked_add(usize::from(*digit));
        (digits.iter().try_fold(0, longer)?, rest)
    };
    let (content, behind) = rest.split_at_checked(length)?;
    Some((tag, content, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn made(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["ferry".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 2, 3);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn it_is_read_in_both_forms_of_a_time() {
        for (year, expected) in [
            (2031, "2031-02-03T00:00:00Z"),
            (2049, "2049-02-03T00:00:00Z"),
            (2050, "2050-02-03T00:00:00Z"),
            (1999, "1999-02-03T00:00:00Z"),
        ] {
            assert_eq!(end_of_validity(&made(year)).unwrap().to_string(), expected);
        }
        let whole = made(2031);
        assert!((0..whole.len()).all(|length| end_of_validity(&whole[..length]).is_none()));
    }

    #[test]
    fn whatever_is_in_it_nothing_panics() {
        let whole = made(2031);
        proptest!(|(der in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..300, to: u8)| {
            end_of_validity(&der);
            let mut damaged = whole.clone();
            let place = at % damaged.len();
            damaged[place] = to;
            end_of_validity(&damaged);
        });
    }
}
