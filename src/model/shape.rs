//! Which fields a device has told so far, and what sort of values they hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What each decoded field holds, by its dotted path (`door.open`). Only leaves, and places as a whole.
pub type Shape = BTreeMap<String, ValueKind>;

/// What sort of values a field was seen to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueKind {
    Bool,
    /// Numbers, and only 0 and 1 so far.
    Binary,
    Number,
    Text,
    /// An object with `latitude` and `longitude`, in degrees.
    Place,
    /// Nothing but `null` so far.
    Null,
}
