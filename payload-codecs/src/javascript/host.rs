//! What the host keeps of a realm from before the codec ran, so that nothing the codec overwrites can mislead it.

use rquickjs::{Array, Coerced, Ctx, Function, Object, String as JsString, Value};

use super::fault::Fault;

/// The text of one message, warning or path is cut to this many characters: codecs may put a whole payload in it.
const LONGEST_TEXT: usize = 500;

/// The natives that `prelude.js` captured, at work in one call.
pub(super) struct Host<'js> {
    natives: Array<'js>,
    object_prototype: Value<'js>,
}

impl<'js> Host<'js> {
    /// Evaluates the prelude in a fresh realm.
    pub fn capture(ctx: &Ctx<'js>) -> rquickjs::Result<Array<'js>> {
        ctx.eval(include_str!("prelude.js"))
    }

    pub fn new(natives: Array<'js>) -> rquickjs::Result<Self> {
        let object_prototype = natives.get(0)?;
        Ok(Self { natives, object_prototype })
    }

    /// A `Date` at this many Unix milliseconds.
    pub fn date(&self, milliseconds: i64) -> rquickjs::Result<Value<'js>> {
        // A Date holds a double: exact to the year 287,396.
        self.natives.get::<Function>(1)?.call((milliseconds as f64,))
    }

    /// What stands for this object in JSON: itself if it is a plain one, a list for a typed array, a text for a `Date` …
    pub fn plain(&self, object: &Object<'js>) -> rquickjs::Result<Value<'js>> {
        let is_plain = object.is_proxy() || object.is_array() || self.has_plain_prototype(object);
        if is_plain { Ok(object.as_value().clone()) } else { self.natives.get::<Function>(2)?.call((object.clone(),)) }
    }

    /// The text of a string; half a surrogate pair becomes U+FFFD, as on The Things Stack.
    pub fn text(&self, string: &JsString<'js>) -> rquickjs::Result<String> {
        match string.to_string() {
            Err(rquickjs::Error::Utf8(_)) => {
                self.natives.get::<Function>(3)?.call::<_, JsString>((string.clone(),))?.to_string()
            }
            text => text,
        }
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
