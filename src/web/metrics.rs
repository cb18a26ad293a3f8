//! `GET /metrics`: what Prometheus reads, in the format it asks for.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;

use super::api::Api;
use crate::telemetry::Exposition;

pub async fn scrape(State(api): State<Api>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let exposition = Exposition::accepted(accept);
    ([(header::CONTENT_TYPE, exposition.content_type())], api.answers.scrape().written_as(exposition))
}
