//! Builds an uplink's message from the frame a gateway heard.

use std::collections::BTreeMap;

use super::super::config::Location;
use super::super::gateway::Received;
use super::super::radio::RadioFrame;
use super::uplink::{DataRate, GatewayIds, Lora, NetworkIds, Placed, RxMetadata, Settings, UplinkMessage};
use super::{ApplicationUp, Body, base64, now};

/// The one gateway of the simulated network.
const GATEWAY_ID: &str = "gw1";
const GATEWAY_EUI: [u8; 8] = [0xAA, 0x55, 0x5A, 0, 0, 0, 0, 0];
const GATEWAY_LOCATION: Location = Location { latitude: 52.1, longitude: 4.9, altitude: 3 };

impl Received {
    /// The `up` message of this uplink.
    pub fn uplink_message(&self, frame: &RadioFrame) -> ApplicationUp {
        let timestamp = gateway_clock();
        let message = UplinkMessage {
            session_key_id: base64(&self.about.session_key_id),
            f_port: self.data.f_port.unwrap_or(0),
            f_cnt: self.data.header.f_cnt,
            frm_payload: base64(self.sealed.as_ref().map_or(&self.data.payload, |sealed| &sealed.payload)),
            app_s_key: self.sealed.as_ref().map(|sealed| sealed.app_s_key.clone()),
            last_a_f_cnt_down: self.sealed.as_ref().map_or(0, |sealed| sealed.last_a_f_cnt_down),
            rx_metadata: vec![rx_metadata(frame, timestamp, &self.received_at)],
            settings: settings(frame, timestamp, &self.received_at),
            received_at: self.received_at.clone(),
            confirmed: self.data.header.confirmed,
            consumed_airtime: format!("{:.6}s", f64::from(frame.airtime_micros()) / 1e6),
            locations: self.locations(),
            version_ids: self.about.device.version_ids.clone(),
            network_ids: NetworkIds::of_tenant(self.about.application.tenant.as_deref()),
            attributes: self.about.device.attributes.clone(),
        };
        ApplicationUp {
            end_device_ids: self.about.ids.clone(),
            correlation_ids: self.about.correlation_ids.clone(),
            received_at: now(),
            body: Body::UplinkMessage(Box::new(message)),
            simulated: false,
        }
    }

    fn locations(&self) -> BTreeMap<String, Placed> {
        let known = self.about.device.location.filter(|_| self.locations_loaded);
        known.map(|location| ("user".to_owned(), Placed::by_owner(location))).into_iter().collect()
    }
}

fn rx_metadata(frame: &RadioFrame, timestamp: u32, time: &str) -> RxMetadata {
    RxMetadata {
        gateway_ids: GatewayIds { gateway_id: GATEWAY_ID.into(), eui: hex::encode_upper(GATEWAY_EUI) },
        time: time.to_owned(),
        timestamp,
        rssi: frame.rssi,
        channel_rssi: frame.rssi,
        snr: frame.snr,
        location: Placed::by_owner(GATEWAY_LOCATION),
        uplink_token: uplink_token(timestamp),
        received_at: time.to_owned(),
    }
}

fn settings(frame: &RadioFrame, timestamp: u32, time: &str) -> Settings {
    let lora = Lora { bandwidth: 125_000, spreading_factor: frame.spreading_factor, coding_rate: "4/5" };
    Settings { data_rate: DataRate { lora }, frequency: frame.frequency.to_string(), timestamp, time: time.to_owned() }
}

/// Microseconds, of which 32 bits are kept.
fn gateway_clock() -> u32 {
    (jiff::Timestamp::now().as_microsecond() & i64::from(u32::MAX)) as u32
}

/// Opaque to everyone but the network: the gateway and its clock.
fn uplink_token(timestamp: u32) -> String {
    let mut token = GATEWAY_ID.as_bytes().to_vec();
    token.extend(GATEWAY_EUI);
    token.extend(timestamp.to_be_bytes());
    token.extend(fastrand::u128(..).to_be_bytes());
    base64(&token)
}
