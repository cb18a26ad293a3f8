//! Uplinks and joins.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::config::{Location, VersionIds};
use super::super::end_to_end::KeyEnvelope;
use super::{ApplicationDownlink, is_default, is_false};

/// One data uplink, decrypted unless the network has no key for it.
#[derive(Debug, Clone, Serialize)]
pub struct UplinkMessage {
    pub session_key_id: String,
    /// 0 for a frame that carries MAC commands only.
    #[serde(skip_serializing_if = "is_default")]
    pub f_port: u8,
    #[serde(skip_serializing_if = "is_default")]
    pub f_cnt: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub frm_payload: String,
    pub rx_metadata: Vec<RxMetadata>,
    pub settings: Settings,
    /// When the Network Server got it.
    pub received_at: String,
    /// With end-to-end encryption only, like the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_s_key: Option<KeyEnvelope>,
    #[serde(skip_serializing_if = "is_default")]
    pub last_a_f_cnt_down: u32,
    #[serde(skip_serializing_if = "is_false")]
    pub confirmed: bool,
    /// Seconds, as `0.046336s`.
    pub consumed_airtime: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub locations: BTreeMap<String, Placed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_ids: Option<VersionIds>,
    pub network_ids: NetworkIds,
    /// The device's attributes; sent by version 3.34 and newer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// How one gateway received an uplink.
#[derive(Debug, Clone, Serialize)]
pub struct RxMetadata {
    pub gateway_ids: GatewayIds,
    pub time: String,
    /// Microseconds of the gateway's own clock, wrapping at 32 bits.
    pub timestamp: u32,
    /// dBm
    #[serde(skip_serializing_if = "is_default")]
    pub rssi: i32,
    /// dBm
    #[serde(skip_serializing_if = "is_default")]
    pub channel_rssi: i32,
    /// dB
    #[serde(skip_serializing_if = "is_default")]
    pub snr: f32,
    pub location: Placed,
    pub uplink_token: String,
    pub received_at: String,
}

/// Which gateway.
#[derive(Debug, Clone, Serialize)]
pub struct GatewayIds {
    pub gateway_id: String,
    pub eui: String,
}

/// A position and where it comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Placed {
    #[serde(flatten)]
    pub location: Location,
    pub source: &'static str,
}

impl Placed {
    /// As entered by the owner.
    pub fn by_owner(location: Location) -> Self {
        Self { location, source: "SOURCE_REGISTRY" }
    }
}

/// The radio settings of an uplink.
#[derive(Debug, Clone, Serialize)]
pub struct Settings {
    pub data_rate: DataRate,
    /// Hz; a 64-bit integer, hence a string.
    pub frequency: String,
    pub timestamp: u32,
    pub time: String,
}

/// LoRa is the only modulation the simulated nodes speak.
#[derive(Debug, Clone, Serialize)]
pub struct DataRate {
    pub lora: Lora,
}

/// LoRa modulation parameters.
#[derive(Debug, Clone, Serialize)]
pub struct Lora {
    /// Hz
    pub bandwidth: u32,
    pub spreading_factor: u8,
    pub coding_rate: &'static str,
}

/// The network that carried the uplink.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NetworkIds {
    pub net_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    pub cluster_id: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_address: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_address: Option<String>,
}

impl NetworkIds {
    /// As a tenant of the public network, or as a stack of one's own, prints them.
    pub fn of_tenant(tenant: Option<&str>) -> Self {
        let Some(tenant) = tenant else {
            return Self { net_id: "000013", cluster_id: "localtest", ..Self::default() };
        };
        Self {
            net_id: "000013",
            ns_id: Some("EC656E0000000181"),
            tenant_id: Some(tenant.to_owned()),
            cluster_id: "eu1",
            cluster_address: Some("eu1.cloud.thethings.network"),
            tenant_address: Some(format!("{tenant}.eu1.cloud.thethings.network")),
        }
    }
}

/// A session was agreed on; its address is in the envelope.
#[derive(Debug, Clone, Serialize)]
pub struct JoinAccept {
    pub session_key_id: String,
    /// With end-to-end encryption only, like the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_s_key: Option<KeyEnvelope>,
    /// What waited in the old session.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalidated_downlinks: Vec<ApplicationDownlink>,
    /// When the Network Server got the join request.
    pub received_at: String,
}
