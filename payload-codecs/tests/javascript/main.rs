//! The JavaScript engine from outside: what scripts may do, what their values become, and that bad ones do no harm.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod coercions;
mod host;
mod hostile;
mod isolation;
mod lifecycle;
mod lint;

use std::sync::Arc;
use std::time::Duration;

use payload_codecs::{
    Codec, CodecError, Decoded, DownlinkInput, Encoded, Limits, Reading, Source, UplinkInput, load, read_uplink,
};
use serde_json::Value;
use serde_json::value::to_raw_value;

/// Ample for a busy test machine; tests that mean to run into the limit set their own.
const PATIENT: Limits = Limits { time: Duration::from_secs(20), memory: 8 << 20, stack: 256 << 10 };

fn source(script: &str) -> Source {
    Source::JavaScript { name: Arc::from("test.js"), script: Arc::from(script) }
}

fn loaded(script: &str) -> Box<dyn Codec> {
    load(&source(script), &PATIENT).unwrap()
}

fn load_error(script: &str) -> CodecError {
    load(&source(script), &PATIENT).err().expect("the script must not load")
}

fn uplink(codec: &mut dyn Codec, bytes: &[u8]) -> Result<Decoded, CodecError> {
    codec.decode_uplink(&UplinkInput { bytes, f_port: 7, recv_time_ms: Some(1_700_000_000_123) })
}

/// An uplink decoded and normalized.
fn reading(codec: &mut dyn Codec) -> Reading {
    read_uplink(codec, &UplinkInput { bytes: &[], f_port: 7, recv_time_ms: None }).unwrap()
}

fn downlink(codec: &mut dyn Codec, data: &Value, f_port: Option<u8>) -> Result<Encoded, CodecError> {
    codec.encode_downlink(&DownlinkInput { data: &to_raw_value(data).unwrap(), f_port })
}

/// What `decodeUplink` makes of its result, given as the expression it returns.
fn returning(expression: &str) -> Result<Decoded, CodecError> {
    uplink(loaded(&format!("function decodeUplink(input) {{ return {expression}; }}")).as_mut(), &[1, 2, 3])
}

fn data(decoded: &Decoded) -> Value {
    serde_json::from_str(decoded.data.get()).unwrap()
}
