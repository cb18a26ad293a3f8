//! What can go wrong with a codec, each error with what its user needs to mend it.

use std::time::Duration;

use crate::normalized::Refused;

/// Why a codec could not be loaded, or gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The script does not compile, or throws while it is evaluated.
    #[error("the codec does not load: {message}{}", at_line(.line))]
    Load {
        /// The exception's name and message.
        message: String,
        /// Where in the script, counted from 1.
        line: Option<u32>,
    },
    /// The script defines no function for what was asked.
    #[error("the codec defines no function {wanted}")]
    MissingFunction {
        /// The names looked for.
        wanted: &'static str,
    },
    /// The script threw.
    #[error("the codec threw {message}{}", at_line(.line))]
    Threw {
        /// The exception's name and message, or the thrown value as text.
        message: String,
        /// Where in the script, counted from 1.
        line: Option<u32>,
    },
    /// The codec itself says that it cannot: its result held `errors`.
    #[error("the codec reports: {}", .errors.join("; "))]
    Reported {
        /// The codec's own words.
        errors: Vec<String>,
    },
    /// The call took longer than [`Limits::time`](crate::Limits::time).
    #[error("the codec took longer than {} ms", .limit.as_millis())]
    TimedOut {
        /// The limit it ran into.
        limit: Duration,
    },
    /// The script wanted more than [`Limits::memory`](crate::Limits::memory).
    #[error("the codec needs more than {} KiB of memory", .limit / 1024)]
    OutOfMemory {
        /// The limit it ran into, in bytes.
        limit: usize,
    },
    /// A result, or its data, is not the object it must be.
    #[error("the codec's {what} must be an object, not {got}")]
    NotAnObject {
        /// "result" or "data".
        what: &'static str,
        /// What it is instead: "a number", "a promise" …
        got: &'static str,
    },
    /// A result is an object, but a part of it has no form a payload or JSON could take.
    #[error("the codec's result cannot be used: {path} {reason}")]
    BadResult {
        /// Where in the result: `data.readings[3]`.
        path: String,
        /// What is wrong there.
        reason: String,
    },
    /// A normalizer's data is no list of measurements.
    #[error("the codec's measurements cannot be used: {0}")]
    NotMeasurements(#[from] Refused),
    /// The payload does not follow the format of a built-in engine.
    #[error("the payload is not {format}: {reason}")]
    BadPayload {
        /// The format's name.
        format: &'static str,
        /// What is wrong, and at which byte.
        reason: String,
    },
    /// The command has nothing that a built-in engine could send.
    #[error("the command cannot be sent as {format}: {reason}")]
    BadCommand {
        /// The format's name.
        format: &'static str,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The engine could not be set up: the process is out of memory, or the limits leave no room for it.
    #[error("the script engine failed: {reason}")]
    Engine {
        /// What the engine said.
        reason: String,
    },
}

impl CodecError {
    /// Whether a codec that does not load will not load another time either: it did not only lack time or memory.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Load { .. } | Self::MissingFunction { .. })
    }

    /// The line of the script, counted from 1, where it went wrong, if that is known.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::Load { line, .. } | Self::Threw { line, .. } => *line,
            _ => None,
        }
    }
}

fn at_line(line: &Option<u32>) -> String {
    line.map_or_else(String::new, |line| format!(" (line {line})"))
}
