//! Lengths of time as people write them: `250ms`, `15min`, `7d`.

use std::time::Duration;

use jiff::fmt::friendly::{Designator, SpanPrinter};
use jiff::{Span, SpanRelativeTo};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

const DAY: u64 = 24 * 3600;

/// For serde's `with`.
pub mod required {
    use super::*;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong =
            || D::Error::custom(format!("`{text}` is no duration: write \"30s\", \"15min\", \"12h\" or \"7d\""));
        parse(&text).ok_or_else(wrong)
    }

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&shown(duration))
    }
}

/// The same where there may be none.
pub mod optional {
    use super::*;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        struct There(#[serde(with = "super::required")] Duration);
        Ok(Option::<There>::deserialize(deserializer)?.map(|There(duration)| duration))
    }

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => required::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// A day has 24 hours; months and years have no length.
pub fn parse(text: &str) -> Option<Duration> {
    let span = text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(span).ok()
}

/// In whole days if it is that.
fn shown(duration: &Duration) -> String {
    match (duration.as_secs(), duration.subsec_nanos()) {
        (seconds, 0) if seconds >= DAY && seconds.is_multiple_of(DAY) => format!("{}d", seconds / DAY),
        _ => SpanPrinter::new().designator(Designator::Compact).unsigned_duration_to_string(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_weeks_are_durations_as_hours_are() {
        for (text, seconds, again) in
            [("24h", 86_400, "1d"), ("4w", 2_419_200, "28d"), ("25h", 90_000, "25h"), ("0s", 0, "0s")]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(shown(&Duration::from_secs(seconds)), again);
        }
        assert_eq!(shown(&parse("1min 30s").unwrap()), "1m 30s");
        for bad in ["", "5", "-1h", "1 month", "1y", "soon"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
