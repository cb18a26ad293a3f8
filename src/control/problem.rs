//! Why a request was not done, in words for whoever asked, whichever way they came.

use crate::downlink::Refusal;

/// A request that was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    pub kind: Kind,
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What sort of problem it is: the ones a program may want to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be understood.
    Malformed,
    /// It is longer than what is read.
    TooLong,
    /// What it names is not there.
    Unknown,
    /// It came too late, or does not fit how things stand.
    Conflict,
    /// It was understood, and cannot be carried out as it is.
    Refused,
    /// It may work later.
    Unavailable,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub fn malformed(error: impl std::fmt::Display) -> Self {
        Self::new(Kind::Malformed, format!("the request cannot be read: {error}"))
    }

    /// `kind`: what it is unless the same may be taken later.
    pub fn of(kind: Kind, Refusal { reason, hint, passes }: Refusal) -> Self {
        Self { kind: if passes { Kind::Unavailable } else { kind }, detail: reason, hint }
    }
}
