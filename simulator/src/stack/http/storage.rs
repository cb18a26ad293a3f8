//! The Storage Integration over HTTP: pages of stored messages, and their number.
//!
//! Served are `after`, `before`, `limit`, `order` and `continuation_token`. The others that exist (`last`, `f_port`,
//! `field_mask`) are refused rather than ignored, so that nobody takes unfiltered messages for filtered ones.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::super::archive::{Kind, Page, Place, Query, Scope};
use super::super::messages::Failure;
use super::super::shared::Shared;
use super::answer::{Answer, ApiError};
use super::auth::Caller;
use super::stream;

const CONTINUATION_TOKEN: HeaderName = HeaderName::from_static("x-continuation-token");

/// Whose messages: of an application or one of its devices, of one kind or all.
#[derive(Debug, Deserialize)]
pub struct StoragePath {
    app: String,
    dev: Option<String>,
    kind: Option<String>,
}

type Parameters = HashMap<String, String>;

/// `GET …/packages/storage/{kind}`: a stream that ends with the page.
pub async fn read(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<StoragePath>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let scope = scope(path, &caller)?;
    stream::require(&headers)?;
    let page = shared.archive.page(&scope, &query(&parameters)?).ok_or_else(not_activated)?;
    Ok(answer(&page))
}

/// `GET …/packages/storage/{kind}/count`: the number of messages of each device.
pub async fn count(
    State(shared): State<Arc<Shared>>,
    Path(path): Path<StoragePath>,
    UrlQuery(parameters): UrlQuery<Parameters>,
    caller: Caller,
) -> Answer {
    let scope = scope(path, &caller)?;
    let tally = shared.archive.tally(&scope, &query(&parameters)?).ok_or_else(not_activated)?;
    Ok(Json(json!({"count": tally})))
}

fn answer(page: &Page) -> Response {
    let body = page.messages.iter().map(|message| stream::frame(message)).collect::<Vec<_>>().concat();
    let mut answer = ([(CONTENT_TYPE, stream::EVENT_STREAM)], body).into_response();
    if let Some(next) = &page.next {
        let token = token(next).try_into().expect("base64 is a valid header");
        answer.headers_mut().insert(CONTINUATION_TOKEN, token);
    }
    answer
}

fn scope(path: StoragePath, caller: &Caller) -> Result<Scope, ApiError> {
    caller.may(&path.app, "RIGHT_APPLICATION_TRAFFIC_READ")?;
    let named = |name: String| Kind::named(&name).ok_or_else(|| Failure::validation("type", "unknown message type"));
    Ok(Scope { application: path.app, device: path.dev, kind: path.kind.map(named).transpose()? })
}

fn query(parameters: &Parameters) -> Result<Query, ApiError> {
    if let Some(token) = parameters.get("continuation_token") {
        return read_token(token).ok_or_else(|| invalid("continuation_token"));
    }
    let mut query = Query::default();
    for (name, value) in parameters {
        match name.as_str() {
            "after" => query.after = Some(time(name, value)?),
            "before" => query.before = Some(time(name, value)?),
            "limit" => query.limit = Some(value.parse().map_err(|_| invalid(name))?).filter(|limit| *limit > 0),
            "order" => query.newest_first = is_newest_first(value)?,
            _ => return Err(invalid(name)),
        }
    }
    Ok(query)
}

fn time(name: &str, value: &str) -> Result<Timestamp, ApiError> {
    value.parse().map_err(|_| invalid(name))
}

fn is_newest_first(order: &str) -> Result<bool, ApiError> {
    match order {
        "" | "received_at" => Ok(false),
        "-received_at" => Ok(true),
        _ => Err(Failure::validation("order", "value must be in list [ received_at -received_at]").into()),
    }
}

fn invalid(name: &str) -> ApiError {
    ApiError::Plain { code: 3, message: format!("parsing field \"{name}\": invalid or not supported") }
}

/// The real one's status is not documented either; a bridge has to see by an empty list of associations as well.
fn not_activated() -> ApiError {
    let text = "the Storage Integration is not activated for this application";
    Failure::new(5, "pkg/applicationserver/io/packages/storage", "package_not_activated", text).into()
}

/// The whole query in an opaque text: whoever brings it needs no other parameter.
fn token(query: &Query) -> String {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    let behind = query.behind.map(|place| (place.received_at.to_string(), place.number));
    let content = json!([time(query.after), time(query.before), query.newest_first, query.limit, behind]);
    URL_SAFE_NO_PAD.encode(content.to_string())
}

/// What a token is made of.
type Content = (Option<String>, Option<String>, bool, Option<usize>, Option<(String, u64)>);

fn read_token(token: &str) -> Option<Query> {
    let content: Content = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (after, before, newest_first, limit, behind) = content;
    let time = |text: Option<String>| text.map(|text| text.parse()).transpose().ok();
    let place = |(received_at, number): (String, u64)| Some(Place { received_at: received_at.parse().ok()?, number });
    Some(Query { after: time(after)?, before: time(before)?, newest_first, limit, behind: behind.and_then(place) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_the_whole_query() {
        let at: Timestamp = "2026-11-21T00:00:05.123456789Z".parse().unwrap();
        let behind = Some(Place { received_at: at, number: 7 });
        let query = Query { after: Some(at), before: None, newest_first: true, limit: Some(3), behind };
        assert_eq!(read_token(&token(&query)), Some(query));
        assert_eq!(read_token("nonsense"), None);
    }
}
