//! An uplink in few bytes: what many uplinks have in common, apart from what is this one's own.
//!
//! The common parts are texts that rows refer to by number: whose uplink it is and of which session ([`Owner`]), how it
//! was sent and read ([`Form`], with the skeleton of all JSON in it), and each gateway. A row has counters, payload, how
//! well each gateway heard it, and the values that fill the skeleton's holes.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::model::{DataRate, DeviceKey, EndDeviceIds, Gateway, Radio, UplinkRecord};

/// Stands for a value in a skeleton, and between values. JSON holds no bare control characters (RFC 8259, 7).
const HOLE: char = '\u{1f}';

/// An uplink taken apart.
#[derive(Debug, PartialEq)]
pub struct Packed {
    pub owner: String,
    pub form: String,
    /// Each gateway as a text, with dBm and dB.
    pub gateways: Vec<(String, f32, f32)>,
    /// The values, in the order of the holes.
    pub values: String,
}

/// What a row says of itself, beside its values.
pub struct Own {
    pub at: Timestamp,
    pub f_cnt: u32,
    pub payload: Bytes,
    pub gateways: Vec<Gateway>,
}

/// Changes with a join.
#[derive(Serialize, Deserialize)]
struct Owner<'a> {
    /// What stands in the uplink's id between the device and the counter.
    #[serde(borrow)]
    session: Cow<'a, str>,
    #[serde(flatten)]
    ids: EndDeviceIds,
}

/// The same for many uplinks of many devices.
#[derive(Serialize, Deserialize)]
struct Form<'a> {
    f_port: Option<u8>,
    #[serde(borrow)]
    codec: Option<Cow<'a, str>>,
    confirmed: bool,
    encrypted: bool,
    simulated: bool,
    backfilled: bool,
    data_rate: DataRate,
    #[serde(borrow)]
    airtime: Option<Cow<'a, RawValue>>,
}

/// What each uplink tells anew. Numbers are raw: they keep their digits.
#[derive(Default, Serialize, Deserialize)]
struct Told<'a> {
    /// How the uplink's id ends, if not with the counter.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id_end: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    fields: Option<Cow<'a, RawValue>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    normalized: Option<Cow<'a, RawValue>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    codec_error: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frequency: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    packet_error_rate: Option<Cow<'a, RawValue>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    locations: Option<Cow<'a, RawValue>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    battery_percentage: Option<Cow<'a, RawValue>>,
}

/// A gateway, without how well it heard.
#[derive(Serialize, Deserialize)]
struct Hearer<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    eui: Option<Cow<'a, str>>,
    #[serde(borrow)]
    location: Option<Cow<'a, RawValue>>,
}

impl Packed {
    pub fn of(record: &UplinkRecord) -> Self {
        let (session, id_end) = take_apart(record);
        let owner = Owner { session: session.into(), ids: record.ids.clone() };
        let (skeleton, values) = split(&json(&told(record, id_end)));
        let form = format!("{}\n{skeleton}", json(&form(record)));
        let hearer = |gateway: &Gateway| (gateway_text(gateway), gateway.rssi, gateway.snr);
        Self { owner: json(&owner), form, gateways: record.radio.gateways.iter().map(hearer).collect(), values }
    }
}

/// Puts an uplink together again.
///
/// # Errors
/// A text is damaged.
pub fn unpack(key: &DeviceKey, own: Own, owner: &str, form: &str, values: &str) -> serde_json::Result<UplinkRecord> {
    let Owner { session, ids } = serde_json::from_str(owner)?;
    let (form, skeleton) = form.split_once('\n').unwrap_or((form, "{}"));
    let told = join(skeleton, values);
    let (form, told) = (serde_json::from_str::<Form<'_>>(form)?, serde_json::from_str::<Told<'_>>(&told)?);
    let id_end = told.id_end.unwrap_or_else(|| format!("/{}", own.f_cnt).into());
    Ok(UplinkRecord {
        id: format!("{key}/{session}{id_end}"),
        key: key.clone(),
        ids,
        at: own.at,
        f_port: form.f_port,
        f_cnt: own.f_cnt,
        payload: own.payload,
        fields: told.fields.map(Cow::into_owned),
        normalized: told.normalized.map(Cow::into_owned),
        codec: form.codec.map(Cow::into_owned),
        codec_error: told.codec_error.map(Cow::into_owned),
        warnings: told.warnings.into_iter().map(Cow::into_owned).collect(),
        confirmed: form.confirmed,
        encrypted: form.encrypted,
        simulated: form.simulated,
        backfilled: form.backfilled,
        radio: Radio {
            gateways: own.gateways,
            data_rate: form.data_rate,
            frequency: told.frequency,
            airtime: form.airtime.and_then(number),
            packet_error_rate: told.packet_error_rate.and_then(number),
        },
        locations: told.locations.map(Cow::into_owned),
        battery_percentage: told.battery_percentage.and_then(number),
    })
}

/// A gateway from its text.
///
/// # Errors
/// The text is damaged.
pub fn gateway(text: &str, rssi: f32, snr: f32) -> serde_json::Result<Gateway> {
    let Hearer { id, eui, location } = serde_json::from_str(text)?;
    let (id, eui, location) = (id.into_owned(), eui.map(Cow::into_owned), location.map(Cow::into_owned));
    Ok(Gateway { id, eui, rssi, snr, location })
}

fn gateway_text(gateway: &Gateway) -> String {
    let (eui, location) = (gateway.eui.as_deref().map(Cow::from), gateway.location.as_deref().map(Cow::Borrowed));
    json(&Hearer { id: gateway.id.as_str().into(), eui, location })
}

fn form(record: &UplinkRecord) -> Form<'_> {
    Form {
        f_port: record.f_port,
        codec: record.codec.as_deref().map(Cow::from),
        confirmed: record.confirmed,
        encrypted: record.encrypted,
        simulated: record.simulated,
        backfilled: record.backfilled,
        data_rate: record.radio.data_rate.clone(),
        airtime: record.radio.airtime.and_then(raw),
    }
}

fn told<'a>(record: &'a UplinkRecord, id_end: Option<&'a str>) -> Told<'a> {
    Told {
        id_end: id_end.map(Cow::from),
        fields: record.fields.as_deref().map(Cow::Borrowed),
        normalized: record.normalized.as_deref().map(Cow::Borrowed),
        codec_error: record.codec_error.as_deref().map(Cow::from),
        warnings: record.warnings.iter().map(|warning| warning.as_str().into()).collect(),
        frequency: record.radio.frequency,
        packet_error_rate: record.radio.packet_error_rate.and_then(raw),
        locations: record.locations.as_deref().map(Cow::Borrowed),
        battery_percentage: record.battery_percentage.and_then(raw),
    }
}

/// The session in an uplink's id, and what follows it if that is not the counter alone: a time, or all of it.
fn take_apart(record: &UplinkRecord) -> (&str, Option<&str>) {
    let own = record.id.strip_prefix(&record.key.to_string()).and_then(|rest| rest.strip_prefix('/'));
    let rest = own.unwrap_or(&record.id);
    let counter = format!("/{}", record.f_cnt);
    let is_session = |session: &str| session.parse::<Timestamp>().is_err();
    if let Some(session) = rest.strip_suffix(&counter).filter(|session| is_session(session)) {
        return (session, None);
    }
    let before_time = rest.rfind('/').and_then(|time| rest[..time].strip_suffix(&counter));
    match before_time.filter(|session| is_session(session)) {
        Some(session) => (session, Some(&rest[session.len()..])),
        None => ("", Some(rest)),
    }
}

/// JSON as what stays when its values change, and the values: all but keys and punctuation.
fn split(json: &str) -> (String, String) {
    let (mut skeleton, mut values) = (String::with_capacity(json.len()), String::new());
    let (mut rest, mut is_first) = (json, true);
    while let Some(first) = rest.chars().next() {
        let (token, after) = rest.split_at(token(rest));
        let is_key = first == '"' && after.trim_ascii_start().starts_with(':');
        if is_key || is_punctuation(first) {
            skeleton.push_str(token);
        } else {
            if !std::mem::take(&mut is_first) {
                values.push(HOLE);
            }
            skeleton.push(HOLE);
            values.push_str(token);
        }
        rest = after;
    }
    (skeleton, values)
}

/// JSON out of its parts.
fn join(skeleton: &str, values: &str) -> String {
    let mut json = String::with_capacity(skeleton.len() + values.len());
    let mut values = values.split(HOLE);
    for (index, piece) in skeleton.split(HOLE).enumerate() {
        if index > 0 {
            json.push_str(values.next().unwrap_or("null"));
        }
        json.push_str(piece);
    }
    json
}

/// How long the first token is: a text, a number or a word, or one sign.
fn token(text: &str) -> usize {
    let bytes = text.as_bytes();
    if bytes[0] == b'"' {
        let mut at = 1;
        while at < bytes.len() && bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        return (at + 1).min(bytes.len());
    }
    let first = text.chars().next().map_or(1, char::len_utf8);
    if is_punctuation(char::from(bytes[0])) {
        return first;
    }
    text.find(|sign| is_punctuation(sign) || sign == '"').unwrap_or(bytes.len())
}

fn is_punctuation(sign: char) -> bool {
    matches!(sign, '{' | '}' | '[' | ']' | ',' | ':' | ' ' | '\t' | '\n' | '\r')
}

/// None: it is no number that JSON knows, which is what a publisher makes of it too.
fn raw(number: f64) -> Option<Cow<'static, RawValue>> {
    number.is_finite().then(|| to_raw_value(&number).ok().map(Cow::Owned)).flatten()
}

fn number(raw: Cow<'_, RawValue>) -> Option<f64> {
    raw.get().parse().ok()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our own types have string keys and always serialise")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::model::{HomeName, Uplink};

    fn record(id: &str, fields: &str) -> UplinkRecord {
        let Uplink { key, ids, at, f_port, f_cnt, payload, .. } = *Uplink::sample("node", 12, 5);
        let gateway = |id: &str, rssi, location: Option<&str>| Gateway {
            id: id.into(),
            eui: Some("AA".into()),
            rssi,
            snr: -7.25,
            location: location.map(|text| RawValue::from_string(text.into()).unwrap()),
        };
        let (near, far) = (gateway("near", -40.0, Some(r#"{"latitude": 52.10}"#)), gateway("far", -119.5, None));
        let data_rate = DataRate { spreading_factor: Some(7), bandwidth: Some(125_000), bit_rate: None };
        let raw = |text: &str| Some(RawValue::from_string(text.into()).unwrap());
        UplinkRecord {
            id: id.into(),
            key,
            ids,
            at,
            f_port,
            f_cnt,
            payload,
            fields: raw(fields),
            normalized: raw(r#"[{"air":{"temperature":21.50}}, {"battery":3}]"#),
            codec: Some("a/b".into()),
            codec_error: Some("no \"x\"\n".into()),
            warnings: vec!["one, two".into()],
            confirmed: true,
            encrypted: false,
            simulated: false,
            backfilled: true,
            radio: Radio {
                gateways: vec![near, far],
                data_rate,
                frequency: Some(868_100_000),
                airtime: Some(0.056_576),
                packet_error_rate: Some(0.1 + 0.2),
            },
            locations: raw(r#"{"user":{"latitude":1e1,"source":"X"}}"#),
            battery_percentage: Some(98.425_19),
        }
    }

    /// Packs and unpacks.
    fn back(record: &UplinkRecord) -> UplinkRecord {
        let packed = Packed::of(record);
        let gateways = packed.gateways.iter().map(|(text, rssi, snr)| gateway(text, *rssi, *snr).unwrap()).collect();
        let own = Own { at: record.at, f_cnt: record.f_cnt, payload: record.payload.clone(), gateways };
        unpack(&record.key, own, &packed.owner, &packed.form, &packed.values).unwrap()
    }

    fn body(record: &UplinkRecord) -> String {
        json(&record.body(&HomeName::parse("lamp").unwrap()))
    }

    #[test]
    fn an_uplink_reads_as_it_was_published_to_the_last_digit() {
        let fields =
            r#"{"t":21.50,"text":"a \"b\", {c}:\\","on":true,"none":null,"list":[1, [2]],"o":{},"s":{"x":-1e-3}}"#;
        for id in ["app/node/a/12/b/12", "app/node/s/12/2026-01-01T00:00:00Z", "app/node/2026-01-01T00:00:00Z/12", "x"]
        {
            let full = record(id, fields);
            let whole = if id == "x" { format!("app/node/{id}") } else { id.into() };
            assert_eq!(body(&back(&full)), body(&UplinkRecord { id: whole, ..full }));
        }
        let bare = UplinkRecord {
            fields: None,
            normalized: None,
            codec: None,
            codec_error: None,
            warnings: vec![],
            radio: Radio::default(),
            locations: None,
            battery_percentage: None,
            f_port: None,
            ..record("app/node/s/12", "{}")
        };
        assert_eq!(body(&back(&bare)), body(&bare));
    }

    #[test]
    fn uplinks_that_differ_in_their_values_have_one_form_and_one_owner() {
        let (one, two) =
            (record("app/node/s/12", r#"{"t":1,"a":"x"}"#), record("app/node/s/12", r#"{"t":-22.5,"a":""}"#));
        let (one, two) = (Packed::of(&one), Packed::of(&UplinkRecord { warnings: vec!["other".into()], ..two }));
        assert_eq!((&one.form, &one.owner), (&two.form, &two.owner));
        assert!(one.values.starts_with("1\u{1f}\"x\"\u{1f}21.50\u{1f}"), "{:?}", one.values);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[\"\\\\{}:,\u{0}-\u{1f}]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,6}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_comes_back_from_its_parts(json in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&json).unwrap() } else { json.to_string() };
            let (skeleton, values) = split(&text);
            prop_assert_eq!(join(&skeleton, &values), text);
        }
    }
}
