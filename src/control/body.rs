//! What a request says: a JSON object, whichever way it came.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::problem::{Kind, Problem};
use crate::model::{did_you_mean, unknown_key};

/// The keys of a request. The values are still as they were written: numbers keep their digits on the way to a codec.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Body(BTreeMap<String, Box<RawValue>>);

/// What takes nothing takes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Body {
    /// # Errors
    /// It is no JSON object. Nothing at all, and `null`, are as good as `{}`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        let object: Option<_> = serde_json::from_slice(bytes).map_err(|error| {
            Problem::malformed(error).hint("send a JSON object, or nothing where nothing is needed")
        })?;
        Ok(Self(object.unwrap_or_default()))
    }

    /// Whether it has this key.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The same with a key that stands elsewhere, such as in the path of an HTTP request.
    pub fn with_raw(mut self, key: &str, value: Box<RawValue>) -> Self {
        self.0.insert(key.to_owned(), value);
        self
    }

    /// Takes a value out, as it was written.
    pub fn take_raw(&mut self, key: &str) -> Option<Box<RawValue>> {
        self.0.remove(key)
    }

    /// Takes a text out.
    ///
    /// # Errors
    /// It is another kind of value.
    pub fn take_text(&mut self, key: &str) -> Result<Option<String>, Problem> {
        let Some(raw) = self.0.remove(key) else { return Ok(None) };
        let text = serde_json::from_str(raw.get());
        text.map_err(|_| Problem::new(Kind::Malformed, format!("`{key}` must be a string")))
    }

    /// What a handler reads of it.
    ///
    /// # Errors
    /// A key is unknown, missing, or of another kind.
    pub fn read<T: DeserializeOwned>(self) -> Result<T, Problem> {
        serde_json::from_slice(&self.into_json()).map_err(|error| unreadable(&error.to_string()))
    }

    /// For what takes nothing.
    ///
    /// # Errors
    /// There is a key.
    pub fn nothing(self) -> Result<Self, Problem> {
        self.read::<Nothing>().map(|Nothing {}| Self::default())
    }

    /// The object as JSON.
    pub fn into_json(self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("text keys always serialise")
    }
}

fn unreadable(message: &str) -> Problem {
    match unknown_key(message) {
        Some((unknown, known)) => {
            let shown: String = unknown.chars().take(80).collect();
            let problem = Problem::new(Kind::Malformed, format!("`{shown}` is no key of this request"));
            match known.is_empty() {
                true => problem.hint("it takes no key"),
                false => problem.hint(did_you_mean(unknown, &known)),
            }
        }
        // Where the key stands says nothing: the text was made anew.
        None => Problem::malformed(message.split(" at line ").next().unwrap_or(message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Level {
        level: Box<RawValue>,
    }

    fn read(text: &str) -> Result<String, (String, Option<String>)> {
        let read = Body::parse(text.as_bytes()).and_then(Body::read::<Level>);
        read.map(|read| read.level.get().to_owned()).map_err(|problem| (problem.detail, problem.hint))
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(read(r#"{"level": 21.50}"#).unwrap(), "21.50");
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        let (detail, hint) = read(r#"{"levl": 1}"#).unwrap_err();
        assert_eq!(detail, "`levl` is no key of this request");
        assert_eq!(hint.as_deref(), Some("did you mean `level`?"));
        assert_eq!(read("{}").unwrap_err().0, "the request cannot be read: missing field `level`");
    }

    #[test]
    fn nothing_at_all_is_an_empty_object_and_what_is_no_object_is_refused() {
        for text in ["", "  ", "null", "{}"] {
            assert!(Body::parse(text.as_bytes()).and_then(Body::nothing).is_ok(), "{text}");
        }
        for text in ["[]", "7", "\"info\"", "{", "{\"a\": 1} x"] {
            assert!(Body::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Body::parse(b"{\"a\": 1}").and_then(Body::nothing).is_err());
    }
}
