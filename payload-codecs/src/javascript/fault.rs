//! How a call goes wrong inside the engine, and what its user is told.

use rquickjs::{Ctx, Object, Value};

use super::engine::SCRIPT_NAME;
use super::host::{Host, shorten};
use crate::error::CodecError;

/// A failure on its way out of a call: the script's exception still waits in the engine, or we refused its result.
pub(super) enum Fault {
    Engine(rquickjs::Error),
    Refused(CodecError),
}

impl From<rquickjs::Error> for Fault {
    fn from(cause: rquickjs::Error) -> Self {
        Self::Engine(cause)
    }
}

impl From<CodecError> for Fault {
    fn from(cause: CodecError) -> Self {
        Self::Refused(cause)
    }
}

impl Fault {
    /// What to tell the user. Timeouts are told from other exceptions by the caller, who owns the clock.
    pub fn explain<'js>(self, ctx: &Ctx<'js>, host: &Host<'js>, memory: usize) -> CodecError {
        let cause = match self {
            Self::Refused(error) => return error,
            Self::Engine(rquickjs::Error::Allocation) => return CodecError::OutOfMemory { limit: memory },
            // Where QuickJS finds no room, it sometimes fails without throwing.
            Self::Engine(rquickjs::Error::Exception) if !ctx.has_exception() => {
                return CodecError::OutOfMemory { limit: memory };
            }
            Self::Engine(cause) => cause,
        };
        if !ctx.has_exception() {
            return CodecError::Engine { reason: cause.to_string() };
        }
        let thrown = ctx.catch();
        let (message, line) = describe(host, &thrown);
        // The engine throws an InternalError, or plain null once not even that finds room. A script's own `throw null`
        // looks the same, and would say as little.
        let starved = thrown.is_null() || message == "InternalError: out of memory";
        if starved { CodecError::OutOfMemory { limit: memory } } else { CodecError::Threw { message, line } }
    }
}

/// The name and message of a thrown value, and the script's innermost line in its stack.
fn describe<'js>(host: &Host<'js>, thrown: &Value<'js>) -> (String, Option<u32>) {
    let line = match thrown.as_object() {
        Some(object) if thrown.is_error() => property(host, object, "stack").and_then(|stack| line_in(&stack)),
        _ => None,
    };
    let message = host.short_text(thrown.clone()).ok();
    let message = message.filter(|text| text != "[object Object]").or_else(|| {
        let object = thrown.as_object()?;
        property(host, object, "message").map(shorten)
    });
    (message.unwrap_or_else(|| format!("a value of type {}", thrown.type_name())), line)
}

fn property<'js>(host: &Host<'js>, object: &Object<'js>, key: &str) -> Option<String> {
    let value: Value = object.get(key).ok()?;
    host.text(value.as_string()?).ok()
}

/// The first `codec.js:LINE` in a stack trace: frames of the engine itself have no line.
fn line_in(stack: &str) -> Option<u32> {
    let (_, after) = stack.split_once(SCRIPT_NAME)?;
    let digits = after.strip_prefix(':')?;
    digits.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}
