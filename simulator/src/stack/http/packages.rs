//! Application packages: activating the Storage Integration, and seeing whether it is.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::archive::Association;
use super::super::messages::Failure;
use super::super::requests::Refusal;
use super::super::shared::Shared;
use super::answer::{Answer, ApiError};
use super::auth::Caller;

/// Needed for reading as well as for writing.
const RIGHT: &str = "RIGHT_APPLICATION_SETTINGS_PACKAGES";

/// `GET …/packages/associations`: `{}` if there is none.
pub async fn list(State(shared): State<Arc<Shared>>, Path(app): Path<String>, caller: Caller) -> Answer {
    caller.may(&app, RIGHT)?;
    let known = shared.archive.packages().of(&app);
    let defaults: Vec<Value> = known.iter().map(|(port, association)| view(&app, *port, association)).collect();
    Ok(Json(if defaults.is_empty() { json!({}) } else { json!({"defaults": defaults}) }))
}

/// `GET …/packages/associations/{f_port}`
pub async fn one(State(shared): State<Arc<Shared>>, Path((app, port)): AssociationPath, caller: Caller) -> Answer {
    caller.may(&app, RIGHT)?;
    let known = shared.archive.packages().of(&app);
    let association = known.get(&port).ok_or_else(not_found)?;
    Ok(Json(view(&app, port, association)))
}

/// `PUT …/packages/associations/{f_port}` with `{"default":{"package_name":…},"field_mask":{"paths":["package_name"]}}`
pub async fn set(
    State(shared): State<Arc<Shared>>,
    Path((app, port)): AssociationPath,
    caller: Caller,
    body: Bytes,
) -> Answer {
    caller.may(&app, RIGHT)?;
    let request: Value = serde_json::from_slice(&body).map_err(|error| Refusal::Syntax(error.to_string()))?;
    let masked = request["field_mask"]["paths"].as_array().is_some_and(|paths| paths.contains(&json!("package_name")));
    let name = request["default"]["package_name"].as_str().filter(|name| masked && !name.is_empty());
    let name = name.ok_or_else(|| Failure::validation("default.package_name", "value is required"))?;
    let association = shared.archive.packages().associate(&app, port, name);
    Ok(Json(view(&app, port, &association)))
}

/// `DELETE …/packages/associations/{f_port}`
pub async fn delete(State(shared): State<Arc<Shared>>, Path((app, port)): AssociationPath, caller: Caller) -> Answer {
    caller.may(&app, RIGHT)?;
    match shared.archive.packages().dissociate(&app, port) {
        true => Ok(Json(json!({}))),
        false => Err(not_found()),
    }
}

/// Application id and port.
type AssociationPath = Path<(String, u8)>;

fn view(app: &str, port: u8, association: &Association) -> Value {
    json!({
        "ids": {"application_ids": {"application_id": app}, "f_port": port},
        "created_at": association.created_at,
        "updated_at": association.updated_at,
        "package_name": association.package_name,
    })
}

fn not_found() -> ApiError {
    let text = "default association not found";
    Failure::new(5, "pkg/applicationserver/io/packages/redis", "default_association_not_found", text).into()
}
