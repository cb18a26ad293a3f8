//! Topic filters as The Things Stack's MQTT server takes, rewrites and matches them.

/// A granted filter: always under the subscriber's own application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    levels: Vec<String>,
}

/// What became of a requested filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    Granted(Filter),
    /// SUBACK 0x80; the connection stays open.
    Refused,
    /// Not a filter at all: the server closes the connection.
    Malformed,
}

impl Filter {
    /// Judges a filter asked for by a client of application `uid`. `#`, `v3/#` and `v3/+/…` become the application's own.
    pub fn request(text: &str, uid: &str) -> Grant {
        let levels: Vec<&str> = text.split('/').collect();
        if !is_well_formed(&levels) {
            return Grant::Malformed;
        }
        let granted = match levels.as_slice() {
            ["#"] | ["v3", "#"] => vec!["v3", uid, "#"],
            ["v3", application, rest @ ..] if *application == "+" || *application == uid => {
                [&["v3", uid], rest].concat()
            }
            _ => return Grant::Refused,
        };
        Grant::Granted(Self { levels: granted.into_iter().map(str::to_owned).collect() })
    }

    /// True if `topic` is meant. Unlike the standard (MQTT 3.1.1, 4.7.1.2), `#` wants at least one level below it.
    pub fn matches(&self, topic: &str) -> bool {
        let mut topic = topic.split('/');
        for level in &self.levels {
            match (level.as_str(), topic.next()) {
                (_, None) => return false,
                ("#", Some(_)) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.levels.join("/"))
    }
}

/// Wildcards fill a whole level, and `#` is the last one (MQTT 3.1.1, 4.7.1).
fn is_well_formed(levels: &[&str]) -> bool {
    let last = levels.len() - 1;
    let whole = |(index, level): (usize, &&str)| match *level {
        "#" => index == last,
        "+" => true,
        text => !text.contains(['+', '#', '\0']),
    };
    levels != [""] && levels.iter().enumerate().all(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Option<String> {
        match Filter::request(text, "app1@ttn") {
            Grant::Granted(filter) => Some(filter.to_string()),
            Grant::Refused | Grant::Malformed => None,
        }
    }

    #[test]
    fn wide_filters_become_the_applications_own() {
        assert_eq!(rewritten("#").as_deref(), Some("v3/app1@ttn/#"));
        assert_eq!(rewritten("v3/#").as_deref(), Some("v3/app1@ttn/#"));
        assert_eq!(rewritten("v3/+/devices/+/up").as_deref(), Some("v3/app1@ttn/devices/+/up"));
        assert_eq!(rewritten("v3/app1@ttn/devices/#").as_deref(), Some("v3/app1@ttn/devices/#"));
    }

    #[test]
    fn filters_outside_the_application_are_refused() {
        for text in ["v3/other/#", "+/#", "$share/g/v3/app1@ttn/#", "$SYS/#", "v3", "v3/app1/devices/+/up", "/v3/#"] {
            assert_eq!(Filter::request(text, "app1@ttn"), Grant::Refused, "{text}");
        }
    }

    #[test]
    fn misplaced_wildcards_are_malformed() {
        for text in ["", "v3/dev#", "v3/de+", "v3/#/up"] {
            assert_eq!(Filter::request(text, "app1@ttn"), Grant::Malformed, "{text}");
        }
    }

    #[test]
    fn a_hash_does_not_match_its_parent_level() {
        let Grant::Granted(filter) = Filter::request("v3/app1/devices/+/up/#", "app1") else { panic!("refused") };
        assert!(!filter.matches("v3/app1/devices/dev1/up"));
        assert!(filter.matches("v3/app1/devices/dev1/up/normalized"));
    }

    #[test]
    fn a_plus_matches_exactly_one_level() {
        let Grant::Granted(filter) = Filter::request("v3/app1/devices/dev1/+", "app1") else { panic!("refused") };
        assert!(filter.matches("v3/app1/devices/dev1/join"));
        assert!(!filter.matches("v3/app1/devices/dev1/down/sent"));
        assert!(!filter.matches("v3/app1/devices/dev1"));
    }
}
