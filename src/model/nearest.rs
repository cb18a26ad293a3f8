//! What was probably meant by a name that nobody knows.

/// How alike two names must be for one to be suggested, from 0 to 1.
const ALIKE: f64 = 0.6;
/// What is read of a name that somebody else wrote, in characters.
const READ: usize = 80;

/// A hint: the known name that is most like the unknown one or, if none is, all of them.
pub fn did_you_mean(unknown: &str, known: &[&str]) -> String {
    match nearest(unknown, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name that is most like one that is not, if it is alike at all.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let unknown: String = unknown.chars().take(READ).collect();
    let likeness = |name: &&str| strsim::normalized_damerau_levenshtein(&unknown, name);
    known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|name| likeness(name) >= ALIKE)
}

/// The unknown key of a serde error, and the known ones. serde tells them in its message only:
/// ``unknown field `a`, expected one of `b`, `c` ``.
pub fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    Some((quoted.next()?, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Lamp {
        #[serde(rename = "brightness")]
        _brightness: u8,
        #[serde(default, rename = "color")]
        _color: String,
    }

    #[test]
    fn an_unknown_key_is_found_in_what_serde_says() {
        let error = serde_json::from_str::<Lamp>(r#"{"brightnes": 7}"#).unwrap_err().to_string();
        assert_eq!(unknown_key(&error), Some(("brightnes", vec!["brightness", "color"])));
        assert_eq!(unknown_key("missing field `a`"), None);
    }

    #[test]
    fn the_nearest_name_is_suggested_and_all_are_named_where_none_is_near() {
        let known = ["downlink/send", "downlink/list", "health"];
        assert_eq!(did_you_mean("downlink/snd", &known), "did you mean `downlink/send`?");
        assert_eq!(did_you_mean("info", &known), "known here: downlink/send, downlink/list, health");
        assert!(did_you_mean(&"x".repeat(1 << 20), &known).starts_with("known here"));
    }
}
