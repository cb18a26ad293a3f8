//! Event names: those a request may ask for, exactly or by `/regular expression/`.

use std::collections::BTreeSet;

use super::super::messages::Failure;
use super::pattern::Pattern;

/// The Application Server's events that a bridge may ask for. The look-alike only tells some of them, but asking for the
/// others is no mistake.
const DEFINED: [&str; 18] = [
    "as.up.data.receive",
    "as.up.data.drop",
    "as.up.data.forward",
    "as.up.data.decode.fail",
    "as.up.data.decode.warning",
    "as.up.data.normalize.warning",
    "as.up.join.receive",
    "as.up.join.drop",
    "as.up.join.forward",
    "as.down.data.receive",
    "as.down.data.drop",
    "as.down.data.forward",
    "as.down.data.encode.fail",
    "as.down.data.sent.forward",
    "as.down.data.ack.forward",
    "as.down.data.nack.forward",
    "as.down.data.failed.forward",
    "as.down.data.queued.forward",
];

/// The events that were asked for; an empty request means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Option<BTreeSet<&'static str>>);

impl Names {
    /// Names that match nothing are an error (observed on The Things Stack 3.32).
    pub fn parse(asked: &[String]) -> Result<Self, Failure> {
        let mut names = BTreeSet::new();
        for name in asked {
            names.extend(matching(name)?);
        }
        Ok(Self((!asked.is_empty()).then_some(names)))
    }

    pub fn contain(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(name))
    }
}

/// The events one name stands for.
fn matching(name: &str) -> Result<Vec<&'static str>, Failure> {
    let Some(expression) = name.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
        let defined = DEFINED.iter().find(|defined| **defined == name);
        return defined.map(|defined| vec![*defined]).ok_or_else(|| unknown_event_name(name));
    };
    let pattern = Pattern::parse(expression).ok_or_else(invalid_regexp)?;
    let found: Vec<_> = DEFINED.into_iter().filter(|defined| pattern.is_in(defined)).collect();
    if found.is_empty() { Err(no_matching_events(expression)) } else { Ok(found) }
}

fn invalid_regexp() -> Failure {
    Failure::new(3, "pkg/events/grpc", "invalid_regexp", "invalid regexp")
}

fn no_matching_events(expression: &str) -> Failure {
    let text = "no matching events for regexp `{regexp}`";
    Failure::new(3, "pkg/events/grpc", "no_matching_events", text).with("regexp", expression)
}

fn unknown_event_name(name: &str) -> Failure {
    Failure::new(3, "pkg/events/grpc", "unknown_event_name", "unknown event `{name}`").with("name", name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: &[&str]) -> Result<Names, &'static str> {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        Names::parse(&asked).map_err(|failure| failure.name)
    }

    #[test]
    fn names_are_exact_or_between_slashes() {
        let up = names(&["/as.up.*forward/", "as.down.data.receive"]).unwrap();
        let expected = ["as.up.data.forward", "as.up.join.forward", "as.down.data.receive"];
        assert!(expected.iter().all(|name| up.contain(name)));
        assert!(!up.contain("as.up.data.drop") && !up.contain("as.down.data.sent.forward"));
        assert!(names(&[]).unwrap().contain("as.up.data.drop"));
        assert!(names(&["as.up.data.forward", "as.up.data.forward", "/up/", "/up/"]).is_ok());
    }

    #[test]
    fn names_that_mean_nothing_are_refused() {
        assert_eq!(names(&["as.up.data"]), Err("unknown_event_name"));
        assert_eq!(names(&["/ns.up/"]), Err("no_matching_events"));
        assert_eq!(names(&["/as.(up/"]), Err("invalid_regexp"));
    }
}
