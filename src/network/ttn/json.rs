//! The shapes of The Things Stack's messages, as they stand on the wire.
//!
//! proto3 JSON: zero values are left out, 64-bit integers are strings, bytes are base64, and unknown fields appear with
//! every version. So everything has a default, numbers may be quoted, and what is not known is passed over.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::value::RawValue;

type Text<'a> = Cow<'a, str>;

/// What every message has around its one content.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Envelope<'a> {
    #[serde(borrow)]
    pub end_device_ids: Ids<'a>,
    #[serde(borrow)]
    pub correlation_ids: Option<&'a RawValue>,
    /// When the Application Server had it.
    pub received_at: Option<Timestamp>,
    pub simulated: bool,
    #[serde(borrow)]
    pub uplink_message: Option<UplinkMessage<'a>>,
    #[serde(borrow)]
    pub join_accept: Option<JoinAccept<'a>>,
    #[serde(borrow)]
    pub downlink_queued: Option<Downlink<'a>>,
    #[serde(borrow)]
    pub downlink_sent: Option<Downlink<'a>>,
    #[serde(borrow)]
    pub downlink_ack: Option<Downlink<'a>>,
    #[serde(borrow)]
    pub downlink_nack: Option<Downlink<'a>>,
    #[serde(borrow)]
    pub downlink_failed: Option<DownlinkFailed<'a>>,
    #[serde(borrow)]
    pub downlink_queue_invalidated: Option<QueueInvalidated<'a>>,
    #[serde(borrow)]
    pub location_solved: Option<LocationSolved<'a>>,
    #[serde(borrow)]
    pub service_data: Option<Service<'a>>,
    #[serde(borrow)]
    pub uplink_normalized: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ids<'a> {
    #[serde(borrow)]
    pub device_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub dev_eui: Option<Text<'a>>,
    #[serde(borrow)]
    pub join_eui: Option<Text<'a>>,
    #[serde(borrow)]
    pub dev_addr: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct UplinkMessage<'a> {
    #[serde(borrow)]
    pub session_key_id: Option<Text<'a>>,
    pub f_port: Integer,
    pub f_cnt: Integer,
    #[serde(borrow)]
    pub frm_payload: Text<'a>,
    #[serde(borrow)]
    pub decoded_payload: Option<&'a RawValue>,
    pub decoded_payload_warnings: Vec<String>,
    #[serde(borrow)]
    pub normalized_payload: Option<&'a RawValue>,
    pub normalized_payload_warnings: Vec<String>,
    #[serde(borrow)]
    pub rx_metadata: Vec<RxMetadata<'a>>,
    #[serde(borrow)]
    pub settings: Settings<'a>,
    /// When the Network Server had it.
    pub received_at: Option<Timestamp>,
    /// There if the payload is encrypted end to end: what its key is wrapped in.
    #[serde(borrow)]
    pub app_s_key: Option<&'a RawValue>,
    /// The last application downlink's frame counter; only beside `app_s_key`.
    pub last_a_f_cnt_down: Integer,
    pub confirmed: bool,
    #[serde(borrow)]
    pub consumed_airtime: Option<Text<'a>>,
    pub packet_error_rate: Option<f64>,
    #[serde(borrow)]
    pub locations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub version_ids: Option<Version<'a>>,
    pub attributes: BTreeMap<String, String>,
    pub last_battery_percentage: Option<Battery>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RxMetadata<'a> {
    #[serde(borrow)]
    pub gateway_ids: GatewayIds<'a>,
    #[serde(borrow)]
    pub packet_broker: Option<PacketBroker<'a>>,
    pub rssi: f32,
    pub snr: f32,
    #[serde(borrow)]
    pub location: Option<&'a RawValue>,
    pub gps_time: Option<Timestamp>,
    pub received_at: Option<Timestamp>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct GatewayIds<'a> {
    #[serde(borrow)]
    pub gateway_id: Text<'a>,
    #[serde(borrow)]
    pub eui: Option<Text<'a>>,
}

/// A gateway of another network: its real ids stand here, `gateway_ids` only says `packetbroker`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PacketBroker<'a> {
    #[serde(borrow)]
    pub forwarder_gateway_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub forwarder_gateway_eui: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Settings<'a> {
    #[serde(borrow)]
    pub data_rate: DataRate<'a>,
    pub frequency: Integer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DataRate<'a> {
    pub lora: Option<Lora>,
    pub fsk: Option<Fsk>,
    #[serde(borrow)]
    pub lrfhss: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lora {
    pub bandwidth: Integer,
    pub spreading_factor: Integer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fsk {
    pub bit_rate: Integer,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Version<'a> {
    #[serde(borrow)]
    pub brand_id: Text<'a>,
    #[serde(borrow)]
    pub model_id: Text<'a>,
    #[serde(borrow)]
    pub hardware_version: Text<'a>,
    #[serde(borrow)]
    pub firmware_version: Text<'a>,
    #[serde(borrow)]
    pub band_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Battery {
    pub value: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct JoinAccept<'a> {
    #[serde(borrow)]
    pub session_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub app_s_key: Option<&'a RawValue>,
    /// With end-to-end encryption: what waited in the old session.
    #[serde(borrow)]
    pub invalidated_downlinks: Vec<Downlink<'a>>,
    pub received_at: Option<Timestamp>,
}

/// With end-to-end encryption: a frame of the network's own took the number that the first of these had.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct QueueInvalidated<'a> {
    #[serde(borrow)]
    pub downlinks: Vec<Downlink<'a>>,
    pub last_f_cnt_down: Integer,
    #[serde(borrow)]
    pub session_key_id: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Downlink<'a> {
    #[serde(borrow)]
    pub session_key_id: Option<Text<'a>>,
    pub f_cnt: Option<Integer>,
    #[serde(borrow)]
    pub correlation_ids: Vec<Text<'a>>,
    pub confirmed_retry: Option<ConfirmedRetry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ConfirmedRetry {
    pub attempt: Option<Integer>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DownlinkFailed<'a> {
    #[serde(borrow)]
    pub downlink: Downlink<'a>,
    #[serde(borrow)]
    pub error: ErrorDetails<'a>,
}

/// The error of an event or of the HTTP API: the same shape in both.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ErrorDetails<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub message_format: Text<'a>,
    pub attributes: BTreeMap<String, serde_json::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LocationSolved<'a> {
    #[serde(borrow)]
    pub service: Text<'a>,
    #[serde(borrow)]
    pub location: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service<'a> {
    #[serde(borrow)]
    pub service: Text<'a>,
    #[serde(borrow)]
    pub data: Option<&'a RawValue>,
}

/// A whole number, quoted or not. 64-bit ones are quoted on the wire.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Integer(pub u64);

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quoted;
        impl Visitor<'_> for Quoted {
            type Value = Integer;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, quoted or not")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Integer, E> {
                Ok(Integer(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Integer, E> {
                text.parse().map(Integer).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Quoted)
    }
}
