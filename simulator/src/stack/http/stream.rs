//! Streams of JSON objects: how they are asked for, and how one object is framed.
//!
//! The gateway wraps each object in `{"result":…}` and puts a blank line after it; there is no `data:` in front, although
//! the type is `text/event-stream` (observed on The Things Stack 3.32).

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use super::answer::ApiError;

pub const EVENT_STREAM: &str = "text/event-stream";

/// Streams are only served to those who accept them as such. That the refusal is a 400 is our choice.
pub fn require(headers: &HeaderMap) -> Result<(), ApiError> {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    match accepted.flat_map(|list| list.split(',')).any(|kind| kind.trim().starts_with(EVENT_STREAM)) {
        true => Ok(()),
        false => Err(ApiError::Plain { code: 3, message: format!("this stream needs `Accept: {EVENT_STREAM}`") }),
    }
}

/// One object as it travels; `json` is its text.
pub fn frame(json: &[u8]) -> Vec<u8> {
    [b"{\"result\":", json, b"}\n\n"].concat()
}
