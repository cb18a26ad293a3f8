//! What push and replace accept: the JSON of a downlink request, read as each face reads it.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::messages::Failure;
use super::queue::{Downlink, Priority, Retry};

/// Longest FRMPayload the request's own validation lets pass, in bytes; the band's limit is checked later.
const MAX_BYTES: usize = 255;
const MAX_CORRELATION_ID: usize = 100;
const MAX_ATTEMPTS: u32 = 32;

/// Which face a request came through: they differ in how they take an unknown enum name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Unknown priorities become the lowest, in silence.
    Mqtt,
    /// Unknown priorities are an error.
    Http,
}

/// Why a request is not taken at all.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Not the JSON of a request; answered without details.
    #[error("unmarshal error: {0}")]
    Syntax(String),
    #[error(transparent)]
    Failure(#[from] Failure),
}

/// Reads `{"downlinks":[…]}`. Items without a port have `f_port` 0, for the Application Server to refuse.
pub fn parse(body: &[u8], face: Face) -> Result<Vec<Downlink>, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|error| Refusal::Syntax(error.to_string()))?;
    let Value::Object(fields) = body else { return Err(syntax("request", "an object")) };
    match field(&fields, "downlinks", "downlinks") {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|item| downlink(item, face)).collect(),
        Some(_) => Err(syntax("downlinks", "a list")),
    }
}

fn downlink(item: &Value, face: Face) -> Result<Downlink, Refusal> {
    let Value::Object(fields) = item else { return Err(syntax("downlinks", "objects")) };
    let confirmed = flag(fields, "confirmed")?;
    let payload = payload(fields)?;
    let decoded_payload = field(fields, "decoded_payload", "decodedPayload").cloned();
    if payload.is_empty() && decoded_payload.is_none() {
        return Err(Failure::no_payload().into());
    }
    Ok(Downlink {
        f_port: f_port(fields)?,
        // A raw payload wins over a decoded one. Without a formatter a decoded one becomes an empty frame.
        decoded_payload: decoded_payload.filter(|_| payload.is_empty()),
        payload,
        confirmed,
        priority: priority(fields, face)?,
        class_b_c: field(fields, "class_b_c", "classBC").cloned(),
        retry: retry(fields, confirmed)?,
        f_cnt: number(fields, "f_cnt", "fCnt")?,
        session_key_id: session_key_id(fields)?,
        correlation_ids: correlation_ids(fields)?,
    })
}

fn f_port(fields: &Map<String, Value>) -> Result<u8, Refusal> {
    let number = number(fields, "f_port", "fPort")?.unwrap_or(0);
    match u8::try_from(number) {
        Ok(224) => Err(Failure::validation("downlinks[0].f_port", "value must not be 224").into()),
        Ok(port) => Ok(port),
        Err(_) => Err(Failure::validation("downlinks[0].f_port", "value must be less than or equal to 255").into()),
    }
}

fn payload(fields: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
    let text = match field(fields, "frm_payload", "frmPayload") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => text.replace('-', "+").replace('_', "/"),
        Some(_) => return Err(syntax("frm_payload", "base64")),
    };
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&alphabet::STANDARD, lenient).decode(text);
    let bytes = bytes.map_err(|_| syntax("frm_payload", "base64"))?;
    if bytes.len() > MAX_BYTES {
        return Err(Failure::validation("downlinks[0].frm_payload", "value length must be at most 255 bytes").into());
    }
    Ok(bytes)
}

fn priority(fields: &Map<String, Value>, face: Face) -> Result<Priority, Refusal> {
    const ORDER: [(&str, Priority); 7] = [
        ("LOWEST", Priority::Lowest),
        ("LOW", Priority::Low),
        ("BELOW_NORMAL", Priority::BelowNormal),
        ("NORMAL", Priority::Normal),
        ("ABOVE_NORMAL", Priority::AboveNormal),
        ("HIGH", Priority::High),
        ("HIGHEST", Priority::Highest),
    ];
    let named = match field(fields, "priority", "priority") {
        None => return Ok(Priority::default()),
        Some(Value::String(name)) => ORDER.iter().find(|(known, _)| known == name),
        Some(value) => value.as_u64().and_then(|index| ORDER.get(usize::try_from(index).ok()?)),
    };
    match (named, face) {
        (Some((_, priority)), _) => Ok(*priority),
        (None, Face::Mqtt) => Ok(Priority::default()),
        (None, Face::Http) => Err(Refusal::Syntax("unknown value for enum ttn.lorawan.v3.TxSchedulePriority".into())),
    }
}

fn retry(fields: &Map<String, Value>, confirmed: bool) -> Result<Option<Retry>, Refusal> {
    let given = match field(fields, "confirmed_retry", "confirmedRetry") {
        None => return Ok(confirmed.then_some(Retry { attempt: 1, max_attempts: None })),
        Some(Value::Object(given)) => given,
        Some(_) => return Err(syntax("confirmed_retry", "an object")),
    };
    let attempt = number(given, "attempt", "attempt")?.unwrap_or(0);
    let max_attempts = number(given, "max_attempts", "maxAttempts")?;
    if max_attempts.is_some_and(|max| !(1..=MAX_ATTEMPTS).contains(&max)) {
        let text = "maximum number of retries is invalid";
        return Err(Failure::new(3, "pkg/applicationserver", "downlink_max_retries_invalid", text).into());
    }
    Ok(Some(Retry { attempt, max_attempts }))
}

fn session_key_id(fields: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    match field(fields, "session_key_id", "sessionKeyId") {
        None => Ok(None),
        Some(Value::String(id)) => Ok(Some(id.clone())),
        Some(_) => Err(syntax("session_key_id", "base64")),
    }
}

fn correlation_ids(fields: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let ids = match field(fields, "correlation_ids", "correlationIds") {
        None => return Ok(Vec::new()),
        Some(ids) => serde_json::from_value::<Vec<String>>(ids.clone()),
    };
    let ids = ids.map_err(|_| syntax("correlation_ids", "a list of strings"))?;
    if ids.iter().any(|id| id.chars().count() > MAX_CORRELATION_ID) {
        let field = "downlinks[0].correlation_ids[0]";
        return Err(Failure::validation(field, "value length must be at most 100 runes").into());
    }
    Ok(ids)
}

/// Protobuf JSON takes numbers as strings too.
fn number(fields: &Map<String, Value>, name: &str, camel: &str) -> Result<Option<u32>, Refusal> {
    let number = match field(fields, name, camel) {
        None => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    number.map(Some).ok_or_else(|| syntax(name, "a number"))
}

fn flag(fields: &Map<String, Value>, name: &str) -> Result<bool, Refusal> {
    match field(fields, name, name) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| syntax(name, "true or false")),
    }
}

/// A field by its own name or its camelCase one; `null` counts as absent.
fn field<'a>(fields: &'a Map<String, Value>, name: &str, camel: &str) -> Option<&'a Value> {
    fields.get(name).or_else(|| fields.get(camel)).filter(|value| !value.is_null())
}

fn syntax(name: &str, expected: &str) -> Refusal {
    Refusal::Syntax(format!("{name}: expected {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse_one(item: Value, face: Face) -> Result<Downlink, Refusal> {
        let body = json!({"downlinks": [item]}).to_string();
        parse(body.as_bytes(), face).map(|mut items| items.remove(0))
    }

    #[test]
    fn odd_but_accepted_spellings_mean_the_same() {
        let plain = parse_one(json!({"f_port": 5, "frm_payload": "+/8="}), Face::Http).unwrap();
        assert_eq!((plain.f_port, &plain.payload[..]), (5, &[0xfb, 0xff][..]));
        let odd = json!({"fPort": "5", "frmPayload": "-_8", "unknown": 1});
        assert_eq!(parse_one(odd, Face::Mqtt).unwrap(), plain);
    }

    #[test]
    fn an_unknown_priority_is_the_lowest_over_mqtt_and_an_error_over_http() {
        let item = json!({"f_port": 5, "frm_payload": "AQ==", "priority": "normal"});
        assert_eq!(parse_one(item.clone(), Face::Mqtt).unwrap().priority, Priority::Lowest);
        assert!(matches!(parse_one(item, Face::Http), Err(Refusal::Syntax(_))));
        let known = json!({"f_port": 5, "frm_payload": "AQ==", "priority": 6});
        assert_eq!(parse_one(known, Face::Http).unwrap().priority, Priority::Highest);
    }

    #[test]
    fn requests_outside_the_rules_are_refused_whole() {
        let long = "x".repeat(101);
        let refused = [
            json!({"f_port": 224, "frm_payload": "AQ=="}),
            json!({"f_port": 256, "frm_payload": "AQ=="}),
            json!({"f_port": 1, "frm_payload": "%"}),
            json!({"f_port": 1, "frm_payload": "A".repeat(344)}),
            json!({"f_port": 1}),
            json!({"f_port": 1, "frm_payload": ""}),
            json!({"f_port": 1, "frm_payload": "AQ==", "correlation_ids": [long]}),
            json!({"f_port": 1, "frm_payload": "AQ==", "confirmed": true, "confirmed_retry": {"max_attempts": 33}}),
            json!({"f_port": 1, "frm_payload": "AQ==", "confirmed": "yes"}),
        ];
        for item in refused {
            assert!(parse_one(item.clone(), Face::Http).is_err(), "{item}");
        }
        for body in ["", "[]", "{", "{\"downlinks\":1}"] {
            assert!(parse(body.as_bytes(), Face::Mqtt).is_err(), "{body}");
        }
    }

    #[test]
    fn an_empty_request_is_an_empty_list() {
        assert_eq!(parse(b"{}", Face::Mqtt), Ok(Vec::new()));
    }

    #[test]
    fn a_confirmed_downlink_counts_from_one_unless_it_brings_its_own_counter() {
        let confirmed = |retry: Value| {
            let item = json!({"f_port": 1, "frm_payload": "AQ==", "confirmed": true, "confirmed_retry": retry});
            parse_one(item, Face::Http).unwrap().retry
        };
        assert_eq!(confirmed(Value::Null), Some(Retry { attempt: 1, max_attempts: None }));
        assert_eq!(confirmed(json!({"max_attempts": 2})), Some(Retry { attempt: 0, max_attempts: Some(2) }));
    }
}
