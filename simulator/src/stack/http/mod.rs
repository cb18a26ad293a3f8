//! The HTTP face: the part of `/api/v3` that a bridge asks for.
//!
//! `auth` says who may, `answer` how errors look, `gate` logs every request and plays the faults, `stream` how streams
//! are asked for and framed; the rest are the resources: `downlinks`, `registry` (Identity Server and device registry),
//! `formatters` (the application's and the device repository's), `simulate`, `packages` and `storage` (the Storage
//! Integration), `events`.

mod answer;
mod auth;
mod downlinks;
mod events;
mod formatters;
mod gate;
mod packages;
mod registry;
mod simulate;
mod storage;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tokio::net::TcpListener;

use super::shared::Shared;

/// What handlers may ask for.
#[derive(Debug, Clone)]
pub struct Backend {
    shared: Arc<Shared>,
    /// Where the MQTT face listens, for `mqtt-connection-info`.
    mqtt: MqttAddress,
}

impl FromRef<Backend> for Arc<Shared> {
    fn from_ref(backend: &Backend) -> Self {
        backend.shared.clone()
    }
}

impl FromRef<Backend> for MqttAddress {
    fn from_ref(backend: &Backend) -> Self {
        backend.mqtt
    }
}

#[derive(Debug, Clone, Copy)]
pub struct MqttAddress(SocketAddr);

/// Serves until the stack stops.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, mqtt: SocketAddr) {
    let stop = shared.stop.clone();
    let router = router(Backend { shared, mqtt: MqttAddress(mqtt) });
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::debug!(%error, "The HTTP face ended.");
    }
}

fn router(backend: Backend) -> Router {
    let api = Router::new()
        .route("/as/applications/{app}/devices/{dev}/down/push", post(downlinks::push))
        .route("/as/applications/{app}/devices/{dev}/down/replace", post(downlinks::replace))
        .route("/as/applications/{app}/devices/{dev}/down", get(downlinks::list))
        .route("/as/applications/{app}/devices/{dev}/up/simulate", post(simulate::up))
        .route("/as/applications/{app}/devices/{dev}", get(registry::application_server_device))
        .route("/as/applications/{app}/mqtt-connection-info", get(registry::mqtt_connection_info))
        .route("/as/applications/{app}/link", get(formatters::link))
        .route("/as/applications/{app}/packages/associations", get(packages::list))
        .route(
            "/as/applications/{app}/packages/associations/{f_port}",
            get(packages::one).put(packages::set).delete(packages::delete),
        )
        .route(&of_product("uplink/decoder"), get(formatters::uplink_decoder))
        .route(&of_product("downlink/encoder"), get(formatters::downlink_encoder))
        .merge(storage_routes("/as/applications/{app}/packages/storage"))
        .merge(storage_routes("/as/applications/{app}/devices/{dev}/packages/storage"))
        .route("/events", post(events::stream))
        .route("/auth_info", get(registry::auth_info))
        .route("/applications/{app}/rights", get(registry::rights))
        .route("/applications/{app}/devices", get(registry::devices))
        .route("/applications/{app}", get(registry::application))
        .with_state(backend.clone());
    // The gate stands outside, so that it sees whole paths.
    Router::new().nest("/api/v3", api).fallback(answer::not_found).layer(from_fn_with_state(backend.shared, gate::pass))
}

/// A formatter in the device repository.
fn of_product(part: &str) -> String {
    format!("/dr/applications/{{app}}/brands/{{brand}}/models/{{model}}/{{firmware}}/{{band}}/formatters/{part}")
}

/// The messages of every kind or of one, and their number.
fn storage_routes(path: &str) -> Router<Backend> {
    Router::new()
        .route(path, get(storage::read))
        .route(&format!("{path}/"), get(storage::read))
        .route(&format!("{path}/{{kind}}"), get(storage::read))
        .route(&format!("{path}/{{kind}}/count"), get(storage::count))
}
