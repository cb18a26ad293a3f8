//! What the Identity Server and the Application Server know: keys, rights, applications, devices.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::super::messages::Failure;
use super::super::shared::Shared;
use super::super::world::DeviceState;
use super::MqttAddress;
use super::answer::{Answer, ApiError};
use super::auth::Caller;
use super::downlinks::DevicePath;

/// Devices on one page if the request names no limit.
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

type Parameters = Query<HashMap<String, String>>;

/// `GET /auth_info`: what this key is; `{}` without a key.
pub async fn auth_info(caller: Caller) -> Answer {
    let Some((application, key)) = caller.key() else { return Ok(Json(json!({}))) };
    let entity = json!({"application_ids": {"application_id": application.id}});
    let shown = json!({"id": key.id(), "rights": key.rights});
    Ok(Json(json!({"api_key": {"api_key": shown, "entity_ids": entity}, "universal_rights": {}})))
}

/// `GET /applications/{app}/rights`
pub async fn rights(Path(app): Path<String>, caller: Caller) -> Answer {
    Ok(Json(json!({"rights": caller.of(&app)?.rights})))
}

/// `GET /applications/{app}`
pub async fn application(Path(app): Path<String>, Query(query): Parameters, caller: Caller) -> Answer {
    let application = caller.may(&app, "RIGHT_APPLICATION_INFO")?;
    let mut answer = json!({"ids": {"application_id": application.id}});
    if query.get("field_mask").is_some_and(|mask| mask.split(',').any(|path| path == "name")) {
        answer["name"] = json!(application.id);
    }
    Ok(Json(answer))
}

/// `GET /as/applications/{app}/mqtt-connection-info`
pub async fn mqtt_connection_info(
    State(MqttAddress(mqtt)): State<MqttAddress>,
    Path(app): Path<String>,
    caller: Caller,
) -> Answer {
    let application = caller.may(&app, "RIGHT_APPLICATION_INFO")?;
    Ok(Json(json!({"public_address": mqtt.to_string(), "username": application.uid()})))
}

/// `GET /applications/{app}/devices`, page by page; past the end `{}`.
pub async fn devices(
    State(shared): State<Arc<Shared>>,
    Path(app): Path<String>,
    Query(query): Parameters,
    caller: Caller,
) -> Result<(HeaderMap, Json<Value>), ApiError> {
    caller.may(&app, "RIGHT_APPLICATION_DEVICES_READ")?;
    let mask = field_mask(&query);
    refuse_paths(&mask, &["formatters", "session", "mac_state"])?;
    let (limit, page) = (number(&query, "limit")?.unwrap_or(DEFAULT_LIMIT), number(&query, "page")?.unwrap_or(1));
    if limit > MAX_LIMIT {
        return Err(Failure::validation("limit", "value must be less than or equal to 1000").into());
    }
    let world = shared.world();
    let known = world.application(&app).ok_or_else(|| Failure::device_not_found(&app))?;
    let on_page = known.devices.values().skip(limit * (page.max(1) - 1)).take(limit);
    let listed: Vec<Value> = on_page.map(|device| identity_server_view(device, &app, &mask)).collect();
    let headers = HeaderMap::from_iter([(
        axum::http::HeaderName::from_static("x-total-count"),
        axum::http::HeaderValue::from(known.devices.len()),
    )]);
    Ok((headers, Json(if listed.is_empty() { json!({}) } else { json!({"end_devices": listed}) })))
}

/// `GET /as/applications/{app}/devices/{dev}`: the Application Server knows sessions and formatters, not names.
pub async fn application_server_device(
    State(shared): State<Arc<Shared>>,
    Path((app, dev)): DevicePath,
    Query(query): Parameters,
    caller: Caller,
) -> Answer {
    caller.may(&app, "RIGHT_APPLICATION_DEVICES_READ")?;
    let mask = field_mask(&query);
    refuse_paths(&mask, &["name", "description", "attributes", "locations"])?;
    let mut world = shared.world();
    let device = world.device(&app, &dev)?;
    let mut answer = identity_server_view(device, &app, &mask);
    if let Some(session) = device.session.as_ref().filter(|_| mask.iter().any(|path| path.starts_with("session"))) {
        answer["ids"] = json!(device.ids_in_session(&app));
        answer["session"] = json!({"dev_addr": hex::encode_upper(session.dev_addr)});
    }
    if let Some(formatters) = device.formatters.as_ref().filter(|_| mask.contains(&"formatters")) {
        answer["formatters"] = formatters.to_json();
    }
    Ok(Json(answer))
}

/// Identifiers and times, plus the fields that were asked for and are set.
fn identity_server_view(device: &DeviceState, app: &str, mask: &[&str]) -> Value {
    let about = &device.device;
    let mut fields = Map::new();
    fields.insert("ids".into(), json!(device.ids(app)));
    fields.insert("created_at".into(), json!(device.created_at));
    fields.insert("updated_at".into(), json!(device.created_at));
    let location = about.location.map(|location| json!({"user": location}));
    let attributes = (!about.attributes.is_empty()).then(|| json!(about.attributes));
    let optional = [
        ("name", about.name.as_ref().map(|name| json!(name))),
        ("description", about.description.as_ref().map(|text| json!(text))),
        ("attributes", attributes),
        ("locations", location),
        ("version_ids", about.version_ids.as_ref().map(|ids| json!(ids))),
        ("activated_at", device.activated_at.as_ref().map(|time| json!(time))),
        ("last_seen_at", device.last_seen_at.as_ref().map(|time| json!(time))),
    ];
    for (name, value) in optional {
        if let Some(value) = value.filter(|_| mask.contains(&name)) {
            fields.insert(name.into(), value);
        }
    }
    Value::Object(fields)
}

fn field_mask(query: &HashMap<String, String>) -> Vec<&str> {
    query.get("field_mask").map(|mask| mask.split(',').collect()).unwrap_or_default()
}

/// Each server refuses the fields that another one keeps.
fn refuse_paths(mask: &[&str], foreign: &[&str]) -> Result<(), ApiError> {
    let is_foreign = |path: &&&str| foreign.iter().any(|root| path.split('.').next() == Some(root));
    let forbidden: Vec<&&str> = mask.iter().filter(is_foreign).collect();
    if forbidden.is_empty() {
        return Ok(());
    }
    let text = "forbidden path(s) in field mask";
    Err(Failure::new(3, "pkg/errors", "field_mask_paths", text).with("forbidden_paths", json!(forbidden)).into())
}

fn number(query: &HashMap<String, String>, name: &str) -> Result<Option<usize>, ApiError> {
    let parse = |text: &String| {
        let error = || ApiError::Plain { code: 3, message: format!("parsing field \"{name}\": invalid syntax") };
        text.parse().map_err(|_| error())
    };
    query.get(name).map(parse).transpose()
}
