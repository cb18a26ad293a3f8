//! Reads what a codec's functions return: errors, warnings, data, bytes and port.

use rquickjs::{Coerced, Object, Value};

use super::fault::Fault;
use super::host::Host;
use super::to_json::{self, kind};
use crate::codec::{Decoded, Encoded};
use crate::error::CodecError;

/// The longest application payload any regional parameters allow, in bytes (LoRaWAN Regional Parameters, EU868 DR4 to 7).
const LONGEST_PAYLOAD: usize = 242;

/// How many warnings or errors of a codec are kept.
const MOST_MESSAGES: usize = 16;

/// `{data, warnings, errors}`, as `decodeUplink` and `decodeDownlink` return it.
pub(super) fn decoded<'js>(host: &Host<'js>, result: Value<'js>) -> Result<Decoded, Fault> {
    let result = checked_object(host, result)?;
    let mut decoded = legacy_decoded(host, result.get("data")?)?;
    decoded.warnings.splice(0..0, messages(host, &result, "warnings")?);
    Ok(decoded)
}

/// The bare data, as the old `Decoder(bytes, port)` returns it.
pub(super) fn legacy_decoded<'js>(host: &Host<'js>, data: Value<'js>) -> Result<Decoded, Fault> {
    let json = to_json::object_json(host, "data", data)?;
    Ok(Decoded { data: json.text, warnings: json.warnings })
}

/// `{data, warnings, errors}` of `normalizeUplink`: a JSON list of measurements, and warnings.
pub(super) fn normalized<'js>(host: &Host<'js>, result: Value<'js>) -> Result<to_json::Json, Fault> {
    let result = checked_object(host, result)?;
    let data: Value = result.get("data")?;
    if !data.is_object() || data.is_function() || data.is_promise() {
        return Err(CodecError::NotAnObject { what: "data", got: kind(&data) }.into());
    }
    let mut json = to_json::list_json(host, "normalized", data)?;
    json.warnings.splice(0..0, messages(host, &result, "warnings")?);
    Ok(json)
}

/// `{bytes, fPort, warnings, errors}`, as `encodeDownlink` returns it.
pub(super) fn encoded<'js>(host: &Host<'js>, result: Value<'js>) -> Result<Encoded, Fault> {
    let result = checked_object(host, result)?;
    let mut warnings = messages(host, &result, "warnings")?;
    let port: Option<Coerced<f64>> = result.get("fPort")?;
    let bytes = bytes(host, result.get("bytes")?, &mut warnings)?;
    // Port 0 is LoRaWAN's own: from a codec it means that it names none.
    Ok(Encoded { bytes, f_port: port.map(|port| to_uint8(port.0)).filter(|port| *port != 0), warnings })
}

/// The bare bytes, as the old `Encoder(data, port)` returns them.
pub(super) fn legacy_encoded<'js>(host: &Host<'js>, result: Value<'js>) -> Result<Encoded, Fault> {
    let mut warnings = Vec::new();
    Ok(Encoded { bytes: bytes(host, result, &mut warnings)?, f_port: None, warnings })
}

/// The result as an object, after its own `errors` had their say.
fn checked_object<'js>(host: &Host<'js>, result: Value<'js>) -> Result<Object<'js>, Fault> {
    let is_result = result.is_object() && !(result.is_function() || result.is_promise() || result.is_array());
    let object = result.as_object().filter(|_| is_result);
    let object = object.ok_or(CodecError::NotAnObject { what: "result", got: kind(&result) })?;
    let errors = messages(host, object, "errors")?;
    if errors.is_empty() { Ok(object.clone()) } else { Err(CodecError::Reported { errors }.into()) }
}

/// The texts in a list of the result. None is none; what is no list is an error, as on The Things Stack.
fn messages<'js>(host: &Host<'js>, result: &Object<'js>, key: &str) -> Result<Vec<String>, Fault> {
    let list: Value = result.get(key)?;
    if list.is_null() || list.is_undefined() {
        return Ok(Vec::new());
    }
    let Some(list) = list.as_object().filter(|list| list.is_array()) else {
        let reason = format!("must be a list, not {}", kind(&list));
        return Err(CodecError::BadResult { path: key.to_owned(), reason }.into());
    };
    let length = length(list)?.min(MOST_MESSAGES);
    (0..length).map(|index| host.short_text(list.get(index as u32)?)).collect()
}

/// Bytes from a list (each modulo 256, as ToUint8 does), a typed array, or the characters of a string.
fn bytes<'js>(host: &Host<'js>, value: Value<'js>, warnings: &mut Vec<String>) -> Result<Vec<u8>, Fault> {
    if let Some(string) = value.as_string() {
        return short_enough(host.text(string)?.into_bytes());
    }
    let object = value.as_object().filter(|_| !value.is_function()).map(|object| host.plain(object)).transpose()?;
    let Some(list) = object.as_ref().and_then(Value::as_object).filter(|list| list.is_array()) else {
        return Err(bad_bytes(format!("must be a list of numbers, not {}", kind(&value))));
    };
    let length = length(list)?;
    if length > LONGEST_PAYLOAD {
        return Err(too_long(length));
    }
    let mut bytes = Vec::with_capacity(length);
    for index in 0..length {
        let Coerced(number) = list.get::<_, Coerced<f64>>(index as u32)?;
        if !number.is_finite() {
            warnings.push(format!("bytes[{index}] is no number, sent as 0"));
        }
        bytes.push(to_uint8(number));
    }
    Ok(bytes)
}

fn short_enough(bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if bytes.len() > LONGEST_PAYLOAD { Err(too_long(bytes.len())) } else { Ok(bytes) }
}

fn too_long(length: usize) -> Fault {
    bad_bytes(format!("hold {length} bytes, and LoRaWAN carries {LONGEST_PAYLOAD} at most"))
}

fn bad_bytes(reason: String) -> Fault {
    CodecError::BadResult { path: "bytes".to_owned(), reason }.into()
}

fn length(list: &Object<'_>) -> Result<usize, Fault> {
    Ok(list.get::<_, f64>("length")? as usize)
}

/// ECMAScript's ToUint8: towards zero, then modulo 256; what is no number is 0.
fn to_uint8(number: f64) -> u8 {
    if number.is_finite() { number.trunc().rem_euclid(256.0) as u8 } else { 0 }
}
