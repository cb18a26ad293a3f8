//! The routes: JSON in, one call, JSON out.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/info`, `health`, `devices` | what `bridge/info`, `bridge/health`, `bridge/devices` show |
//! | `POST /api/v1/downlinks` | 201 and the downlink, once it is stored |
//! | `GET /api/v1/downlinks?device=&application=&open=true&limit=` | the newest downlinks |
//! | `GET /api/v1/downlinks/{id}?wait=30s&after_steps=2` | one downlink, at once or with its news |
//! | `DELETE /api/v1/downlinks/{id}` | the downlink after it was cancelled |
//! | `POST /api/v1/backfill` | what was repaired and what is missing |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, body::Bytes};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::problem::details;
use crate::control::{Answers, Kind, LONGEST_WAIT, Patience, Problem, Wanted};
use crate::downlink::DownlinkView;

/// The longest body read, in bytes.
const LONGEST_BODY: usize = 1 << 20;
/// How long a request may take that waits for nothing but the bridge itself.
const QUICK: Duration = Duration::from_secs(15);
/// How long messages may be fetched from the network.
const FETCH: Duration = Duration::from_secs(10 * 60);

/// What handlers are given.
#[derive(Clone)]
pub struct Api {
    pub answers: Arc<Answers>,
    pub stop: CancellationToken,
}

type Answer<T> = Result<Json<T>, Problem>;

pub fn router(api: Api) -> Router {
    let quick = Router::new()
        .route("/api/v1/info", get(info))
        .route("/api/v1/health", get(health))
        .route("/api/v1/devices", get(devices))
        .route("/api/v1/downlinks", get(list).post(send))
        .route_layer(from_fn(|request, next| within(QUICK, request, next)));
    let patient = Router::new()
        .route("/api/v1/downlinks/{id}", get(show).delete(cancel))
        .route_layer(from_fn(|request, next| within(LONGEST_WAIT + QUICK, request, next)));
    let slow = Router::new()
        .route("/api/v1/backfill", post(backfill))
        .route_layer(from_fn(|request, next| within(FETCH, request, next)));
    quick
        .merge(patient)
        .merge(slow)
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(api)
}

async fn info(State(api): State<Api>) -> Json<Value> {
    Json(api.answers.info())
}

async fn health(State(api): State<Api>) -> Json<Value> {
    Json(api.answers.health())
}

async fn devices(State(api): State<Api>) -> Json<Value> {
    Json(api.answers.devices())
}

async fn send(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Result<Response, Problem> {
    let downlink = api.answers.downlinks.send(&read(body)?).await?;
    Ok(created(&downlink))
}

async fn list(State(api): State<Api>, wanted: Result<Query<Wanted>, QueryRejection>) -> Answer<impl Serialize> {
    let Query(wanted) = wanted.map_err(Problem::malformed)?;
    api.answers.downlinks.list(wanted).await.map(Json)
}

async fn show(
    State(api): State<Api>,
    Path(id): Path<String>,
    patience: Result<Query<Patience>, QueryRejection>,
) -> Answer<impl Serialize> {
    let Query(patience) = patience.map_err(Problem::malformed)?;
    api.answers.downlinks.show(&id, patience, &api.stop).await.map(Json)
}

async fn cancel(State(api): State<Api>, Path(id): Path<String>) -> Answer<impl Serialize> {
    api.answers.downlinks.cancel(&id).await.map(Json)
}

async fn backfill(State(api): State<Api>, body: Result<Bytes, BytesRejection>) -> Answer<impl Serialize> {
    let body = read(body)?;
    tokio::select! {
        done = api.answers.backfill.fetch(&body) => done.map(Json),
        () = api.stop.cancelled() => Err(Problem::new(Kind::Unavailable, "the bridge is stopping")),
    }
}

/// 201, and where the downlink can be followed.
fn created(downlink: &DownlinkView) -> Response {
    let mut response = (StatusCode::CREATED, Json(downlink)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/downlinks/{}", downlink.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn read(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::TooLong, format!("the request is longer than {LONGEST_BODY} bytes"))
        }
        _ => Problem::malformed(rejection),
    })
}

/// Bounds the whole of a request, from the first byte of its body to the answer.
async fn within(limit: Duration, request: Request, next: Next) -> Response {
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("no answer within {} seconds", limit.as_secs());
        details(StatusCode::SERVICE_UNAVAILABLE, &detail, Some("the log says what the bridge is doing"))
    })
}

async fn nothing_here(request: Request) -> Response {
    let path: String = request.uri().path().chars().take(80).collect();
    let hint = "there are /api/v1/ info, health, devices, downlinks, downlinks/{id} and backfill";
    details(StatusCode::NOT_FOUND, &format!("nothing is at {path}"), Some(hint))
}

async fn not_this_method(request: Request) -> Response {
    let detail = format!("{} is not for {}", request.method(), request.uri().path());
    details(StatusCode::METHOD_NOT_ALLOWED, &detail, None)
}
