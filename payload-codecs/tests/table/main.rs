//! Tables as their writers and users meet them: what they decode and encode, and what is said of a wrong one.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod home;
mod meaning;
mod properties;
mod shapes;
mod wrong;

use payload_codecs::CodecError;
use payload_codecs::table::{Data, Table};
use serde_json::Value;

fn table(text: &str) -> Table {
    Table::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A table whose only uplink has these fields.
fn uplink(fields: &str) -> Table {
    table(&format!("[[uplink]]\nfields = [{fields}]"))
}

/// A table whose only downlink has these fields, on port 7.
fn downlink(fields: &str) -> Table {
    table(&format!("[[downlink]]\nport = 7\nfields = [{fields}]"))
}

/// What an uplink on port 1 says; its warnings must be these.
fn says(table: &Table, payload: &str, warnings: &[&str]) -> Value {
    let (data, said) = table.decode(1, &hex::decode(payload).unwrap()).unwrap();
    assert_eq!(said, warnings, "{payload}");
    data.into()
}

/// Why an uplink on port 1 is refused.
fn refusal(table: &Table, payload: &str) -> String {
    reason(table.decode(1, &hex::decode(payload).unwrap()).unwrap_err())
}

/// A command's payload, or why there is none.
fn command(table: &Table, data: &Value) -> Result<String, String> {
    let data: &Data = data.as_object().unwrap();
    table.encode(None, data).map(|(bytes, _)| hex::encode(bytes)).map_err(reason)
}

/// What an error says is wrong, without the words around it.
fn reason(error: CodecError) -> String {
    match error {
        CodecError::BadPayload { reason, .. } | CodecError::BadCommand { reason, .. } => reason,
        other => panic!("{other}"),
    }
}
