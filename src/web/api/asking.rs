//! From an HTTP request to the request of the same name over MQTT, and back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, on};
use serde::Deserialize;
use serde_json::value::RawValue;
use url::form_urlencoded;

use super::keys::Keys;
use super::operations::Operation;
use super::{Api, LONGEST_BODY};
use crate::control::{Body, Kind, Problem, QUICK, late};

/// The route of an operation that asks the request of this name.
pub fn route(operation: &'static Operation, name: &'static str) -> MethodRouter<Api> {
    let keys = Arc::new(Keys::of(operation));
    // A little more than the handler has, so that it is the handler that says it is late.
    let limit = operation.limit().unwrap_or(QUICK) + Duration::from_secs(1);
    on(operation.method.filter(), move |State(api): State<Api>, request: Request| async move {
        let answered = async {
            let body = read(operation, &keys, &api, request).await?;
            api.answers.answer(name, body, &api.stop).await
        };
        let answer = tokio::time::timeout(limit, answered).await.unwrap_or_else(|_| Err(late(limit)));
        answer.map_or_else(IntoResponse::into_response, |answer| respond(operation, &answer))
    })
}

/// The keys of a request, wherever they stand. A key that stands in two places is refused: neither is better.
async fn read(operation: &Operation, keys: &Keys, api: &Api, request: Request) -> Result<Body, Problem> {
    let (mut parts, content) = request.into_parts();
    let path = RawPathParams::from_request_parts(&mut parts, api).await.map_err(Problem::malformed)?;
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let mut body = match operation.method.has_body() {
        true => Body::parse(&content_of(parts, content, api).await?)?,
        false => Body::default(),
    };
    let path = path.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
    let query = form_urlencoded::parse(query.as_bytes()).into_owned();
    for (key, value) in path.chain(query) {
        if body.has(&key) {
            return Err(Problem::new(Kind::Malformed, format!("`{}` is given twice", clip(&key))));
        }
        body = body.with_raw(&key, keys.value(&key, &value));
    }
    if operation.takes().is_some() { Ok(body) } else { body.nothing() }
}

async fn content_of(parts: Parts, content: axum::body::Body, api: &Api) -> Result<Bytes, Problem> {
    let read = Bytes::from_request(Request::from_parts(parts, content), api).await;
    read.map_err(|rejection: BytesRejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::TooLong, format!("the request is longer than {LONGEST_BODY} bytes"))
        }
        _ => Problem::malformed(rejection),
    })
}

fn respond(operation: &Operation, answer: &RawValue) -> Response {
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (operation.status, json, answer.get().to_owned()).into_response();
    if let Some(place) = place(operation, answer) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// Where what was made is found, from where it was asked for: only the asker knows which path that is below.
fn place(operation: &Operation, answer: &RawValue) -> Option<HeaderValue> {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    if operation.status != StatusCode::CREATED {
        return None;
    }
    let Made { id } = serde_json::from_str(answer.get()).ok()?;
    let (_, level) = operation.path.rsplit_once('/')?;
    HeaderValue::try_from(format!("{level}/{id}")).ok()
}

fn clip(key: &str) -> String {
    key.chars().take(80).collect()
}
