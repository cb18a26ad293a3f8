//! TOML into [`Config`](super::Config): what is unknown or of the wrong type, on which line, and what was probably meant.

use serde_path_to_error::Segment;
use toml::de::{DeTable, DeValue};

use serde::de::DeserializeOwned;

use super::Problem;
use crate::model::{did_you_mean, unknown_key};

/// Keys there once were, and what took their place.
const MOVED: [(&str, &str); 1] =
    [("home.spool", "what waits for the home broker is on disk now, as much as `[store] spool_size` allows")];
/// Values of these keys are never repeated in an error.
const SECRETS: [&str; 3] = ["api_key", "password", "token"];

pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let document = toml::de::Deserializer::parse(text).map_err(|error| not_toml(text, &error))?;
    serde_path_to_error::deserialize(document).map_err(|error| not_ours(text, &error))
}

/// The line on which `key` (`application[0].cluster`) stands or, if it does not, the table it would stand in. From 1.
pub fn line_of(text: &str, key: &str) -> usize {
    nearest(text, key).0
}

/// The line on which `key` stands, if it does.
pub fn find_line(text: &str, key: &str) -> Option<usize> {
    Some(nearest(text, key)).filter(|(_, found)| *found).map(|(line, _)| line)
}

/// Every key that has a value of its own, and its line.
pub fn keys(text: &str) -> Vec<(String, usize)> {
    let mut keys = Vec::new();
    if let Ok(document) = DeTable::parse(text) {
        collect(text, document.get_ref(), "", &mut keys);
    }
    keys
}

/// The line of `key` or of the table it would stand in, and whether it is the key's own.
fn nearest(text: &str, key: &str) -> (usize, bool) {
    let Ok(document) = DeTable::parse(text) else { return (1, false) };
    let mut table = Some(document.get_ref());
    let mut at = 0;
    for step in key.split('.') {
        let (name, index) = step.split_once('[').map_or((step, None), |(name, rest)| (name, rest.strip_suffix(']')));
        let Some((key, value)) = table.and_then(|table| table.get_key_value(name)) else {
            return (line_at(text, at), false);
        };
        at = key.span().start;
        let index = index.and_then(|index| index.parse::<usize>().ok());
        table = match (value.get_ref(), index) {
            (DeValue::Array(all), Some(index)) => all.get(index).and_then(|element| {
                at = element.span().start;
                element.get_ref().as_table()
            }),
            (value, _) => value.as_table(),
        };
    }
    (line_at(text, at), true)
}

fn collect(text: &str, table: &DeTable<'_>, above: &str, keys: &mut Vec<(String, usize)>) {
    for (name, value) in table {
        let key = if above.is_empty() { name.get_ref().to_string() } else { format!("{above}.{}", name.get_ref()) };
        match value.get_ref() {
            DeValue::Table(inner) => collect(text, inner, &key, keys),
            DeValue::Array(all) if all.iter().all(|one| one.get_ref().is_table()) => {
                for (index, inner) in all.iter().filter_map(|one| one.get_ref().as_table()).enumerate() {
                    collect(text, inner, &format!("{key}[{index}]"), keys);
                }
            }
            _ => keys.push((key, line_at(text, name.span().start))),
        }
    }
}

/// The text does not even parse. The parser's message names what it expected and never repeats the value.
fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    Problem {
        file: None,
        line: line_at(text, error.span().map_or(0, |span| span.start)),
        key: String::new(),
        message: format!("not valid TOML: {}", error.message().replace('\n', ", ")),
        hint: "texts stand in quotes (\"eu1\"), a table begins with its name: [home], [[application]]".into(),
    }
}

/// The text is TOML, and no configuration of ours.
fn not_ours(text: &str, error: &serde_path_to_error::Error<toml::de::Error>) -> Problem {
    let key = shown(error.path());
    let inner = error.inner();
    let line = inner.span().map_or_else(|| line_of(text, &key), |span| line_at(text, span.start));
    let told = inner.message();
    let (message, hint) = match unknown_key(told) {
        Some((unknown, known)) => {
            let moved = MOVED.iter().find(|(old, _)| *old == key).map(|(_, hint)| (*hint).to_owned());
            (format!("unknown key `{unknown}`"), moved.unwrap_or_else(|| did_you_mean(unknown, &known)))
        }
        None if SECRETS.contains(&last_name(&key)) => ("this is no text".into(), "a secret stands in quotes".into()),
        None => (told.replace('\n', ", "), hint_for_type(told)),
    };
    Problem { file: None, line, key, message, hint }
}

fn hint_for_type(message: &str) -> String {
    let of_a_duration = message.contains("duration") || message.contains("time unit") || message.contains("friendly");
    match () {
        () if of_a_duration => "a duration is a text with its unit: \"30s\", \"100ms\", \"5min\"",
        () if message.starts_with("missing field") => "add it to this table",
        () if message.contains("expected a sequence") => "write [[application]] and [[device]], with two brackets",
        () => "texts stand in quotes, numbers and true or false do not",
    }
    .into()
}

/// `application[0].cluster`.
fn shown(path: &serde_path_to_error::Path) -> String {
    let mut key = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => key.push_str(&format!("[{index}]")),
            Segment::Map { key: name } => {
                key.push_str(if key.is_empty() { "" } else { "." });
                key.push_str(name);
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    key
}

fn last_name(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Config, Problem> {
        super::parse(text)
    }

    const TEXT: &str =
        "\n[[application]]\nid = 'one'\n\n[[application]]\nid = 'two'\ncluster = 'eu1'\n\n[home]\nurl = 'x'\n";

    #[test]
    fn a_key_is_found_on_its_line_and_a_missing_one_at_its_table() {
        for (key, line) in [
            ("application[0].id", 3),
            ("application[1].cluster", 7),
            ("application[1].name", 5),
            ("home.url", 10),
            ("home.in_flight", 9),
            ("", 1),
        ] {
            assert_eq!(line_of(TEXT, key), line, "{key}");
        }
    }

    #[test]
    fn an_unknown_key_gets_the_nearest_name_and_its_own_line() {
        let problem = parse("[[application]]\nid = 'abc'\nclustr = 'eu1'\n").unwrap_err();
        assert_eq!((problem.line, problem.key.as_str()), (3, "application[0].clustr"));
        assert_eq!(problem.hint, "did you mean `cluster`?");
        let problem = parse("[home]\nspool = 1\n").unwrap_err();
        assert!(problem.hint.contains("[store] spool_size"), "{}", problem.hint);
        let problem = parse("[home]\nxyz = 1\n").unwrap_err();
        assert!(problem.hint.starts_with("known here: url, mqtt_version, username"), "{}", problem.hint);
    }

    #[test]
    fn no_error_repeats_a_secret() {
        for text in [
            "[[application]]\nid = 'abc'\napi_key = NNSXS.HUSH.HUSH\n",
            "[[application]]\nid = 'abc'\napi_key = ['HUSH']\n",
            "[home]\npassword = 815815\n",
            "[home]\npassword = 'HUSH\n",
            "password = 'HUSH'\n",
        ] {
            let problem = parse(text).unwrap_err();
            let told = format!("{problem:?}");
            assert!(!told.contains("HUSH") && !told.contains("815815"), "{told}");
        }
    }
}
