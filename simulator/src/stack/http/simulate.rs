//! Simulated uplinks: a message that never was on the air.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::messages::{Failure, correlation_id, now};
use super::super::requests::Refusal;
use super::super::shared::Shared;
use super::answer::Answer;
use super::auth::Caller;
use super::downlinks::DevicePath;

/// Lowest frequency the request's validation lets pass, in Hz.
const MIN_FREQUENCY: u64 = 100_000;

/// `POST …/up/simulate` with `{"uplink_message":{…}}`: published as given, marked as simulated.
pub async fn up(
    State(shared): State<Arc<Shared>>,
    Path((app, dev)): DevicePath,
    caller: Caller,
    body: Bytes,
) -> Answer {
    let uid = caller.may(&app, "RIGHT_APPLICATION_TRAFFIC_UP_WRITE")?.uid();
    let request: Value = serde_json::from_slice(&body).map_err(|error| Refusal::Syntax(error.to_string()))?;
    let Some(uplink) = request.get("uplink_message").filter(|uplink| uplink.is_object()) else {
        return Err(Failure::validation("up", "value is required").into());
    };
    check_settings(uplink)?;
    let message = json!({
        "end_device_ids": shared.world().device(&app, &dev)?.ids(&app),
        "correlation_ids": [correlation_id("as:up"), correlation_id("rpc:/ttn.lorawan.v3.AppAs/SimulateUplink")],
        "received_at": now(),
        "uplink_message": uplink,
        "simulated": true,
    });
    shared.publish_raw(&format!("v3/{uid}/devices/{dev}/up"), message.to_string().into());
    Ok(Json(json!({})))
}

/// Data rate and frequency are mandatory.
fn check_settings(uplink: &Value) -> Result<(), Failure> {
    let settings = &uplink["settings"];
    let frequency = match &settings["frequency"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    if settings["data_rate"].as_object().is_none_or(|rate| rate.is_empty()) {
        return Err(Failure::validation("uplink_message.settings.data_rate", "value is required"));
    }
    match frequency {
        Some(MIN_FREQUENCY..) => Ok(()),
        _ => Err(Failure::validation("uplink_message.settings.frequency", "value must be at least 100000")),
    }
}
