//! Why a command is refused, in words for whoever sent it.

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{DownlinkId, InvalidDownlink, State, Step};

/// A command that leads to no downlink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    pub reason: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Nothing is wrong with the command: the same may be taken later.
    #[serde(skip)]
    pub passes: bool,
}

impl Refusal {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None, passes: false }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Nothing is wrong with the command: the same may be taken later.
    pub fn passes(self) -> Self {
        Self { passes: true, ..self }
    }

    /// What concerns one item of a list.
    pub fn of_item(self, number: usize) -> Self {
        Self {
            reason: format!("downlink {number} of the list: {}; nothing of this list was accepted", self.reason),
            ..self
        }
    }

    /// The answer to the command.
    pub fn step(self, id: DownlinkId, at: Timestamp) -> Step {
        Step { id, state: State::Failed, at, reason: Some(self.reason), hint: self.hint }
    }
}

impl From<InvalidDownlink> for Refusal {
    fn from(invalid: InvalidDownlink) -> Self {
        Self::new(invalid.to_string())
    }
}
