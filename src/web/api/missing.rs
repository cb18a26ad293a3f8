//! What is said where there is nothing, or not by that method.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;

use super::BASE;
use super::operations::OPERATIONS;
use crate::model::did_you_mean;
use crate::web::problem::details;

/// Nothing is at that path; what may have been meant.
pub async fn nothing_here(request: Request) -> Response {
    let path = clip(request.uri().path());
    details(StatusCode::NOT_FOUND, &format!("nothing is at {path}"), Some(&meant(&path)))
}

/// The path is right and the method is not. Which are is in `Allow`, which the router adds.
pub async fn not_this_method(request: Request) -> Response {
    let detail = format!("{} is not for {}", clip(request.method().as_str()), clip(request.uri().path()));
    details(StatusCode::METHOD_NOT_ALLOWED, &detail, Some("the header Allow names what is"))
}

fn meant(path: &str) -> String {
    let known: Vec<_> = OPERATIONS.iter().map(|operation| format!("{BASE}{}", operation.path)).collect();
    let bare = path.trim_end_matches('/');
    if bare != path && known.iter().any(|known| is_like(known, bare)) {
        return format!("without the `/` at its end: {bare}");
    }
    let mut known: Vec<_> = known.iter().map(String::as_str).collect();
    known.dedup();
    match did_you_mean(path, &known) {
        nearest if nearest.starts_with("did you mean") => nearest,
        _ => format!("{BASE}/openapi.json describes what there is"),
    }
}

/// Whether a path is one of these, whatever stands where the braces are.
fn is_like(template: &str, path: &str) -> bool {
    let (mut parts, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (parts.next(), given.next()) {
            (None, None) => return true,
            (Some(part), Some(given)) if part == given || part.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

/// What is repeated of what somebody sent.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_probably_meant_is_said() {
        assert_eq!(meant("/api/v1/devices/"), "without the `/` at its end: /api/v1/devices");
        assert_eq!(meant("/api/v1/devices/lamp/"), "without the `/` at its end: /api/v1/devices/lamp");
        assert_eq!(meant("/api/v1/device"), "did you mean `/api/v1/devices`?");
        assert_eq!(meant("/"), "/api/v1/openapi.json describes what there is");
        assert_eq!(meant("/favicon.ico"), "/api/v1/openapi.json describes what there is");
    }
}
