//! JSON is what is read and written: whoever sends or wants something else is told so.

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::web::problem::details;

const JSON: &str = "application/json";
const SEND_JSON: &str = "send JSON as `Content-Type: application/json`; curl does with --json instead of -d";

/// Refuses bodies of other media types (415) and askers that take no JSON (406).
pub async fn json_only(request: Request, next: Next) -> Response {
    let has_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    if has_body && !sends_json(request.headers()) {
        return details(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is not sent as JSON", Some(SEND_JSON));
    }
    if !wants_json(request.headers()) {
        return details(StatusCode::NOT_ACCEPTABLE, "answers are JSON", Some("leave out `Accept`, or take */*"));
    }
    next.run(request).await
}

/// Also if it does not say what it sends. Forms are what pages of strangers can send without being asked first: these are
/// never read as JSON.
fn sends_json(headers: &HeaderMap) -> bool {
    let Some(media) = headers.get(header::CONTENT_TYPE) else { return true };
    let media = essence(media.to_str().unwrap_or_default());
    media == JSON || media.starts_with("application/") && media.ends_with("+json")
}

/// RFC 9110, 12.5.1; what is preferred among several does not matter, as there is one.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT);
    let mut ranges = accepted.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let is_json = |range: &str| {
        let refused = range.split(';').skip(1).any(|parameter| is_zero(parameter.trim()));
        !refused && ["*/*", "application/*", JSON, "application/problem+json"].contains(&essence(range).as_str())
    };
    accepted.iter().next().is_none() || ranges.any(is_json)
}

/// `q=0`, `q=0.000`.
fn is_zero(parameter: &str) -> bool {
    let weight = parameter.strip_prefix("q=").or(parameter.strip_prefix("Q="));
    weight.and_then(|weight| weight.parse::<f32>().ok()) == Some(0.0)
}

fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn json_is_read_and_forms_are_not() {
        assert!(sends_json(&HeaderMap::new()));
        for (media, is_json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/merge-patch+json", true),
            ("application/x-www-form-urlencoded", false),
            ("text/plain", false),
            ("multipart/form-data; boundary=x", false),
        ] {
            assert_eq!(sends_json(&headers(header::CONTENT_TYPE, media)), is_json, "{media}");
        }
    }

    #[test]
    fn who_takes_no_json_is_told() {
        assert!(wants_json(&HeaderMap::new()));
        for (accept, wants) in [
            ("*/*", true),
            ("text/html, application/xhtml+xml, */*;q=0.8", true),
            ("application/problem+json", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("application/json; q=0.0, text/csv", false),
        ] {
            assert_eq!(wants_json(&headers(header::ACCEPT, accept)), wants, "{accept}");
        }
    }
}
