//! The JSON of every message kind of The Things Stack, made into the model's nouns.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use super::json::{self, Envelope, ErrorDetails};
use crate::model::{
    ApplicationName, DataRate, DeviceId, DeviceKey, DownlinkEvent, DownlinkHappening, DownlinkId, EndDeviceIds,
    Failure, Gateway, Join, Location, NetworkMessage, Radio, ServiceData, Uplink, VersionIds,
};
use crate::network::{RawMessage, Unreadable};

/// What our own ids carry in front among the `correlation_ids`.
pub const CORRELATION_PREFIX: &str = "ferry:";
/// How far a gateway's clock may be off before it is not believed.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// The largest message that is looked into, in bytes: a hundred times the largest real one.
const MAX_MESSAGE: usize = 1 << 20;

/// Parses one message of `device`, whose id the topic gave: a body without ids, or with another device's, is taken for
/// the topic's.
pub fn parse(application: &ApplicationName, device: DeviceId, raw: &RawMessage) -> Result<NetworkMessage, Unreadable> {
    understand(DeviceKey::new(application, device), envelope(raw)?, raw)
}

/// The JSON of a message.
pub fn envelope(raw: &RawMessage) -> Result<Envelope<'_>, Unreadable> {
    if raw.payload.len() > MAX_MESSAGE {
        return Err(Unreadable::TooLarge(raw.payload.len()));
    }
    serde_json::from_slice(&raw.payload).map_err(Unreadable::Json)
}

/// What the JSON of `raw` says.
pub fn understand(key: DeviceKey, envelope: Envelope<'_>, raw: &RawMessage) -> Result<NetworkMessage, Unreadable> {
    let at = envelope.received_at.unwrap_or(raw.at);
    message(key, at, envelope).map(|message| match message {
        NetworkMessage::Uplink(mut uplink) => {
            uplink.backfilled = raw.backfilled;
            NetworkMessage::Uplink(uplink)
        }
        other => other,
    })
}

fn message(key: DeviceKey, at: Timestamp, mut envelope: Envelope<'_>) -> Result<NetworkMessage, Unreadable> {
    use DownlinkHappening::{Acked, Failed, Nacked, Queued, Sent};
    if let Some(up) = envelope.uplink_message.take() {
        return uplink(key, at, &envelope, up).map(|uplink| NetworkMessage::Uplink(Box::new(uplink)));
    }
    if let Some(join) = &envelope.join_accept {
        return Ok(NetworkMessage::Join(Join {
            key,
            ids: ids(&envelope.end_device_ids),
            session_key_id: join.session_key_id.as_deref().map(str::to_owned),
            at: join.received_at.unwrap_or(at),
        }));
    }
    let event = |down: &json::Downlink<'_>, happening| {
        NetworkMessage::Downlink(DownlinkEvent { key: key.clone(), id: our_id(&down.correlation_ids), happening, at })
    };
    if let Some(down) = &envelope.downlink_queued {
        return Ok(event(down, Queued));
    }
    if let Some(down) = &envelope.downlink_sent {
        // The first downlink of a session has counter 0, and zeros are left out.
        return Ok(event(down, Sent { f_cnt: down.f_cnt.map(|count| count.0 as u32).or(Some(0)) }));
    }
    if let Some(down) = &envelope.downlink_ack {
        return Ok(event(down, Acked));
    }
    if let Some(down) = &envelope.downlink_nack {
        let attempt = down.confirmed_retry.as_ref().and_then(|retry| retry.attempt).map(|attempt| attempt.0 as u32);
        return Ok(event(down, Nacked { attempt }));
    }
    if let Some(failed) = &envelope.downlink_failed {
        return Ok(event(&failed.downlink, Failed(failure(&failed.error))));
    }
    if envelope.downlink_queue_invalidated.is_some() {
        // What it gives back is told one by one.
        return Ok(NetworkMessage::Ignored("downlink_queue_invalidated"));
    }
    other(key, at, &envelope)
}

fn other(key: DeviceKey, at: Timestamp, envelope: &Envelope<'_>) -> Result<NetworkMessage, Unreadable> {
    if let Some(solved) = &envelope.location_solved {
        let location = solved.location.ok_or(Unreadable::Missing("location"))?.to_owned();
        return Ok(NetworkMessage::Location(Location { key, service: solved.service.to_string(), location, at }));
    }
    if let Some(service) = &envelope.service_data {
        let data = service.data.map_or_else(|| RawValue::NULL.to_owned(), ToOwned::to_owned);
        return Ok(NetworkMessage::Service(ServiceData { key, service: service.service.to_string(), data, at }));
    }
    match envelope.uplink_normalized {
        Some(_) => Ok(NetworkMessage::Ignored("uplink_normalized")),
        None => Err(Unreadable::Missing("content of a known kind")),
    }
}

fn uplink(
    key: DeviceKey,
    at: Timestamp,
    envelope: &Envelope<'_>,
    up: json::UplinkMessage<'_>,
) -> Result<Uplink, Unreadable> {
    let payload = decode_base64("frm_payload", &up.frm_payload)?;
    let f_port = small("f_port", up.f_port)?;
    let f_cnt = small("f_cnt", up.f_cnt)?;
    let id = match &up.session_key_id {
        Some(session) if !envelope.simulated => format!("{key}/{session}/{f_cnt}"),
        _ => format!("{key}/{at}/{f_cnt}"),
    };
    let arrived = up.received_at.unwrap_or(at);
    Ok(Uplink {
        id,
        ids: ids(&envelope.end_device_ids),
        session_key_id: up.session_key_id.map(Into::into),
        f_port: (f_port != 0).then_some(f_port),
        f_cnt,
        payload,
        encrypted: up.app_s_key.is_some(),
        network_fields: up.decoded_payload.map(ToOwned::to_owned),
        network_measurements: up.normalized_payload.map(ToOwned::to_owned),
        network_warnings: [up.decoded_payload_warnings, up.normalized_payload_warnings].concat(),
        at: best_time(&up.rx_metadata, arrived),
        received_at: at,
        backfilled: false,
        radio: radio(&up.rx_metadata, &up.settings, up.consumed_airtime.as_deref(), up.packet_error_rate),
        confirmed: up.confirmed,
        simulated: envelope.simulated,
        version_ids: up.version_ids.as_ref().map(version),
        attributes: up.attributes,
        locations: up.locations.map(ToOwned::to_owned),
        battery_percentage: up.last_battery_percentage.map(|battery| battery.value),
        spooled: None,
        key,
    })
}

/// When a gateway heard it, if that gateway's clock can be right: one that lives in another year must not make every
/// later uplink look old.
fn best_time(rx: &[json::RxMetadata<'_>], arrived: Timestamp) -> Timestamp {
    let plausible = |time: &Timestamp| arrived.duration_since(*time).abs() <= CLOCK_TOLERANCE;
    rx.iter().filter_map(|rx| rx.gps_time.or(rx.received_at)).find(plausible).unwrap_or(arrived)
}

fn radio(
    rx: &[json::RxMetadata<'_>],
    settings: &json::Settings<'_>,
    airtime: Option<&str>,
    errors: Option<f64>,
) -> Radio {
    let mut gateways: Vec<Gateway> = rx.iter().map(gateway).collect();
    gateways.sort_by(|a, b| b.rssi.total_cmp(&a.rssi));
    let lora = settings.data_rate.lora.as_ref();
    Radio {
        gateways,
        data_rate: DataRate {
            spreading_factor: lora.map(|lora| lora.spreading_factor.0 as u8),
            bandwidth: lora.map(|lora| lora.bandwidth.0 as u32),
            bit_rate: settings.data_rate.fsk.as_ref().map(|fsk| fsk.bit_rate.0 as u32),
        },
        frequency: Some(settings.frequency.0).filter(|hertz| *hertz > 0),
        airtime: airtime.and_then(|text| text.strip_suffix('s')).and_then(|text| text.parse().ok()),
        packet_error_rate: errors,
    }
}

fn gateway(rx: &json::RxMetadata<'_>) -> Gateway {
    let broker = rx.packet_broker.as_ref();
    let id = broker.and_then(|broker| broker.forwarder_gateway_id.as_deref()).unwrap_or(&rx.gateway_ids.gateway_id);
    let eui = broker.and_then(|broker| broker.forwarder_gateway_eui.as_deref()).or(rx.gateway_ids.eui.as_deref());
    Gateway {
        id: id.to_owned(),
        eui: eui.map(str::to_owned),
        rssi: rx.rssi,
        snr: rx.snr,
        location: rx.location.map(ToOwned::to_owned),
    }
}

fn version(version: &json::Version<'_>) -> VersionIds {
    VersionIds {
        brand_id: version.brand_id.to_string(),
        model_id: version.model_id.to_string(),
        hardware_version: version.hardware_version.to_string(),
        firmware_version: version.firmware_version.to_string(),
        band_id: version.band_id.to_string(),
    }
}

fn ids(ids: &json::Ids<'_>) -> EndDeviceIds {
    let owned = |id: &Option<std::borrow::Cow<'_, str>>| id.as_deref().map(str::to_owned);
    EndDeviceIds { dev_eui: owned(&ids.dev_eui), join_eui: owned(&ids.join_eui), dev_addr: owned(&ids.dev_addr) }
}

/// Our id among the correlation ids of a downlink, if it was ours.
pub fn our_id(correlation_ids: &[impl AsRef<str>]) -> Option<DownlinkId> {
    correlation_ids.iter().find_map(|id| DownlinkId::parse(id.as_ref().strip_prefix(CORRELATION_PREFIX)?).ok())
}

/// An error with its attributes put where the message has `{name}` for them.
pub fn failure(error: &ErrorDetails<'_>) -> Failure {
    let mut message = error.message_format.to_string();
    for (name, value) in &error.attributes {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        message = message.replace(&format!("{{{name}}}"), &text);
    }
    let name = if error.name.is_empty() { "unknown".into() } else { error.name.to_string() };
    if message.is_empty() {
        message.clone_from(&name);
    }
    Failure { name, message }
}

fn decode_base64(field: &'static str, text: &str) -> Result<Bytes, Unreadable> {
    let bytes = STANDARD.decode(text).map_err(|error| Unreadable::Field { field, why: error.to_string() })?;
    Ok(bytes.into())
}

fn small<T: TryFrom<u64>>(field: &'static str, number: json::Integer) -> Result<T, Unreadable> {
    T::try_from(number.0).map_err(|_| Unreadable::Field { field, why: format!("{} is too large", number.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<NetworkMessage, Unreadable> {
        let raw = RawMessage {
            topic: Bytes::new(),
            payload: Bytes::from(json.to_owned()),
            at: Timestamp::UNIX_EPOCH,
            backfilled: false,
        };
        parse(&ApplicationName::parse("app1").unwrap(), DeviceId::parse("dev1").unwrap(), &raw)
    }

    fn fixture(name: &str) -> NetworkMessage {
        let path = format!("{}/tests/fixtures/tts/{name}.json", env!("CARGO_MANIFEST_DIR"));
        read(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn uplink(name: &str) -> Uplink {
        match fixture(name) {
            NetworkMessage::Uplink(uplink) => *uplink,
            other => panic!("{other:?}"),
        }
    }

    fn happening(name: &str) -> DownlinkHappening {
        match fixture(name) {
            NetworkMessage::Downlink(event) => event.happening,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_captured_message_is_understood() {
        let folder = format!("{}/tests/fixtures/tts", env!("CARGO_MANIFEST_DIR"));
        let mut found = 0;
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|ending| ending == "json") {
                read(&std::fs::read_to_string(entry.path()).unwrap())
                    .unwrap_or_else(|error| panic!("{entry:?}: {error}"));
                found += 1;
            }
        }
        assert_eq!(found, 36);
    }

    #[test]
    fn a_full_uplink_keeps_all_that_matters() {
        let up = uplink("uplink-full");
        assert_eq!(up.id, "app1/dev1/AaH7gAt4KgztAJ3E5XyHWA==/1");
        assert_eq!((up.f_port, up.f_cnt, up.payload.as_ref()), (Some(2), 1, &[0xf0][..]));
        let of_the_normalizer = ["nw", "measurement 1: `air.relativeHumidity` should be equal or less than `100`"];
        assert_eq!(up.network_warnings, [&["hot"], &of_the_normalizer[..]].concat());
        assert_eq!(up.radio.best().unwrap().rssi, -60.0);
        assert_eq!(up.radio.data_rate.spreading_factor, Some(7));
        assert_eq!(up.radio.frequency, Some(868_100_000));
        assert_eq!(up.radio.airtime, Some(0.046336));
        assert_eq!(up.at.to_string(), "2026-11-21T00:27:25.418042927Z");
        assert_eq!(up.version_ids.unwrap().brand_id, "the-things-products");
    }

    #[test]
    fn a_gateway_that_lives_in_another_year_is_not_believed() {
        let json = r#"{"uplink_message":{"received_at":"2026-11-21T00:00:00Z","rx_metadata":[
            {"gps_time":"2045-01-01T00:00:00Z"},{"received_at":"2026-11-20T23:59:59Z"}]}}"#;
        let NetworkMessage::Uplink(up) = read(json).unwrap() else { panic!() };
        assert_eq!(up.at.to_string(), "2026-11-20T23:59:59Z");
        let json = r#"{"uplink_message":{"received_at":"2026-11-21T00:00:00Z","rx_metadata":[
            {"gps_time":"2045-01-01T00:00:00Z"}]}}"#;
        let NetworkMessage::Uplink(up) = read(json).unwrap() else { panic!() };
        assert_eq!(up.at.to_string(), "2026-11-21T00:00:00Z");
    }

    #[test]
    fn what_is_left_out_is_zero_or_absent() {
        assert_eq!(uplink("uplink-first-no-f_cnt-no-locations").f_cnt, 0);
        assert_eq!(uplink("uplink-no-f_port").f_port, None);
        assert!(uplink("uplink-empty-frm_payload").payload.is_empty());
        assert!(uplink("uplink-decoder-error-decoded_payload-absent").network_fields.is_none());
    }

    #[test]
    fn special_uplinks_are_marked() {
        assert!(uplink("uplink-simulated").simulated);
        assert!(uplink("uplink-confirmed").confirmed);
        assert!(uplink("uplink-e2e-encrypted").encrypted);
        assert_eq!(uplink("marshalled-uplink-fsk").radio.data_rate.spreading_factor, None);
    }

    #[test]
    fn gateways_behind_packet_broker_go_by_their_own_id() {
        let up = uplink("marshalled-uplink-everything");
        let broker = up.radio.gateways.iter().find(|gateway| gateway.rssi == -110.0).unwrap();
        assert_eq!(broker.id, "eui-0102030405060708");
    }

    #[test]
    fn the_life_of_a_downlink_is_told() {
        assert_eq!(happening("down-queued-raw"), DownlinkHappening::Queued);
        assert_eq!(happening("down-sent"), DownlinkHappening::Sent { f_cnt: Some(1) });
        assert_eq!(happening("down-ack"), DownlinkHappening::Acked);
        assert!(matches!(happening("down-nack"), DownlinkHappening::Nacked { attempt: Some(_) }));
        assert!(matches!(fixture("down-invalidated-e2e"), NetworkMessage::Ignored(_)));
    }

    #[test]
    fn a_failure_says_what_the_network_said_with_its_numbers() {
        let DownlinkHappening::Failed(failure) = happening("down-failed-application-downlink-too-long") else {
            panic!()
        };
        assert_eq!(failure.name, "application_downlink_too_long");
        assert!(failure.message.contains("250") && failure.message.contains("242"), "{}", failure.message);
    }

    #[test]
    fn only_our_own_correlation_id_counts() {
        assert_eq!(our_id(&["as:downlink:x", "ferry:abc"]).unwrap().as_str(), "abc");
        assert_eq!(our_id(&["as:downlink:x", "my-corr-1"]), None);
    }

    #[test]
    fn bad_messages_are_errors_that_say_why() {
        for (json, why) in [
            ("", "JSON"),
            ("[]", "no content of a known kind"),
            ("7", "JSON"),
            ("{}", "no content of a known kind"),
            (r#"{"uplink_message":{"frm_payload":"***"}}"#, "frm_payload"),
            (r#"{"uplink_message":{"f_port":300}}"#, "f_port"),
            (r#"{"uplink_message":{"f_cnt":-1}}"#, "JSON"),
            (r#"{"uplink_message":{"f_cnt":"x"}}"#, "JSON"),
            (r#"{"uplink_message":7}"#, "JSON"),
            (r#"{"location_solved":{"service":"x"}}"#, "location"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(why), "{json}: {error}");
        }
        let huge = format!(r#"{{"x":"{}"}}"#, "a".repeat(MAX_MESSAGE));
        assert!(matches!(read(&huge), Err(Unreadable::TooLarge(_))));
    }

    #[test]
    fn quoted_and_bare_integers_are_the_same() {
        for settings in [r#"{"frequency":"868100000"}"#, r#"{"frequency":868100000}"#] {
            let json = format!(r#"{{"uplink_message":{{"settings":{settings},"f_cnt":"7"}}}}"#);
            let NetworkMessage::Uplink(up) = read(&json).unwrap() else { panic!() };
            assert_eq!((up.radio.frequency, up.f_cnt), (Some(868_100_000), 7));
        }
    }
}
