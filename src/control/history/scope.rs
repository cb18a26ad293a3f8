//! Whose past is asked about, of which time, and in how many points.

use jiff::{SignedDuration, Timestamp};

use crate::control::problem::{Kind, Problem};
use crate::model::{DeviceKey, HomeName, duration};

/// Points of one series, unless the request says otherwise, and the bounds of what it may say.
const USUAL_POINTS: usize = 500;
const FEWEST_POINTS: usize = 10;
const MOST_POINTS: usize = 5000;
const USUAL_SPAN: SignedDuration = SignedDuration::from_hours(24);

/// A device and a time.
#[derive(Debug)]
pub struct Scope {
    pub key: DeviceKey,
    pub name: HomeName,
    pub from: Timestamp,
    /// It counts too.
    pub to: Timestamp,
    /// Of each series, at most.
    pub points: usize,
}

impl Scope {
    pub fn new(
        key: DeviceKey,
        name: HomeName,
        (from, to): (Option<&str>, Option<&str>),
        points: Option<usize>,
        now: Timestamp,
    ) -> Result<Self, Problem> {
        let to = to.map_or(Ok(now), |text| moment("to", text, now))?;
        let from = match from {
            Some(text) => moment("from", text, now)?,
            None => to.saturating_sub(USUAL_SPAN).unwrap_or(Timestamp::MIN),
        };
        if from >= to {
            return Err(Problem::new(Kind::Malformed, format!("`from` is {from}, and `to` is {to}: not later")));
        }
        let points = points.unwrap_or(USUAL_POINTS);
        if !(FEWEST_POINTS..=MOST_POINTS).contains(&points) {
            let detail = format!("`points` is {points}: from {FEWEST_POINTS} to {MOST_POINTS}");
            return Err(Problem::new(Kind::Malformed, detail));
        }
        Ok(Self { key, name, from, to, points })
    }
}

/// A time in RFC 3339, or a span back from now.
pub fn moment(key: &str, text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let span = duration::parse(text).and_then(|span| SignedDuration::try_from(span).ok());
    let ago = span.map(|span| now.saturating_sub(span).unwrap_or(Timestamp::MIN));
    ago.ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        Problem::new(Kind::Malformed, format!("`{key}` is `{shown}`"))
            .hint("give a time such as 2026-11-21T06:00:00Z, or a span back from now such as 24h or 7d")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, DeviceId};

    fn scope(from: Option<&str>, to: Option<&str>, points: Option<usize>) -> Result<Scope, Problem> {
        let key = DeviceKey::new(&ApplicationName::parse("app").unwrap(), DeviceId::parse("node").unwrap());
        let now = "2026-11-21T06:00:00Z".parse().unwrap();
        Scope::new(key, HomeName::parse("lamp").unwrap(), (from, to), points, now)
    }

    #[test]
    fn a_time_is_absolute_or_back_from_now_and_a_day_long_by_itself() {
        let span = |from, to| scope(from, to, None).map(|scope| format!("{} {}", scope.from, scope.to)).unwrap();
        assert_eq!(span(None, None), "2026-11-20T06:00:00Z 2026-11-21T06:00:00Z");
        assert_eq!(span(Some("7d"), Some("1d")), "2026-11-14T06:00:00Z 2026-11-20T06:00:00Z");
        assert_eq!(span(None, Some("2026-11-01T00:00:00+01:00")), "2026-10-30T23:00:00Z 2026-10-31T23:00:00Z");
    }

    #[test]
    fn what_is_no_time_or_no_number_of_points_is_refused_with_what_would_be() {
        let problem = scope(Some("yesterday"), None, None).unwrap_err();
        assert!(problem.detail.contains("`from` is `yesterday`") && problem.hint.unwrap().contains("7d"));
        assert!(scope(Some("1h"), Some("2h"), None).unwrap_err().detail.contains("not later"));
        for points in [9, 5001] {
            assert!(scope(None, None, Some(points)).unwrap_err().detail.contains("from 10 to 5000"));
        }
    }
}
