//! Cayenne Low Power Payload, as The Things Stack reads and writes it: channel, type and value, until the bytes end.
//!
//! Uplinks: the types of the first version of the format (myDevices, "Cayenne LPP 1.0"), named `name_<channel>`. Like The
//! Things Stack, an unknown type or a field cut short refuses the whole payload, a channel and type that come twice keep the
//! last value, and the barometric pressure is signed (observed on version 3.32). Downlinks: `value_<channel>`, each as the
//! channel's byte and a signed 16 bit hundredth, in ascending order of channels.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::codec::{Codec, Decoded, DownlinkInput, Encoded, Normalized, UplinkInput};
use crate::error::CodecError;

const FORMAT: &str = "Cayenne LPP";

/// Ends a downlink early (myDevices, "Cayenne LPP 1.0").
const END_OF_DOWNLINK: u8 = 0xff;

/// The engine; it keeps nothing between calls.
pub(crate) struct CayenneLpp;

impl Codec for CayenneLpp {
    fn decode_uplink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        let mut fields = Map::new();
        let mut rest = input.bytes;
        while !rest.is_empty() {
            let at = input.bytes.len() - rest.len();
            let (name, value, after) = field(rest).map_err(|reason| bad_payload(format!("{reason} at byte {at}")))?;
            fields.insert(name, value);
            rest = after;
        }
        Ok(decoded(fields))
    }

    fn normalize_uplink(&mut self, _data: &RawValue) -> Result<Option<Normalized>, CodecError> {
        Ok(None)
    }

    fn encode_downlink(&mut self, input: &DownlinkInput<'_>) -> Result<Encoded, CodecError> {
        let mut bytes = Vec::new();
        for (channel, hundredths) in commanded_values(input.data)? {
            bytes.push(channel);
            bytes.extend(hundredths.to_be_bytes());
        }
        Ok(Encoded { bytes, f_port: None, warnings: Vec::new() })
    }

    fn decode_downlink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        let mut fields = Map::new();
        let end = input.bytes.iter().step_by(3).position(|channel| *channel == END_OF_DOWNLINK);
        let triplets = end.map_or(input.bytes, |index| &input.bytes[..index * 3]);
        let (whole, cut_short) = triplets.as_chunks::<3>();
        for [channel, high, low] in whole {
            let value = f64::from(i16::from_be_bytes([*high, *low])) / 100.0;
            fields.insert(format!("value_{channel}"), json!(value));
        }
        if cut_short.is_empty() { Ok(decoded(fields)) } else { Err(bad_payload("the last value is cut short".into())) }
    }
}

/// Reads one field: its name, its value, and what follows.
fn field(bytes: &[u8]) -> Result<(String, Value, &[u8]), String> {
    let [channel, kind, rest @ ..] = bytes else {
        return Err("a channel without a type".to_owned());
    };
    let (name, size): (_, usize) = match kind {
        0 => ("digital_in", 1),
        1 => ("digital_out", 1),
        2 => ("analog_in", 2),
        3 => ("analog_out", 2),
        101 => ("luminosity", 2),
        102 => ("presence", 1),
        103 => ("temperature", 2),
        104 => ("relative_humidity", 1),
        113 => ("accelerometer", 6),
        115 => ("barometric_pressure", 2),
        134 => ("gyrometer", 6),
        136 => ("gps", 9),
        other => return Err(format!("unknown type {other}")),
    };
    let (raw, after) = rest.split_at_checked(size).ok_or_else(|| format!("{name} is cut short"))?;
    Ok((format!("{name}_{channel}"), value(*kind, raw), after))
}

/// The value of a field whose type and size are known to fit.
fn value(kind: u8, raw: &[u8]) -> Value {
    match kind {
        2 | 3 => json!(signed(raw) / 100.0),
        101 => json!(u16::from_be_bytes([raw[0], raw[1]])),
        103 | 115 => json!(signed(raw) / 10.0),
        104 => json!(f64::from(raw[0]) / 2.0),
        113 => axes(raw, 1000.0),
        134 => axes(raw, 100.0),
        136 => json!({
            "latitude": signed(&raw[..3]) / 10_000.0,
            "longitude": signed(&raw[3..6]) / 10_000.0,
            "altitude": signed(&raw[6..]) / 100.0,
        }),
        _ => json!(raw[0]),
    }
}

fn axes(raw: &[u8], scale: f64) -> Value {
    json!({ "x": signed(&raw[..2]) / scale, "y": signed(&raw[2..4]) / scale, "z": signed(&raw[4..]) / scale })
}

/// A signed big-endian number of two or three bytes.
fn signed(raw: &[u8]) -> f64 {
    let unsigned = raw.iter().fold(0_i32, |number, byte| number << 8 | i32::from(*byte));
    let unused = 32 - 8 * raw.len() as u32;
    f64::from(unsigned << unused >> unused)
}

/// The `value_<channel>` numbers of a command, as hundredths by channel.
fn commanded_values(data: &RawValue) -> Result<BTreeMap<u8, i16>, CodecError> {
    let fields: BTreeMap<String, Value> = serde_json::from_str(data.get())
        .map_err(|_| bad_command("it must be an object such as {\"value_1\": 21.5}".to_owned()))?;
    let mut values = BTreeMap::new();
    for (key, value) in &fields {
        let channel = key.strip_prefix("value_").and_then(|channel| channel.parse().ok());
        if let (Some(channel), Some(number)) = (channel, value.as_f64()) {
            values.insert(channel, hundredths(key, channel, number)?);
        }
    }
    if values.is_empty() {
        return Err(bad_command(
            "no field is named value_<channel> and a number, such as {\"value_1\": 21.5}".to_owned(),
        ));
    }
    Ok(values)
}

/// Truncates towards zero, as The Things Stack does; what does not fit is an error rather than another value.
fn hundredths(key: &str, channel: u8, number: f64) -> Result<i16, CodecError> {
    let hundredths = (number * 100.0).trunc();
    if channel == END_OF_DOWNLINK {
        return Err(bad_command(format!("{key}: channel 255 marks the end of the payload")));
    }
    if !(f64::from(i16::MIN)..=f64::from(i16::MAX)).contains(&hundredths) {
        return Err(bad_command(format!("{key} is {number}, and must be from -327.68 to 327.67")));
    }
    Ok(hundredths as i16)
}

fn decoded(fields: Map<String, Value>) -> Decoded {
    let data = serde_json::value::to_raw_value(&fields).expect("a map of JSON values has a JSON text");
    Decoded { data, warnings: Vec::new() }
}

fn bad_payload(reason: String) -> CodecError {
    CodecError::BadPayload { format: FORMAT, reason }
}

fn bad_command(reason: String) -> CodecError {
    CodecError::BadCommand { format: FORMAT, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uplink(bytes: &[u8]) -> Result<Value, CodecError> {
        let decoded = CayenneLpp.decode_uplink(&UplinkInput { bytes, f_port: 1, recv_time_ms: None })?;
        Ok(serde_json::from_str(decoded.data.get()).unwrap())
    }

    fn downlink(data: &Value) -> Result<Vec<u8>, CodecError> {
        let data = serde_json::value::to_raw_value(data).unwrap();
        CayenneLpp.encode_downlink(&DownlinkInput { data: &data, f_port: None }).map(|encoded| encoded.bytes)
    }

    fn downlink_back(bytes: &[u8]) -> Result<Value, CodecError> {
        let decoded = CayenneLpp.decode_downlink(&UplinkInput { bytes, f_port: 1, recv_time_ms: None })?;
        Ok(serde_json::from_str(decoded.data.get()).unwrap())
    }

    #[test]
    fn a_type_and_channel_that_come_twice_keep_the_last_value() {
        assert_eq!(uplink(&[1, 103, 0, 10, 1, 103, 0, 20]).unwrap(), json!({"temperature_1": 2.0}));
    }

    #[test]
    fn one_unknown_or_cut_field_refuses_the_whole_payload() {
        let unknown = uplink(&[1, 103, 0, 10, 2, 100, 0, 0, 0, 1]).unwrap_err();
        assert_eq!(unknown.to_string(), "the payload is not Cayenne LPP: unknown type 100 at byte 4");
        assert!(uplink(&[1, 103, 0]).is_err());
        assert!(uplink(&[1]).is_err());
    }

    #[test]
    fn an_empty_payload_is_an_empty_object() {
        assert_eq!(uplink(&[]).unwrap(), json!({}));
    }

    #[test]
    fn command_values_are_truncated_towards_zero_in_ascending_order_of_channels() {
        let bytes = downlink(&json!({"value_20": 1, "value_3": -1.239, "other": 5, "value_2": "text"})).unwrap();
        assert_eq!(bytes, [3, 0xff, 0x85, 20, 0, 100]);
    }

    #[test]
    fn a_command_with_nothing_to_send_or_too_much_is_refused() {
        assert!(downlink(&json!({"led": true})).is_err());
        assert!(downlink(&json!({"value_1": 400})).is_err());
        assert!(downlink(&json!({"value_255": 1})).is_err());
        assert!(downlink(&json!([1])).is_err());
    }

    #[test]
    fn a_downlink_ends_at_the_end_mark_but_not_at_a_value_that_looks_like_it() {
        assert_eq!(downlink_back(&[1, 0xff, 0xff, 0xff, 9, 9]).unwrap(), json!({"value_1": -0.01}));
        assert!(downlink_back(&[1, 0]).is_err());
    }

    /// One field of a payload, with the name and value it must decode to.
    fn any_field() -> impl Strategy<Value = (Vec<u8>, String, f64)> {
        let scaled = prop_oneof![
            Just((2_u8, "analog_in", 100.0)),
            Just((3, "analog_out", 100.0)),
            Just((103, "temperature", 10.0)),
            Just((115, "barometric_pressure", 10.0)),
        ];
        (any::<u8>(), scaled, any::<i16>()).prop_map(|(channel, (kind, name, scale), raw)| {
            let [high, low] = raw.to_be_bytes();
            (vec![channel, kind, high, low], format!("{name}_{channel}"), f64::from(raw) / scale)
        })
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_object_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(fields) = uplink(&bytes) {
                prop_assert!(fields.is_object());
            }
        }

        #[test]
        fn fields_written_by_a_device_are_read_back(fields in proptest::collection::vec(any_field(), 0..10)) {
            let bytes: Vec<u8> = fields.iter().flat_map(|(bytes, ..)| bytes.clone()).collect();
            let expected: BTreeMap<_, _> = fields.into_iter().map(|(_, name, value)| (name, value)).collect();
            prop_assert_eq!(uplink(&bytes).unwrap(), json!(expected));
        }

        #[test]
        fn every_prefix_that_cuts_a_field_is_refused(field in any_field(), kept in 1_usize..4) {
            prop_assert!(uplink(&field.0[..kept]).is_err());
        }

        #[test]
        fn a_command_survives_the_way_there_and_back(values in proptest::collection::btree_map(0_u8..255, -32_768_i32..=32_767, 1..20)) {
            let command: BTreeMap<_, _> =
                values.iter().map(|(channel, hundredths)| (format!("value_{channel}"), f64::from(*hundredths) / 100.0)).collect();
            let back = downlink_back(&downlink(&json!(command)).unwrap()).unwrap();
            for (key, sent) in command {
                // Truncation may cost one hundredth: 0.29 * 100 is 28.999….
                prop_assert!((back[&key].as_f64().unwrap() - sent).abs() < 0.010_001, "{} became {}", sent, back[&key]);
            }
        }
    }
}
