//! One downlink as the home writes it: the JSON of `downlink/push` and `downlink/replace`.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::refusal::Refusal;
use crate::model::{
    DownlinkId, DownlinkRequest, FPort, InvalidDownlink, MAX_PAYLOAD, Payload, Priority, did_you_mean, duration,
};

/// Every key a downlink may have.
const KEYS: [&str; 12] = [
    "f_port",
    "payload_hex",
    "payload_base64",
    "payload_text",
    "fields",
    "confirmed",
    "priority",
    "expires_in",
    "supersedes",
    "not_before",
    "attempts",
    "id",
];
const PAYLOAD_KEYS: [&str; 4] = ["payload_hex", "payload_base64", "payload_text", "fields"];
/// Longest `supersedes` key, in characters.
const LONGEST_KEY: usize = 64;
/// Most transmissions of a confirmed downlink that The Things Stack takes.
const MOST_ATTEMPTS: u8 = 32;
const LONGEST_EXPIRY: Duration = Duration::from_secs(366 * 24 * 3600);

/// A JSON object, its values still as they were written: numbers keep their digits on the way to the codec.
pub type Object = BTreeMap<String, Box<RawValue>>;

/// The same for those who want to be shown them: one of the payloads, the rest if wanted.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is wanted")]
pub struct DownlinkKeys {
    /// With bytes it is needed; with `fields` the codec may choose it.
    #[schemars(range(min = 1, max = 223))]
    f_port: Option<u8>,
    /// 1 to 242 bytes: `01FF`, `01 ff`, `0x01 0xff`.
    payload_hex: Option<String>,
    payload_base64: Option<String>,
    payload_text: Option<String>,
    /// What the device's codec encodes.
    fields: Option<serde_json::Map<String, serde_json::Value>>,
    /// Whether the device shall acknowledge it.
    confirmed: Option<bool>,
    priority: Option<Priority>,
    /// Given up if it was not sent by then: `30m`, or seconds.
    #[schemars(with = "Option<String>")]
    expires_in: Option<Duration>,
    /// Of the waiting downlinks with the same key only the newest is sent.
    #[schemars(length(min = 1, max = 64))]
    supersedes: Option<String>,
    not_before: Option<Timestamp>,
    /// Transmissions at most of a confirmed one.
    #[schemars(range(min = 1, max = 32))]
    attempts: Option<u8>,
    /// Its id; a random one without it.
    id: Option<DownlinkId>,
}

/// One downlink out of its object.
pub fn downlink(object: &Object) -> Result<DownlinkRequest, Refusal> {
    known_keys(object)?;
    let f_port = get::<u64>(object, "f_port", "a number from 1 to 223")?.map(FPort::new).transpose()?;
    let payload = payload(object)?;
    if f_port.is_none() && matches!(payload, Payload::Bytes(_)) {
        return Err(Refusal::new("`f_port` is missing").hint("with bytes it is needed: 1 to 223"));
    }
    let confirmed = get(object, "confirmed", "true or false")?.unwrap_or(false);
    let priority = get::<String>(object, "priority", "a string")?.map(|text| text.parse()).transpose()?;
    let id = get::<String>(object, "id", "a string")?.map(|id| DownlinkId::parse(&id)).transpose()?;
    Ok(DownlinkRequest {
        id,
        f_port,
        payload,
        confirmed,
        priority: priority.unwrap_or_default(),
        attempts: attempts(object, confirmed)?,
        expires_in: expires_in(object)?,
        not_before: get::<Timestamp>(object, "not_before", "a time such as \"2026-11-21T06:00:00Z\"")?,
        supersedes: supersedes(object)?,
    })
}

fn known_keys(object: &Object) -> Result<(), Refusal> {
    let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) else { return Ok(()) };
    Err(Refusal::new(format!("`{}` is no key of a downlink", clip(unknown))).hint(did_you_mean(unknown, &KEYS)))
}

fn payload(object: &Object) -> Result<Payload, Refusal> {
    let given: Vec<_> = PAYLOAD_KEYS.into_iter().filter(|key| object.contains_key(*key)).collect();
    let [key] = given[..] else {
        let reason = if given.is_empty() { "no payload".into() } else { format!("{} at once", given.join(" and ")) };
        return Err(Refusal::new(reason).hint(format!("give exactly one of {}", PAYLOAD_KEYS.join(", "))));
    };
    if key == "fields" {
        let fields = get::<Box<RawValue>>(object, key, "an object")?.filter(|fields| fields.get().starts_with('{'));
        return fields.map(Payload::Fields).ok_or_else(|| Refusal::new("`fields` is no JSON object"));
    }
    let text = get::<String>(object, key, "a string")?.unwrap_or_default();
    let bytes = match key {
        "payload_hex" => from_hex(&text),
        "payload_base64" => from_base64(&text),
        _ => Some(text.into_bytes()),
    };
    let bytes = bytes.ok_or_else(|| Refusal::new(format!("`{key}` is malformed")).hint(EXAMPLES))?;
    checked(bytes).map(Payload::Bytes).map_err(Refusal::from)
}

const EXAMPLES: &str = "bytes 01 FF are \"01FF\", \"01 ff\" or \"0x01 0xff\" in hex and \"Af8=\" in base64";

/// Bytes that a frame can carry: 1 to [`MAX_PAYLOAD`].
pub fn checked(bytes: Vec<u8>) -> Result<Vec<u8>, InvalidDownlink> {
    match bytes.len() {
        0 => Err(InvalidDownlink::Empty),
        1..=MAX_PAYLOAD => Ok(bytes),
        length => Err(InvalidDownlink::TooLong(length)),
    }
}

/// `01FF`, `01 ff`, `01:FF`, `0x01 0xFF`: every group whole bytes.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let groups = text.split(|c: char| c == ':' || c.is_whitespace()).filter(|group| !group.is_empty());
    let digits = groups.map(|group| group.strip_prefix("0x").or(group.strip_prefix("0X")).unwrap_or(group));
    digits.map(|digits| hex::decode(digits).ok()).collect::<Option<Vec<_>>>().map(|groups| groups.concat())
}

/// Standard and URL alphabet, with or without padding.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    engine.decode(text.trim().replace('-', "+").replace('_', "/")).ok()
}

fn attempts(object: &Object, confirmed: bool) -> Result<Option<u8>, Refusal> {
    let range = "a number from 1 to 32";
    match get::<u8>(object, "attempts", range)? {
        Some(1..=MOST_ATTEMPTS) if !confirmed => Err(Refusal::new("`attempts` without `confirmed`")
            .hint("only a confirmed downlink is tried again: add \"confirmed\": true")),
        Some(attempts @ 1..=MOST_ATTEMPTS) => Ok(Some(attempts)),
        Some(_) => Err(wrong("attempts", range)),
        None => Ok(None),
    }
}

/// `"30m"` or seconds.
fn expires_in(object: &Object) -> Result<Option<Duration>, Refusal> {
    let expected = "a duration such as \"30m\", or a number of seconds, at most a year";
    let Some(raw) = object.get("expires_in").filter(|raw| raw.get() != "null") else { return Ok(None) };
    let span = match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => duration::parse(&text),
        Err(_) => raw.get().parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    let span = span.filter(|span| !span.is_zero() && *span <= LONGEST_EXPIRY);
    span.map(Some).ok_or_else(|| wrong("expires_in", expected))
}

fn supersedes(object: &Object) -> Result<Option<String>, Refusal> {
    let expected = "a string of 1 to 64 characters";
    let key = get::<String>(object, "supersedes", expected)?;
    let fits = key.as_ref().is_none_or(|key| (1..=LONGEST_KEY).contains(&key.chars().count()));
    if fits { Ok(key) } else { Err(wrong("supersedes", expected)) }
}

/// A key's value; `null` is as good as none.
fn get<T: DeserializeOwned>(object: &Object, key: &'static str, expected: &str) -> Result<Option<T>, Refusal> {
    let Some(raw) = object.get(key) else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| wrong(key, expected))
}

fn wrong(key: &str, expected: &str) -> Refusal {
    Refusal::new(format!("`{key}` must be {expected}"))
}

/// What an answer repeats of a stranger's text.
pub fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<DownlinkRequest, Refusal> {
        downlink(&serde_json::from_str(json).unwrap())
    }

    fn bytes(json: &str) -> Vec<u8> {
        match parse(json).unwrap().payload {
            Payload::Bytes(bytes) => bytes,
            Payload::Fields(fields) => panic!("{fields}"),
        }
    }

    #[test]
    fn every_key_is_shown() {
        let shown = schemars::schema_for!(DownlinkKeys).to_value();
        let mut shown: Vec<_> = shown["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut keys = KEYS;
        shown.sort_unstable();
        keys.sort_unstable();
        assert_eq!(shown, keys);
    }

    #[test]
    fn bytes_may_be_written_in_every_usual_way() {
        for hex in ["01FF", "01 ff", "01:Ff", "0x01FF", "0x01 0xff", " 01  FF "] {
            assert_eq!(bytes(&format!(r#"{{"f_port":1,"payload_hex":"{hex}"}}"#)), [1, 255], "{hex}");
        }
        for base64 in ["+/8=", "-_8=", "-_8", "+/8"] {
            assert_eq!(bytes(&format!(r#"{{"f_port":1,"payload_base64":"{base64}"}}"#)), [0xfb, 0xff], "{base64}");
        }
        assert_eq!(bytes(r#"{"f_port":1,"payload_text":"LED on"}"#), b"LED on");
    }

    #[test]
    fn everything_a_downlink_may_say_is_understood() {
        let all = r#"{"f_port":7,"fields":{"led":1.50},"confirmed":true,"priority":"HIGH","expires_in":"1h 30m",
            "supersedes":"led","not_before":"2026-11-21T06:00:00Z","attempts":3,"id":"lamp-1"}"#;
        let request = parse(all).unwrap();
        assert!(matches!(&request.payload, Payload::Fields(fields) if fields.get() == r#"{"led":1.50}"#));
        assert_eq!((request.confirmed, request.priority, request.attempts), (true, Priority::High, Some(3)));
        assert_eq!(request.expires_in, Some(Duration::from_secs(5400)));
        assert_eq!(request.supersedes.as_deref(), Some("led"));
        assert_eq!(request.id.unwrap().as_str(), "lamp-1");
        for (given, seconds) in [("90", 90), ("\"2d\"", 172_800)] {
            let request = parse(&format!(r#"{{"fields":{{}},"expires_in":{given}}}"#)).unwrap();
            assert_eq!(request.expires_in, Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!(r#"{{"f_port":1,"payload_hex":"{}"}}"#, "00".repeat(243));
        let cases = [
            (r#"{"fport":1,"payload_hex":"00"}"#, "`fport` is no key", "did you mean `f_port`?"),
            (r#"{"zzz":1,"payload_hex":"00"}"#, "`zzz` is no key", "known here: f_port"),
            (r#"{"payload_hex":"00"}"#, "`f_port` is missing", "1 to 223"),
            (r#"{"f_port":224,"payload_hex":"00"}"#, "f_port 224 is out of range", ""),
            (r#"{"f_port":"1","payload_hex":"00"}"#, "`f_port` must be a number", ""),
            (r#"{"f_port":1}"#, "no payload", "exactly one of payload_hex"),
            (r#"{"f_port":1,"payload_hex":"00","fields":{}}"#, "payload_hex and fields at once", "exactly one"),
            (r#"{"f_port":1,"payload_hex":"0"}"#, "`payload_hex` is malformed", "01FF"),
            (r#"{"f_port":1,"payload_hex":"1 2"}"#, "`payload_hex` is malformed", "01FF"),
            (r#"{"f_port":1,"payload_base64":"*"}"#, "`payload_base64` is malformed", "Af8="),
            (r#"{"f_port":1,"payload_hex":""}"#, "the payload is empty", ""),
            (&long, "the payload is 243 bytes", ""),
            (r#"{"f_port":1,"fields":[1]}"#, "`fields` is no JSON object", ""),
            (r#"{"f_port":1,"payload_hex":"00","priority":"high"}"#, "priority `high` is unknown", ""),
            (r#"{"f_port":1,"payload_hex":"00","attempts":3}"#, "`attempts` without `confirmed`", "confirmed"),
            (r#"{"f_port":1,"payload_hex":"00","confirmed":true,"attempts":33}"#, "`attempts` must be", ""),
            (r#"{"f_port":1,"payload_hex":"00","expires_in":-1}"#, "`expires_in` must be", ""),
            (r#"{"f_port":1,"payload_hex":"00","expires_in":"soon"}"#, "`expires_in` must be", ""),
            (r#"{"f_port":1,"payload_hex":"00","expires_in":1e300}"#, "`expires_in` must be", ""),
            (r#"{"f_port":1,"payload_hex":"00","not_before":"tomorrow"}"#, "`not_before` must be", ""),
            (r#"{"f_port":1,"payload_hex":"00","supersedes":""}"#, "`supersedes` must be", ""),
            (r#"{"f_port":1,"payload_hex":"00","id":"a b"}"#, "id `a b` does not fit", ""),
        ];
        for (json, reason, hint) in cases {
            let refusal = parse(json).unwrap_err();
            assert!(refusal.reason.starts_with(reason), "{json}: {}", refusal.reason);
            assert!(refusal.hint.unwrap_or_default().contains(hint), "{json}");
        }
    }
}
