//! Moments as people type and read them: a time, or a span from now.

use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Span, SpanRelativeTo, Timestamp, TimestampRound, Unit};

/// A moment on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    At(Timestamp),
    /// So far from now, into the past or the future: that depends on what is asked.
    Span(SignedDuration),
}

impl Moment {
    /// Takes `2026-11-21T06:00:00Z`, with any offset, or a span such as `2h`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let span = || duration(text).filter(|span| !span.is_negative());
        text.parse()
            .map(Self::At)
            .ok()
            .or_else(|| span().map(Self::Span))
            .ok_or_else(|| "expected a time such as 2026-11-21T06:00:00Z, or a span such as 30m, 2h or 1d".to_owned())
    }

    pub fn ago(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Span(span) => now.saturating_sub(span).unwrap_or(Timestamp::MIN),
        }
    }

    pub fn ahead(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Span(span) => now.saturating_add(span).unwrap_or(Timestamp::MAX),
        }
    }
}

/// As people are shown it: `2026-11-21T06:00:00Z`.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    at.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc)).unwrap_or(at)
}

/// A span such as `30m`, longer than nothing.
pub fn span(text: &str) -> Result<Duration, String> {
    let span = duration(text).and_then(|span| Duration::try_from(span).ok());
    span.filter(|span| !span.is_zero()).ok_or_else(|| "expected a time such as 30s, 10m or 2h".to_owned())
}

/// Days count 24 hours, whatever a clock in a window does.
fn duration(text: &str) -> Option<SignedDuration> {
    text.parse::<Span>().ok()?.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_span_from_now() {
        let now: Timestamp = "2026-11-21T06:00:00Z".parse().unwrap();
        let moment = |text| Moment::parse(text).unwrap();
        assert_eq!(moment("2026-11-21T05:00:00Z").ago(now), moment("1h").ago(now));
        assert_eq!(moment("2026-11-21T08:30:00+01:00").ahead(now), moment("1h 30m").ahead(now));
        assert_eq!(moment("1d").ago(now).to_string(), "2026-11-20T06:00:00Z");
        for bad in ["", "yesterday", "2026-11-21", "-2h", "7"] {
            assert!(Moment::parse(bad).is_err(), "{bad}");
        }
        assert!(span("10m").is_ok() && span("0s").is_err() && span("-1s").is_err() && span("soon").is_err());
    }
}
