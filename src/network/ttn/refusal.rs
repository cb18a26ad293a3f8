//! What the API says when it does not do what was asked, and what it tells of its patience.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

/// What the API said when it did not say 200.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("HTTP {status}: {message}")]
pub struct Refusal {
    pub status: u16,
    /// `pkg/networkserver` and the like; empty if the error came from something before the API proper.
    pub namespace: String,
    /// The error's own name, `no_device_session` and the like; empty like `namespace`.
    pub name: String,
    /// A sentence for people.
    pub message: String,
    /// The body was an error as The Things Stack writes it; a proxy's is not.
    pub from_stack: bool,
    pub rate: RateLimit,
    pub session: SessionHint,
}

/// What a refused downlink says of the session that it did not fit (The Things Stack API,
/// `DownlinkQueueOperationErrorDetails`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SessionHint {
    pub session_key_id: Option<String>,
    /// The lowest frame counter that would be taken.
    pub min_f_cnt_down: Option<u32>,
}

/// What the API tells of its patience, on success and refusal alike, where a limit applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a minute.
    pub limit: Option<u64>,
    /// Requests left at this moment.
    pub available: Option<u64>,
    /// Seconds until all are available again.
    pub reset: Option<u64>,
    /// Seconds until the next is allowed: 0 if it is.
    pub retry: Option<u64>,
}

impl RateLimit {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        Self {
            limit: number(headers, "x-rate-limit-limit"),
            available: number(headers, "x-rate-limit-available"),
            reset: number(headers, "x-rate-limit-reset"),
            retry: number(headers, "x-rate-limit-retry"),
        }
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    /// The gRPC code: what tells The Things Stack's errors from those of a proxy.
    code: Option<i32>,
    #[serde(default)]
    message: String,
    /// Of many kinds, each with fields of its own.
    #[serde(default)]
    details: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorDetails {
    namespace: String,
    name: String,
}

/// The name is in the details; JSON syntax errors and proxies have none (The Things Stack API, "Error handling").
pub(super) fn refusal(status: StatusCode, body: &[u8], rate: RateLimit) -> Refusal {
    let parsed = serde_json::from_slice::<ErrorBody>(body).ok();
    let from_stack = parsed.as_ref().is_some_and(|body| body.code.is_some());
    let (message, details) = parsed.map(|body| (body.message, body.details)).unwrap_or_default();
    let session = session_hint(&details);
    let mut details = details.iter().filter_map(|details| ErrorDetails::deserialize(details).ok());
    let details = details.find(|details| !details.name.is_empty()).unwrap_or_default();
    let message = match sentence(&message) {
        "" => status.canonical_reason().unwrap_or("no reason given").to_owned(),
        sentence => unescape(sentence),
    };
    let ErrorDetails { namespace, name, .. } = details;
    Refusal { status: status.as_u16(), namespace, name, message, from_stack, rate, session }
}

/// It stands beside the error, or inside it.
fn session_hint(details: &[Value]) -> SessionHint {
    let inside = |details: &'_ Value| details["details"].as_array().cloned().unwrap_or_default();
    let all = details.iter().flat_map(|details| [inside(details), vec![details.clone()]].concat());
    let mut hints = all.filter_map(|details| SessionHint::deserialize(details).ok());
    hints.find(|hint| *hint != SessionHint::default()).unwrap_or_default()
}

/// The sentence in `error:<namespace>:<name> (<sentence>)`.
fn sentence(message: &str) -> &str {
    let inner = message.strip_prefix("error:").and_then(|rest| rest.split_once(" (")).map(|(_, inner)| inner);
    inner.and_then(|inner| inner.strip_suffix(')')).unwrap_or(message)
}

/// The Things Stack 3.36 and later escape messages for HTML.
fn unescape(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&#34;", "\""), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}

pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_stack_is_told_from_that_of_a_proxy() {
        let from_stack = |body: &str| refusal(StatusCode::NOT_FOUND, body.as_bytes(), RateLimit::default()).from_stack;
        assert!(from_stack(r#"{"code":5,"message":"Not Found","details":[]}"#));
        assert!(!from_stack(r#"{"message":"no such route"}"#));
        assert!(!from_stack("<html>"));
    }

    #[test]
    fn details_of_an_unexpected_shape_hide_no_error() {
        for odd in
            [r#"{"details":null}"#, r#"{"details":[7]}"#, r#"{"session_key_id":7}"#, "null", r#"{"min_f_cnt_down":-1}"#]
        {
            let body = format!(
                r#"{{"code":3,"message":"","details":[{odd},{{"namespace":"a","name":"b","details":[{odd}]}}]}}"#
            );
            let read = refusal(StatusCode::BAD_REQUEST, body.as_bytes(), RateLimit::default());
            assert_eq!((read.name.as_str(), read.session), ("b", SessionHint::default()), "{odd}");
        }
    }

    #[test]
    fn what_a_session_wants_is_found_beside_the_error_and_inside_it() {
        let wanted = r#"{"@type":"x","dev_addr":"JiP++Q==","session_key_id":"AaH7","min_f_cnt_down":3}"#;
        let error = r#""@type":"y","namespace":"pkg/networkserver","name":"f_cnt_too_low""#;
        for details in [format!("{{{error}}},{wanted}"), format!("{{{error},\"details\":[{wanted}]}}")] {
            let body = format!(r#"{{"code":3,"message":"","details":[{details}]}}"#);
            let read = refusal(StatusCode::BAD_REQUEST, body.as_bytes(), RateLimit::default());
            assert_eq!(read.name, "f_cnt_too_low");
            assert_eq!(read.session, SessionHint { session_key_id: Some("AaH7".into()), min_f_cnt_down: Some(3) });
        }
    }
}
