//! What the host keeps of a realm from before the codec ran, so that nothing the codec overwrites can mislead it.

use rquickjs::{Array, Coerced, Function, Object, String as JsString, Value};

use super::fault::Fault;

/// The text of one message, warning or path is cut to this many characters: codecs may put a whole payload in it.
const LONGEST_TEXT: usize = 500;

/// How many slots are the host's own; behind them stand the codec's functions.
pub(super) const SLOTS: usize = 7;

/// The slots of `natives.js`.
const OBJECT_PROTOTYPE: usize = 0;
const MAKE_DATE: usize = 1;
const PLAIN: usize = 2;
const WELL_FORMED: usize = 3;
const CHANCE: usize = 4;
const CONSOLE: usize = 5;
const DIGITS: usize = 6;

/// What the prelude captured, at work in one call.
pub(super) struct Host<'js> {
    slots: Array<'js>,
    object_prototype: Value<'js>,
}

impl<'js> Host<'js> {
    pub fn new(slots: Array<'js>) -> rquickjs::Result<Self> {
        let object_prototype = slots.get(OBJECT_PROTOTYPE)?;
        Ok(Self { slots, object_prototype })
    }

    /// Sets what `Math.random` starts from.
    pub fn give_chance(&self, seed: u64) -> rquickjs::Result<()> {
        // As a number of JavaScript: 53 bits.
        self.slots.set(CHANCE, (seed >> 11) as f64)
    }

    /// Moves what the script wrote to its console behind `lines`, as far as it can be read.
    pub fn take_console(&self, lines: &mut Vec<String>) {
        let Ok(console) = self.slots.get::<Array>(CONSOLE) else { return };
        let written: usize = console.get(0).unwrap_or(0);
        for index in 1..=written.min(console.len() - 1) {
            let line = console.get::<JsString>(index).and_then(|line| self.text(&line));
            lines.extend(line.ok());
            let _ = console.set(index, 0);
        }
        if written >= console.len() {
            lines.push(format!("… and {} lines more", written + 1 - console.len()));
        }
        let _ = console.set(0, 0);
    }

    /// A `Date` at this many Unix milliseconds.
    pub fn date(&self, milliseconds: i64) -> rquickjs::Result<Value<'js>> {
        // A Date holds a double: exact to the year 287,396.
        self.slots.get::<Function>(MAKE_DATE)?.call((milliseconds as f64,))
    }

    /// What stands for this object in JSON: itself if it is a plain one, a list for a typed array, a text for a `Date` …
    pub fn plain(&self, object: &Object<'js>) -> rquickjs::Result<Value<'js>> {
        let is_plain = object.is_proxy() || object.is_array() || self.has_plain_prototype(object);
        if is_plain {
            Ok(object.as_value().clone())
        } else {
            self.slots.get::<Function>(PLAIN)?.call((object.clone(),))
        }
    }

    /// The text of a string; half a surrogate pair becomes U+FFFD, as on The Things Stack.
    pub fn text(&self, string: &JsString<'js>) -> rquickjs::Result<String> {
        match string.to_string() {
            Err(rquickjs::Error::Utf8(_)) => {
                self.slots.get::<Function>(WELL_FORMED)?.call::<_, JsString>((string.clone(),))?.to_string()
            }
            text => text,
        }
    }

    /// The digits of a BigInt; `None` if it is larger than a double can be.
    pub fn digits(&self, integer: Value<'js>) -> rquickjs::Result<Option<String>> {
        self.slots.get::<Function>(DIGITS)?.call((integer,))
    }

    /// Any value as a short text, by the script's own conversion.
    pub fn short_text(&self, value: Value<'js>) -> Result<String, Fault> {
        let string = match value.as_symbol() {
            Some(symbol) => symbol.description()?.get::<Coerced<JsString>>()?,
            None => value.get::<Coerced<JsString>>()?,
        };
        Ok(shorten(self.text(&string)?))
    }

    fn has_plain_prototype(&self, object: &Object<'js>) -> bool {
        object.get_prototype().is_none_or(|prototype| *prototype.as_value() == self.object_prototype)
    }
}

/// Cuts a text that is too long for a message.
pub(super) fn shorten(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
