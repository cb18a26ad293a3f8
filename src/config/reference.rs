//! Every key there is, written from the types: the reference for people, the JSON schema for editors.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Serialize, forward_to_deserialize_any};
use serde_json::{Value, json};

use super::{
    ApplicationConfig, AvailabilityConfig, CodecsConfig, Config, DeviceConfig, DownlinkConfig, HomeAssistantConfig,
    HomeConfig, LogConfig, RepairConfig, ServiceConfig, StoreConfig, WebConfig, parse,
};

const HEAD: &str = "\
#:schema schema.json
# Every key of ttn-ferry's configuration, with its default. A line that begins with `#` and no space is a key without a
# default, with an example. Most people need four of them: see ttn-ferry.toml beside this file, or `ttn-ferry init`.
#
# Durations are texts with a unit (\"30s\", \"5min\"). Relative paths start at the file. A key that is not known is an error.
# The file is found by --config FILE, by TTN_FERRY_CONFIG, as ./ttn-ferry.toml, or as /etc/ttn-ferry/ttn-ferry.toml.
# What is marked [reload] counts as soon as the file is saved, or after SIGHUP; the rest after a restart.
# Written by `ttn-ferry config reference`.
";
/// Columns of a comment.
const WIDTH: usize = 118;

/// The configuration file with everything in it.
pub fn reference() -> String {
    let schema = schema_of::<Config>();
    let mut text = HEAD.to_owned();
    for table in field_names::<Config>() {
        let about = schema["properties"][table]["description"].as_str();
        match *table {
            "application" => one::<ApplicationConfig>("application", true, about, "id = \"my-app\"", &mut text),
            "device" => one::<DeviceConfig>("device", true, about, "id = \"soil-1\"", &mut text),
            "home" => one::<HomeConfig>("home", false, about, "", &mut text),
            "home_assistant" => one::<HomeAssistantConfig>("home_assistant", false, about, "", &mut text),
            "availability" => one::<AvailabilityConfig>("availability", false, about, "", &mut text),
            "downlink" => one::<DownlinkConfig>("downlink", false, about, "", &mut text),
            "repair" => one::<RepairConfig>("repair", false, about, "", &mut text),
            "codecs" => one::<CodecsConfig>("codecs", false, about, "", &mut text),
            "store" => one::<StoreConfig>("store", false, about, "", &mut text),
            "web" => one::<WebConfig>("web", false, about, "", &mut text),
            "log" => one::<LogConfig>("log", false, about, "", &mut text),
            "service" => one::<ServiceConfig>("service", false, about, "", &mut text),
            other => unreachable!("a test writes every table, and `{other}` is none of them"),
        }
    }
    text
}

/// The JSON schema (draft 2020-12) of the file.
pub fn schema() -> String {
    let mut schema = schema_of::<Config>();
    schema["title"] = json!("ttn-ferry.toml");
    let text = serde_json::to_string_pretty(&schema).expect("a schema has string keys and always serialises");
    text + "\n"
}

/// A table with all its keys; `least` is what a table of this kind must say.
fn one<T: JsonSchema + DeserializeOwned + Serialize>(
    name: &str,
    is_repeated: bool,
    about: Option<&str>,
    least: &str,
    text: &mut String,
) {
    let schema = schema_of::<T>();
    let table: T = parse::parse(least).expect("a test reads the least that each table must say");
    let values = json!(table);
    text.push('\n');
    comment(about.or(schema["description"].as_str()).unwrap_or_default(), text);
    // Devices have a table only if there is something to say of them.
    let off = if name == "device" { "#" } else { "" };
    let header = if is_repeated { format!("[[{name}]]") } else { format!("[{name}]") };
    line(text, &format!("{off}{header}"));
    for key in field_names::<T>() {
        let property = &schema["properties"][key];
        if property.is_null() {
            // It is not read from the file.
            continue;
        }
        let place = if is_repeated { format!("{name}[x].{key}") } else { format!("{name}.{key}") };
        let names_it = ["id", "application"].contains(key);
        let reload = if !names_it && super::values::counts_at_once(&place) { " [reload]" } else { "" };
        comment(&format!("{}{reload}", property["description"].as_str().unwrap_or_default()), text);
        choices(property, &schema, text);
        let default = Some(&values[key]).filter(|value| !is_nothing(value));
        match (default, property["examples"].get(0)) {
            (Some(default), _) => line(text, &format!("{off}{key} = {}", inline(default))),
            (None, example) => line(text, &format!("#{key} = {}", inline(example.unwrap_or(&Value::Null)))),
        }
    }
}

/// What a value may be, if each is explained.
fn choices(property: &Value, schema: &Value, text: &mut String) {
    let own = [&property["$ref"], &property["anyOf"][0]["$ref"]].into_iter().find_map(Value::as_str);
    let choices = own.and_then(|path| schema.pointer(path.strip_prefix('#')?)?.get("oneOf")?.as_array());
    for choice in choices.into_iter().flatten() {
        if let (Some(value), Some(about)) = (choice["const"].as_str(), choice["description"].as_str()) {
            comment(&format!("  \"{value}\": {about}"), text);
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null()
        || value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(|map| map.is_empty())
}

/// A value as it stands behind a key.
fn inline(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| "\"\"".into(), |value| value.to_string())
}

/// A comment, in lines.
fn comment(words: &str, text: &mut String) {
    let indent = words.len() - words.trim_start().len();
    let mut current = format!("#{}", " ".repeat(indent));
    for word in words.split_whitespace() {
        if current.len() + 1 + word.len() > WIDTH {
            line(text, &current);
            current = format!("#{}", " ".repeat(indent));
        }
        write!(current, " {word}").expect("a String takes everything");
    }
    line(text, &current);
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn schema_of<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

/// The keys of a table in the order of its type. serde names them to whoever deserialises a struct; a schema is sorted.
fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // It gives no value, on purpose.
    T::deserialize(Names(&mut names)).err();
    names
}

struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Error::custom("only the names are asked for"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    fn committed(name: &str) -> (PathBuf, String) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        (path, text)
    }

    #[test]
    fn the_committed_reference_and_schema_are_those_of_the_types() {
        for (name, made) in [("reference.toml", reference()), ("schema.json", schema())] {
            let (path, text) = committed(name);
            let command = name.split('.').next().unwrap();
            assert!(text == made, "cargo run -- config {command} > {}", path.display());
        }
    }

    #[test]
    fn the_reference_says_the_defaults_and_every_key_is_a_real_one() {
        let written: Config = parse::parse(&reference()).unwrap_or_else(|problem| panic!("{problem}"));
        let least: Config = parse::parse("[[application]]\nid = 'my-app'\n").unwrap();
        assert_eq!(json!(written), json!(least));
        let is_key =
            |line: &str| line.starts_with('#') && !line.starts_with("# ") && !line.starts_with("#:") && line.len() > 1;
        let all: Vec<_> =
            reference().lines().map(|line| if is_key(line) { line[1..].to_owned() } else { line.into() }).collect();
        let written: Config = parse::parse(&all.join("\n")).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(written.device[0].home_assistant.len(), 1);
        assert_eq!(written.application[0].kek.len(), 1);
    }

    #[test]
    fn every_key_is_explained_in_the_schema() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let (mut seen, mut silent) = (0, Vec::new());
        for (name, table) in
            schema["$defs"].as_object().unwrap().iter().filter(|(_, table)| table["properties"].is_object())
        {
            for (key, property) in table["properties"].as_object().unwrap() {
                seen += 1;
                silent.extend(property["description"].is_null().then(|| format!("{name}.{key}")));
            }
            assert_eq!(table["additionalProperties"], false, "{name}");
        }
        assert!(seen > 60 && silent.is_empty(), "{seen} keys; without a word: {silent:?}");
    }

    /// Numbers one below and one above what the schema allows are refused, and the bounds themselves are not.
    #[test]
    fn the_ranges_of_the_schema_are_those_of_the_rules() {
        let mut tried = 0;
        for table in field_names::<Config>().iter().filter(|table| !["application", "device"].contains(table)) {
            let schema = schema_of::<Config>();
            let path = schema["properties"][table]["$ref"].as_str().unwrap();
            let properties = schema.pointer(&path[1..]).unwrap()["properties"].as_object().unwrap();
            for (key, property) in properties {
                let (Some(least), Some(most)) = (property["minimum"].as_i64(), property["maximum"].as_i64()) else {
                    continue;
                };
                for (value, good) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                    let text =
                        format!("[[application]]\nid = 'my-app'\nmqtt_url = 'mqtt://x'\n[{table}]\n{key} = {value}\n");
                    let loaded = Config::from_text(&text, Path::new("x/y.toml"), &NoEnvironment);
                    assert_eq!(loaded.is_ok(), good, "{table}.{key} = {value}: {:?}", loaded.err());
                    tried += 1;
                }
            }
        }
        assert!(tried > 30, "only {tried}");
    }

    struct NoEnvironment;

    impl crate::config::Environment for NoEnvironment {
        fn var(&self, _name: &str) -> Option<String> {
            None
        }

        fn read(&self, _path: &Path) -> std::io::Result<String> {
            Err(std::io::ErrorKind::NotFound.into())
        }

        fn exists(&self, _path: &Path) -> bool {
            false
        }

        fn readable_by_others(&self, _path: &Path) -> bool {
            false
        }
    }
}
