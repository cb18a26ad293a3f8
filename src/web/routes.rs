//! The routes: JSON in, one call, JSON out.
//!
//! | request | answer |
//! |---|---|
//! | `GET /api/v1/info`, `health`, `devices` | what `bridge/info`, `bridge/health`, `bridge/devices` show |
//! | `POST /api/v1/downlinks` | 201 and the downlink, once it is stored |
//! | `GET /api/v1/downlinks?device=&application=&open=true&limit=` | the newest downlinks |
//! | `GET /api/v1/downlinks/{id}?wait=30s&after_steps=2` | one downlink, at once or with its news |
//! | `DELETE /api/v1/downlinks/{id}` | the downlink after it was cancelled |
//! | `DELETE /api/v1/downlinks?device=&application=` | the downlinks of a device that were dropped |
//! | `POST /api/v1/codecs/reload` | the codecs that changed on the disk, and those that cannot be used |
//! | `POST /api/v1/codecs/test` | what a codec makes of a payload or a command |
//! | `PATCH /api/v1/devices/{device}` | a device's options, changed |
//! | `DELETE /api/v1/devices/{device}?application=` | what became of a device that was forgotten |
//! | `POST /api/v1/devices/{device}/rename` | a device under its new name |
//! | `POST /api/v1/config/check`, `config/reload` | whether a configuration is good, and what changed |
//! | `GET`, `PUT /api/v1/log/level` | what is logged |
//! | `POST /api/v1/backfill` | what was repaired and what is missing |
//!
//! Each asks what the request of the same name asks below `bridge/request/`, and takes the same body.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on, patch, post};
use axum::{Json, body::Bytes};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::problem::details;
use crate::control::{Answers, Body, FETCH, Kind, LONGEST_WAIT, Patience, Problem, QUICK, Wanted, Whose};
use crate::downlink::DownlinkView;

/// The longest body read, in bytes.
const LONGEST_BODY: usize = 1 << 20;

/// What handlers are given.
#[derive(Clone)]
pub struct Api {
    pub answers: Arc<Answers>,
    pub stop: CancellationToken,
}

type Answer<T> = Result<Json<T>, Problem>;

/// Which application's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    application: Option<String>,
}

pub fn router(api: Api) -> Router {
    let quick = Router::new()
        .route("/api/v1/info", plain("info"))
        .route("/api/v1/health", plain("health"))
        .route("/api/v1/devices", plain("devices"))
        .route("/api/v1/devices/{device}", patch(change_device).delete(remove_device))
        .route("/api/v1/devices/{device}/rename", post(rename_device))
        .route("/api/v1/config/check", told(MethodFilter::POST, "config/check"))
        .route("/api/v1/config/reload", told(MethodFilter::POST, "config/reload"))
        .route("/api/v1/downlinks", get(list).post(send).delete(clear))
        .route("/api/v1/log/level", plain("log/level").merge(told(MethodFilter::PUT, "log/level")))
        .route_layer(from_fn(|request, next| within(QUICK, request, next)));
    let patient = Router::new()
        .route("/api/v1/downlinks/{id}", get(show).delete(cancel))
        .route("/api/v1/codecs/reload", told(MethodFilter::POST, "codec/reload"))
        .route("/api/v1/codecs/test", told(MethodFilter::POST, "codec/test"))
        .route_layer(from_fn(|request, next| within(LONGEST_WAIT + QUICK, request, next)));
    let slow = Router::new()
        .route("/api/v1/backfill", told(MethodFilter::POST, "backfill"))
        .route_layer(from_fn(|request, next| within(FETCH, request, next)));
    quick
        .merge(patient)
        .merge(slow)
        .merge(super::backup::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(api)
}

impl Api {
    /// Asks the request of this name.
    async fn ask(&self, name: &str, body: Body) -> Answer<Box<RawValue>> {
        self.answers.answer(name, body, &self.stop).await.map(Json)
    }
}

/// `GET` is a request that takes nothing.
fn plain(name: &'static str) -> MethodRouter<Api> {
    get(move |State(api): State<Api>| async move { api.ask(name, Body::default()).await })
}

/// This method is a request that is told in the body.
fn told(method: MethodFilter, name: &'static str) -> MethodRouter<Api> {
    on(method, move |State(api): State<Api>, body: Read| async move { api.ask(name, body.0?).await })
}

async fn change_device(State(api): State<Api>, Path(device): Path<String>, body: Read) -> Answer<impl Serialize> {
    api.ask("device/options", body.0?.with("device", &device)).await
}

async fn rename_device(State(api): State<Api>, Path(device): Path<String>, body: Read) -> Answer<impl Serialize> {
    api.ask("device/rename", body.0?.with("device", &device)).await
}

async fn remove_device(
    State(api): State<Api>,
    Path(device): Path<String>,
    of: Result<Query<Of>, QueryRejection>,
) -> Answer<impl Serialize> {
    let Query(Of { application }) = of.map_err(Problem::malformed)?;
    let body = Body::default().with("device", &device);
    let body = application.iter().fold(body, |body, application| body.with("application", application));
    api.ask("device/remove", body).await
}

async fn send(State(api): State<Api>, body: Read) -> Result<Response, Problem> {
    let downlink = api.answers.downlinks.send(body.0?).await?;
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

async fn clear(State(api): State<Api>, whose: Result<Query<Whose>, QueryRejection>) -> Answer<impl Serialize> {
    let Query(whose) = whose.map_err(Problem::malformed)?;
    api.answers.downlinks.clear(whose).await.map(Json)
}

/// 201, and where the downlink can be followed.
fn created(downlink: &DownlinkView) -> Response {
    let mut response = (StatusCode::CREATED, Json(downlink)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/api/v1/downlinks/{}", downlink.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The body of a request, or why it cannot be read.
struct Read(Result<Body, Problem>);

impl FromRequest<Api> for Read {
    type Rejection = Infallible;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Infallible> {
        let bytes = Bytes::from_request(request, api).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(Kind::TooLong, format!("the request is longer than {LONGEST_BODY} bytes"))
            }
            _ => Problem::malformed(rejection),
        });
        Ok(Self(bytes.and_then(|bytes| Body::parse(&bytes))))
    }
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
    let hint = "there are /api/v1/ info, health, devices, devices/{device}, downlinks, downlinks/{id}, backfill, \
                backup, restore, codecs/reload, codecs/test, config/check, config/reload and log/level";
    details(StatusCode::NOT_FOUND, &format!("nothing is at {path}"), Some(hint))
}

async fn not_this_method(request: Request) -> Response {
    let detail = format!("{} is not for {}", request.method(), request.uri().path());
    details(StatusCode::METHOD_NOT_ALLOWED, &detail, None)
}
