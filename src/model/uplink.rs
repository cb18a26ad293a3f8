//! One uplink of one device, as every network server can tell it.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::DeviceKey;

/// An uplink as received, before any codec of ours has seen it.
#[derive(Debug)]
pub struct Uplink {
    pub key: DeviceKey,
    /// The same for every copy of this uplink, different for every other one: session and counter, or, for simulated
    /// traffic that has neither, the time.
    pub id: String,
    pub ids: EndDeviceIds,
    /// The session the counter belongs to; `None` for simulated traffic.
    pub session_key_id: Option<String>,
    /// 1 to 255; `None` for a frame that carries only MAC commands.
    pub f_port: Option<u8>,
    /// The full 32-bit counter of the session.
    pub f_cnt: u32,
    /// FRMPayload, decrypted unless `encrypted`.
    pub payload: Bytes,
    /// The application session key is the user's alone: `payload` is ciphertext.
    pub encrypted: bool,
    /// What the network's own formatter made of the payload: a JSON object.
    pub network_fields: Option<Box<RawValue>>,
    /// The network's normalised measurements: a JSON list.
    pub network_measurements: Option<Box<RawValue>>,
    /// What the network's formatters warned about.
    pub network_warnings: Vec<String>,
    /// When the network first had it; the closest known to the moment of transmission.
    pub at: Timestamp,
    /// When the network's application server had it: what its history is asked by.
    pub received_at: Timestamp,
    /// Fetched from the network's history after a gap, not heard when it was sent.
    pub backfilled: bool,
    pub radio: Radio,
    /// The device asked the network to acknowledge this uplink.
    pub confirmed: bool,
    pub simulated: bool,
    pub version_ids: Option<VersionIds>,
    /// The attributes the user gave the device at the network (Things Stack 3.34 and later send them along).
    pub attributes: BTreeMap<String, String>,
    /// Positions by source, as the network tells them.
    pub locations: Option<Box<RawValue>>,
    /// 0 to 100 %.
    pub battery_percentage: Option<f64>,
    /// Its number in the spool, once it is there.
    pub spooled: Option<u64>,
}

/// The identifiers that LoRaWAN itself gives a device: upper-case hex.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndDeviceIds {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_eui: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join_eui: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev_addr: Option<String>,
}

/// How the frame travelled.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Radio {
    /// Every gateway that heard it, strongest first.
    pub gateways: Vec<Gateway>,
    #[serde(flatten)]
    pub data_rate: DataRate,
    /// Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<u64>,
    /// Time on air in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub airtime: Option<f64>,
    /// 0 to 1, as the network server computes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_error_rate: Option<f64>,
}

/// One gateway's reception.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Gateway {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eui: Option<String>,
    /// dBm.
    pub rssi: f32,
    /// dB.
    pub snr: f32,
    /// Only where the gateway's owner made it public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Box<RawValue>>,
}

/// What is known of the modulation; LoRa has spreading factor and bandwidth, FSK a bit rate, LR-FHSS neither.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DataRate {
    /// 5 to 12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spreading_factor: Option<u8>,
    /// Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<u32>,
    /// bit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u32>,
}

/// Which product the device is, in the terms of the LoRaWAN device repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub struct VersionIds {
    pub brand_id: String,
    pub model_id: String,
    pub hardware_version: String,
    pub firmware_version: String,
    pub band_id: String,
}

impl EndDeviceIds {
    /// Takes over what a message tells; what it does not tell stays as it is known. Returns whether that is news.
    pub fn update(&mut self, told: &Self) -> bool {
        let all = [
            (&mut self.dev_eui, &told.dev_eui),
            (&mut self.join_eui, &told.join_eui),
            (&mut self.dev_addr, &told.dev_addr),
        ];
        let mut is_news = false;
        for (known, told) in all {
            if told.is_some() && known != told {
                known.clone_from(told);
                is_news = true;
            }
        }
        is_news
    }
}

impl Uplink {
    /// Whether there is a payload that a codec could read.
    pub fn is_decodable(&self) -> bool {
        self.f_port.is_some() && !self.encrypted
    }

    /// When it came, by the network's clock. One fetched later came at some other time, and whoever simulates one may give
    /// it any.
    pub fn came_at(&self) -> Option<Timestamp> {
        (!self.backfilled && !self.simulated).then_some(self.received_at)
    }
}

impl Radio {
    /// The strongest reception, if any gateway is named: simulated uplinks have none.
    pub fn best(&self) -> Option<&Gateway> {
        self.gateways.first()
    }
}

#[cfg(test)]
impl Uplink {
    /// An uplink of `device`, so many seconds after 1970, in session `s`.
    pub fn sample(device: &str, f_cnt: u32, second: i64) -> Box<Self> {
        let application = super::ApplicationName::parse("app").unwrap();
        let key = DeviceKey::new(&application, super::DeviceId::parse(device).unwrap());
        Box::new(Self {
            id: format!("{key}/s/{f_cnt}"),
            key,
            ids: EndDeviceIds::default(),
            session_key_id: Some("s".into()),
            f_port: Some(1),
            f_cnt,
            payload: Bytes::from_static(&[1]),
            encrypted: false,
            network_fields: None,
            network_measurements: None,
            network_warnings: Vec::new(),
            at: Timestamp::from_second(second).unwrap(),
            received_at: Timestamp::from_second(second).unwrap(),
            backfilled: false,
            radio: Radio::default(),
            confirmed: false,
            simulated: false,
            version_ids: None,
            attributes: BTreeMap::new(),
            locations: None,
            battery_percentage: None,
            spooled: None,
        })
    }
}
