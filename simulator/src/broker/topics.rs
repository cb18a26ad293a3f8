//! Topic names and topic filters: which are valid, and which match (MQTT 3.1.1, 4.7).

/// Whether a message can be published under this name. MQTT strings hold no NUL (MQTT 3.1.1, 1.5.3-2).
pub(super) fn is_valid_topic(topic: &str) -> bool {
    fits(topic) && !topic.contains(['+', '#', '\0'])
}

/// Whether a client can subscribe to this: `+` and `#` fill a whole level, `#` only the last.
pub(super) fn is_valid_filter(filter: &str) -> bool {
    let (before, last) = filter.rsplit_once('/').map_or((None, filter), |(before, last)| (Some(before), last));
    let holds_one_level = |level: &str| level == "+" || !level.contains(['+', '#', '\0']);
    fits(filter)
        && (last == "#" || holds_one_level(last))
        && before.is_none_or(|before| before.split('/').all(holds_one_level))
}

/// Whether a valid filter matches a valid topic.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    // Wildcards at the front leave the broker's own topics out (MQTT 3.1.1, 4.7.2-1).
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for expected in filter.split('/') {
        if expected == "#" {
            // Reached with every level used up, `#` stands for its parent: `a/#` matches `a` (4.7.1.2).
            return true;
        }
        match levels.next() {
            Some(level) if expected == "+" || expected == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

/// MQTT strings carry their length in two bytes, and topics are never empty (MQTT 3.1.1, 4.7.3).
fn fits(topic: &str) -> bool {
    (1..=usize::from(u16::MAX)).contains(&topic.len())
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    /// MQTT's rules in their plainest form: level by level, from the front.
    fn specified(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => specified(filter, topic),
            ([wanted, filter @ ..], [level, topic @ ..]) => wanted == level && specified(filter, topic),
            _ => false,
        }
    }

    fn specified_with_dollar(filter: &str, topic: &str) -> bool {
        let (filter, topic): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
        let hidden = topic[0].starts_with('$') && ["+", "#"].contains(&filter[0]);
        !hidden && specified(&filter, &topic)
    }

    /// Few and short levels, so that filters and topics meet often.
    fn topic() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(vec!["", "a", "b", "ab", "$SYS"]), 1..5)
            .prop_map(|levels| levels.join("/"))
            .prop_filter("a topic is never empty", |topic| !topic.is_empty())
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["", "a", "b", "ab", "$SYS", "+", "+", "#"]);
        prop::collection::vec(level, 1..5)
            .prop_map(|levels| levels.join("/"))
            .prop_filter("only valid filters", |filter| is_valid_filter(filter))
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 4000,
            rng_seed: RngSeed::Fixed(311),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn matching_agrees_with_the_plain_specification(filter in filter(), topic in topic()) {
            prop_assert_eq!(matches(&filter, &topic), specified_with_dollar(&filter, &topic));
        }

        #[test]
        fn a_topic_matches_itself_and_everything_above_it(topic in topic()) {
            prop_assert!(matches(&topic, &topic));
            for (end, _) in topic.match_indices('/').chain([(topic.len(), "")]) {
                // `/#` is the parent of a topic that opens with a slash; a filter of its own kind.
                let filter = format!("{}/#", &topic[..end]);
                prop_assert!(matches(&filter, &topic), "{} should match {}", filter, topic);
            }
        }

        #[test]
        fn no_text_breaks_the_checks(text in "[ab+#/$\0]{0,8}", topic in topic()) {
            if is_valid_filter(&text) {
                matches(&text, &topic);
            }
            prop_assert!(!is_valid_topic(&text) || is_valid_filter(&text), "every topic is a filter");
        }
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("$SYS/#", "$SYS/uptime"),
            ("$SYS/monitor/+", "$SYS/monitor/clients"),
        ] {
            assert!(matches(filter, topic), "{filter} should match {topic}");
        }
        for (filter, topic) in [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/uptime"),
            ("+/uptime", "$SYS/uptime"),
            ("a", "A"),
        ] {
            assert!(!matches(filter, topic), "{filter} should not match {topic}");
        }
    }

    #[test]
    fn wildcards_fill_whole_levels() {
        for filter in ["#", "+", "+/tennis/#", "sport/+/player1", "/", "a//b", "$share/x"] {
            assert!(is_valid_filter(filter), "{filter} is valid");
        }
        for filter in ["", "sport/tennis#", "sport/tennis/#/ranking", "sport+", "#/a", "++", "a\0b"] {
            assert!(!is_valid_filter(filter), "{filter} is not valid");
        }
        assert!(!is_valid_filter(&"a".repeat(65_536)) && is_valid_filter(&"a".repeat(65_535)));
    }

    #[test]
    fn topics_hold_no_wildcard_and_no_nul() {
        assert!(["a", "/", "a b/ü", "$SYS/x"].into_iter().all(is_valid_topic));
        assert!(!["", "a/+", "#", "a\0"].into_iter().any(is_valid_topic));
    }
}
