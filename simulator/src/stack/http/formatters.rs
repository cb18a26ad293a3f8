//! Payload formatters: the application's own, and those of the device repository.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::json;

use super::super::config::VersionIds;
use super::super::formatters::Part;
use super::super::messages::Failure;
use super::super::shared::Shared;
use super::answer::Answer;
use super::auth::Caller;

/// One firmware of one product in one band, as paths of the device repository name it.
#[derive(Debug, Deserialize)]
pub struct Product {
    app: String,
    brand: String,
    model: String,
    firmware: String,
    band: String,
}

/// `GET /as/applications/{app}/link`: 404 if nobody ever set one.
pub async fn link(
    State(shared): State<Arc<Shared>>,
    Path(app): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    caller: Caller,
) -> Answer {
    caller.may(&app, "RIGHT_APPLICATION_SETTINGS_BASIC")?;
    let formatters = shared.world().application(&app).and_then(|known| known.default_formatters.clone());
    let Some(formatters) = formatters else {
        return Err(Failure::new(5, "pkg/applicationserver/redis", "link_not_found", "link not found").into());
    };
    let asked = query.get("field_mask").is_some_and(|mask| mask.split(',').any(|path| path == "default_formatters"));
    Ok(Json(if asked { json!({"default_formatters": formatters.to_json()}) } else { json!({}) }))
}

/// `GET /dr/applications/{app}/brands/…/formatters/uplink/decoder`
pub async fn uplink_decoder(state: State<Arc<Shared>>, product: Path<Product>, caller: Caller) -> Answer {
    script(&state, product, &caller, Part::UplinkDecoder)
}

/// `GET /dr/applications/{app}/brands/…/formatters/downlink/encoder`
pub async fn downlink_encoder(state: State<Arc<Shared>>, product: Path<Product>, caller: Caller) -> Answer {
    script(&state, product, &caller, Part::DownlinkEncoder)
}

/// Any key of the application will do: the device repository is public.
fn script(shared: &Shared, Path(product): Path<Product>, caller: &Caller, part: Part) -> Answer {
    let Product { app, brand, model, firmware, band } = product;
    caller.of(&app)?;
    let wanted = VersionIds {
        brand_id: brand,
        model_id: model,
        firmware_version: firmware,
        band_id: band,
        ..VersionIds::default()
    };
    let world = shared.world();
    let (codec_id, script) = world.repository.script(&wanted, part)?;
    Ok(Json(json!({
        "formatter": "FORMATTER_JAVASCRIPT",
        "formatter_parameter": script,
        "codec_id": codec_id,
    })))
}
