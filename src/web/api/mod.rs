//! The API below `/api/v1`: JSON in, one request, JSON out.
//!
//! [`operations`] says what there is; [`asking`] turns what came into the object that the same request takes over MQTT, and
//! [`openapi`] describes all of it.

mod asking;
mod keys;
mod media;
mod missing;
mod openapi;
mod operations;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::live::Listeners;
use super::metrics;
use crate::control::Answers;
pub use missing::not_this_method;
use operations::{Does, OPERATIONS};
pub use operations::{Given, Own};

/// Where it begins.
const BASE: &str = "/api/v1";
/// The longest body read, in bytes.
const LONGEST_BODY: usize = 1 << 20;

/// What handlers are given.
#[derive(Clone)]
pub struct Api {
    pub answers: Arc<Answers>,
    pub stop: CancellationToken,
    pub listeners: Listeners,
}

/// The routes of all operations, and what is said where there is none.
pub fn router(api: Api) -> Router {
    let routes = OPERATIONS.iter().fold(Router::new(), |router, operation| {
        let filter = operation.method.filter();
        let route = match operation.does {
            Does::Own(own) => (own.route)(filter),
            Does::Asks(name) | Does::Looks(name) => asking::route(operation, name),
        };
        router.route(&format!("{BASE}{}", operation.path), route)
    });
    routes
        .route_layer(from_fn(media::json_only))
        // Behind the layer: it is no JSON, and its readers ask for what it is.
        .route("/metrics", get(metrics::scrape))
        .fallback(missing::nothing_here)
        .method_not_allowed_fallback(missing::not_this_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(api)
}
