//! `/healthz` and `/readyz`: for whoever watches the process. They name nothing, and so need no login.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::control::Readiness;

pub const HEALTH: &str = "/healthz";
pub const READY: &str = "/readyz";

pub fn router(readiness: Arc<Readiness>) -> Router {
    let ready = || async move {
        let ready = readiness.now();
        let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(ready))
    };
    Router::new().route(HEALTH, get(async || Json(json!({ "alive": true })))).route(READY, get(ready))
}
