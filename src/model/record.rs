//! What is told at home of one uplink, and kept of it.

use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{ApplicationName, DeviceId, DeviceKey, EndDeviceIds, HomeName, Radio};

/// An uplink with what its codec made of it: all that `<device>/uplink` says, but for what the device is called.
#[derive(Debug, Clone)]
pub struct UplinkRecord {
    pub key: DeviceKey,
    /// The same for every copy of this uplink.
    pub id: String,
    pub ids: EndDeviceIds,
    /// When the network received it.
    pub at: Timestamp,
    pub f_port: Option<u8>,
    pub f_cnt: u32,
    pub payload: Bytes,
    /// What was decoded: JSON.
    pub fields: Option<Box<RawValue>>,
    /// Normalised measurements: a JSON list.
    pub normalized: Option<Box<RawValue>>,
    pub codec: Option<String>,
    pub codec_error: Option<String>,
    pub warnings: Vec<String>,
    pub confirmed: bool,
    pub encrypted: bool,
    pub simulated: bool,
    pub backfilled: bool,
    pub radio: Radio,
    /// Positions by source, as the network tells them.
    pub locations: Option<Box<RawValue>>,
    /// 0 to 100 %.
    pub battery_percentage: Option<f64>,
}

/// The body of `<device>/uplink`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Uplink")]
pub struct UplinkBody<'a> {
    /// The same for every copy of this uplink.
    id: &'a str,
    /// Its device's name at home.
    device: &'a HomeName,
    application: &'a ApplicationName,
    device_id: &'a DeviceId,
    #[serde(flatten)]
    ids: &'a EndDeviceIds,
    /// When the network received it.
    at: Timestamp,
    /// 1 to 255; none for a frame that carries only MAC commands.
    f_port: Option<u8>,
    /// The full 32-bit counter of the session.
    f_cnt: u32,
    payload_hex: String,
    /// What was decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a RawValue>,
    /// Normalised measurements.
    #[serde(skip_serializing_if = "Option::is_none")]
    normalized: Option<&'a RawValue>,
    /// Who made the fields: a codec's name, or `network`.
    #[serde(skip_serializing_if = "Option::is_none")]
    codec: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    codec_error: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    /// The device asked the network to acknowledge this uplink.
    confirmed: bool,
    /// The payload is ciphertext.
    encrypted: bool,
    simulated: bool,
    /// Fetched from the network's history after a gap.
    backfilled: bool,
    radio: &'a Radio,
    /// Positions by source, as the network tells them.
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<&'a RawValue>,
    /// 0 to 100 %, as the network knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    battery_percentage: Option<f64>,
}

impl UplinkRecord {
    /// What is published of it while its device has this name.
    pub fn body<'a>(&'a self, name: &'a HomeName) -> UplinkBody<'a> {
        UplinkBody {
            id: &self.id,
            device: name,
            application: &self.key.application,
            device_id: &self.key.device,
            ids: &self.ids,
            at: self.at,
            f_port: self.f_port,
            f_cnt: self.f_cnt,
            payload_hex: hex::encode(&self.payload),
            fields: self.fields.as_deref(),
            normalized: self.normalized.as_deref(),
            codec: self.codec.as_deref(),
            codec_error: self.codec_error.as_deref(),
            warnings: &self.warnings,
            confirmed: self.confirmed,
            encrypted: self.encrypted,
            simulated: self.simulated,
            backfilled: self.backfilled,
            radio: &self.radio,
            locations: self.locations.as_deref(),
            battery_percentage: self.battery_percentage,
        }
    }
}

#[cfg(test)]
impl UplinkRecord {
    /// Of an uplink as [`super::Uplink::sample`] makes it, with `f_cnt` in its only field.
    pub fn sample(device: &str, f_cnt: u32, second: i64) -> Self {
        let super::Uplink { id, key, ids, at, f_port, f_cnt, payload, radio, .. } =
            *super::Uplink::sample(device, f_cnt, second);
        Self {
            id,
            key,
            ids,
            at,
            f_port,
            f_cnt,
            payload,
            fields: RawValue::from_string(format!(r#"{{"count":{f_cnt}}}"#)).ok(),
            normalized: None,
            codec: Some("counter".into()),
            codec_error: None,
            warnings: Vec::new(),
            confirmed: false,
            encrypted: false,
            simulated: false,
            backfilled: false,
            radio,
            locations: None,
            battery_percentage: None,
        }
    }
}
