//! What the network itself would make of a device's payloads: its payload formatters.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The payload formatters of one device. The network keeps those for the two directions apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formatter {
    /// What messages call it; says where it comes from.
    pub name: String,
    /// Makes fields of uplinks; `None` if the network leaves them as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up: Option<Script>,
    /// Makes payloads of commands, and fields of those again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub down: Option<Script>,
}

/// How payloads are read or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Script {
    #[serde(rename = "javascript")]
    JavaScript(String),
    CayenneLpp,
}

/// Why the network did not tell a device's formatters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatterError {
    /// The key may not see them. The server has told so.
    #[error("the key may not see them: {0}")]
    Forbidden(String),
    /// The network wants us to wait.
    #[error("rate limit reached")]
    RateLimited { retry_after: Duration },
    /// It will not tell, however often it is asked.
    #[error("refused: {0}")]
    Refused(String),
    /// It may tell another time.
    #[error("no clear answer: {0}")]
    Unknown(String),
}
