//! Writes a script's value as JSON, by walking it from outside: nothing here calls a function the codec could replace.
//!
//! The coercions are those of The Things Stack (observed on version 3.32), except that a `Date` becomes its ISO 8601 text
//! and a NaN or infinite number becomes null with a warning, where The Things Stack loses the uplink.

use std::fmt::Write as _;
use std::ops::Range;

use rquickjs::{Coerced, Filter, Object, String as JsString, Value};
use serde_json::value::RawValue;

use super::fault::Fault;
use super::host::{Host, shorten};
use crate::error::CodecError;

/// Deeper values are refused: JSON readers commonly stop at 128 levels.
const DEEPEST: usize = 64;

/// Longer texts are refused, in bytes: an uplink carries 242 bytes, so this is an error or an attack.
const LONGEST: usize = 256 << 10;

/// How many values that are no numbers are told of; more say nothing new.
const MOST_WARNINGS: usize = 16;

/// A value as JSON text, and what had to be changed on the way.
pub(super) struct Json {
    pub text: Box<RawValue>,
    pub warnings: Vec<String>,
}

/// Writes the value of `data`: always a JSON object, with the indices as keys if it is a list, empty if there is none.
pub(super) fn object_json<'js>(host: &Host<'js>, name: &str, value: Value<'js>) -> Result<Json, Fault> {
    let mut writer = Writer::new(host, name);
    writer.data(value)?;
    writer.finish()
}

/// Writes a value as a JSON list: a list as it is, anything else as the list's one item.
pub(super) fn list_json<'js>(host: &Host<'js>, name: &str, value: Value<'js>) -> Result<Json, Fault> {
    let mut writer = Writer::new(host, name);
    if value.is_array() {
        writer.value(value)?;
    } else {
        writer.out.push('[');
        writer.value(value)?;
        writer.out.push(']');
    }
    writer.finish()
}

struct Writer<'a, 'js> {
    host: &'a Host<'js>,
    name: &'a str,
    out: String,
    path: Vec<Step>,
    /// The objects around the current one, to notice a circle.
    around: Vec<Value<'js>>,
    warnings: Vec<String>,
}

/// One step from the root; a key is where its quoted form stands in the output.
enum Step {
    Key(Range<usize>),
    Index(usize),
}

impl<'a, 'js> Writer<'a, 'js> {
    fn new(host: &'a Host<'js>, name: &'a str) -> Self {
        Self { host, name, out: String::with_capacity(256), path: Vec::new(), around: Vec::new(), warnings: Vec::new() }
    }

    fn finish(self) -> Result<Json, Fault> {
        self.stay_short(self.out.len())?;
        let text = RawValue::from_string(self.out).map_err(|cause| CodecError::Engine { reason: cause.to_string() })?;
        Ok(Json { text, warnings: self.warnings })
    }

    fn data(&mut self, value: Value<'js>) -> Result<(), Fault> {
        if value.is_null() || value.is_undefined() {
            self.out.push_str("{}");
            return Ok(());
        }
        let not_an_object = CodecError::NotAnObject { what: "data", got: kind(&value) };
        let Some(object) = value.as_object().filter(|_| !is_opaque(&value)) else {
            return Err(not_an_object.into());
        };
        let plain = self.host.plain(object)?;
        match plain.into_object() {
            Some(list) if list.is_array() => self.list(&list, true),
            Some(object) => self.object(&object),
            None => Err(not_an_object.into()),
        }
    }

    fn value(&mut self, value: Value<'js>) -> Result<(), Fault> {
        self.stay_short(self.out.len())?;
        if value.is_null() || value.is_undefined() {
            self.out.push_str("null");
        } else if let Some(flag) = value.as_bool() {
            self.out.push_str(if flag { "true" } else { "false" });
        } else if let Some(number) = value.as_number() {
            self.number(number);
        } else if let Some(string) = value.as_string() {
            self.string(string)?;
        } else if let Some(symbol) = value.as_symbol() {
            let Coerced(description) = symbol.description()?.get::<Coerced<JsString>>()?;
            self.string(&description)?;
        } else if value.is_big_int() {
            self.big_integer(value)?;
        } else {
            self.nested(&value)?;
        }
        Ok(())
    }

    fn nested(&mut self, value: &Value<'js>) -> Result<(), Fault> {
        let Some(object) = value.as_object().filter(|_| !is_opaque(value)) else {
            return Err(self.refuse(format!("is {}, which JSON cannot hold", kind(value))));
        };
        let plain = self.host.plain(object)?;
        match plain.as_object() {
            Some(list) if list.is_array() => self.list(list, false),
            Some(object) => self.object(object),
            None => self.value(plain),
        }
    }

    fn number(&mut self, number: f64) {
        if !number.is_finite() {
            self.out.push_str("null");
            self.warn(format!("is {}, given as null", if number.is_nan() { "NaN" } else { "infinite" }));
        } else if number.trunc() == number && number.abs() < 1e21 {
            // Whole numbers as JavaScript prints them: no ".0", no exponent, and no "-0".
            let _ = write!(self.out, "{}", number + 0.0);
        } else {
            let _ = write!(self.out, "{}", serde_json::Number::from_f64(number).expect("the number is finite"));
        }
    }

    /// Digits as many as it has, if readers of JSON can still make a number of them.
    fn big_integer(&mut self, value: Value<'js>) -> Result<(), Fault> {
        match self.host.digits(value)? {
            Some(digits) => self.out.push_str(&digits),
            None => {
                self.out.push_str("null");
                self.warn("is larger than any number of JSON, given as null".to_owned());
            }
        }
        Ok(())
    }

    fn string(&mut self, string: &JsString<'js>) -> Result<(), Fault> {
        let text = self.host.text(string)?;
        self.stay_short(text.len())?;
        self.out.push_str(&serde_json::Value::from(text).to_string());
        Ok(())
    }

    fn list(&mut self, list: &Object<'js>, as_object: bool) -> Result<(), Fault> {
        self.enter(list)?;
        let length = list.get::<_, f64>("length")? as u64;
        self.out.push(if as_object { '{' } else { '[' });
        for index in 0..length {
            if index > 0 {
                self.out.push(',');
            }
            if as_object {
                let _ = write!(self.out, "\"{index}\":");
            }
            self.path.push(Step::Index(index as usize));
            self.value(list.get(index as f64)?)?;
            self.path.pop();
        }
        self.out.push(if as_object { '}' } else { ']' });
        self.around.pop();
        Ok(())
    }

    fn object(&mut self, object: &Object<'js>) -> Result<(), Fault> {
        self.enter(object)?;
        self.out.push('{');
        let mut first = true;
        for property in object.own_props::<JsString, Value>(Filter::new().string().enum_only()) {
            let (key, value) = property?;
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            let start = self.out.len();
            self.string(&key)?;
            self.path.push(Step::Key(start..self.out.len()));
            self.out.push(':');
            self.value(value)?;
            self.path.pop();
        }
        self.out.push('}');
        self.around.pop();
        Ok(())
    }

    /// Steps into an object, unless it is too deep or already around us.
    fn enter(&mut self, object: &Object<'js>) -> Result<(), Fault> {
        if self.around.len() >= DEEPEST {
            return Err(self.refuse(format!("lies deeper than {DEEPEST} levels")));
        }
        if self.around.contains(object.as_value()) {
            return Err(self.refuse("contains itself".to_owned()));
        }
        self.around.push(object.as_value().clone());
        Ok(())
    }

    fn stay_short(&self, length: usize) -> Result<(), Fault> {
        let is_short = length <= LONGEST;
        is_short.then_some(()).ok_or_else(|| self.refuse(format!("makes the JSON longer than {} KiB", LONGEST / 1024)))
    }

    fn refuse(&self, reason: String) -> Fault {
        CodecError::BadResult { path: self.place(), reason }.into()
    }

    fn warn(&mut self, what: String) {
        if self.warnings.len() < MOST_WARNINGS {
            let place = self.place();
            self.warnings.push(format!("{place} {what}"));
        }
    }

    /// Where we are, as a script would write it: `data.readings[3].value`.
    fn place(&self) -> String {
        let mut place = self.name.to_owned();
        for step in &self.path {
            let _ = match step {
                Step::Key(quoted) => write!(place, ".{}", self.out[quoted.clone()].trim_matches('"')),
                Step::Index(index) => write!(place, "[{index}]"),
            };
        }
        shorten(place)
    }
}

/// What holds no data, or not yet: a promise is never kept, as nothing runs after the call.
fn is_opaque(value: &Value<'_>) -> bool {
    value.is_function() || value.is_promise()
}

/// What a value is, for a message.
pub(super) fn kind(value: &Value<'_>) -> &'static str {
    if value.is_undefined() {
        "undefined"
    } else if value.is_null() {
        "null"
    } else if value.is_function() {
        "a function"
    } else if value.is_promise() {
        "a promise"
    } else if value.is_array() {
        "a list"
    } else if value.is_number() {
        "a number"
    } else if value.is_string() {
        "a string"
    } else if value.is_bool() {
        "a boolean"
    } else if value.is_object() {
        "an object of another kind"
    } else {
        "a value of another type"
    }
}
