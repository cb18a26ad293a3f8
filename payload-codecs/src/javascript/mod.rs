//! Runs a stranger's payload formatter, a script in the dialect of The Things Stack, so that it can neither hang nor harm.
//!
//! Entry points are `decodeUplink`, `encodeDownlink`, `decodeDownlink` and `normalizeUplink`; a script without the first
//! or second may have the older `Decoder(bytes, port)` and `Encoder(data, port)` instead. All scripts of a thread share
//! one [`engine`], which also says how every message gets a fresh state. Scripts have a `console` (read by whoever asks),
//! `atob` and `btoa`, a small `Buffer`, `TextEncoder` and `TextDecoder`; time is UTC. There is no `require`, no timer and no
//! way out.

mod arena;
mod described;
mod engine;
mod fault;
mod host;
mod lint;
mod outcome;
mod prelude;
mod to_json;

use std::fmt::Write as _;
use std::rc::Rc;

use rquickjs::{Function, Value};
use serde_json::value::RawValue;

pub(crate) use self::engine::Engine;
use self::engine::{Call, Entry, Loaded};
use self::fault::Fault;
pub(crate) use self::lint::lint;
use crate::codec::{Codec, Decoded, DownlinkInput, Encoded, Functions, Naming, Normalized, UplinkInput};
use crate::error::CodecError;
use crate::metadata::Field;

/// How many lines of a codec's console wait to be taken; of more, the last are kept.
const MOST_LINES: usize = 64;

/// A loaded script.
pub(crate) struct JavaScript {
    engine: Rc<Engine>,
    loaded: Loaded,
    console: Vec<String>,
}

impl JavaScript {
    /// Compiles and evaluates the script, and sees that it defines something.
    pub fn load(engine: &Rc<Engine>, script: &str) -> Result<Self, CodecError> {
        let mut console = Vec::new();
        let loaded = engine.load(script, &mut console).map_err(|error| match error {
            CodecError::Threw { message, line } => CodecError::Load { message, line },
            other => other,
        })?;
        let codec = Self { engine: Rc::clone(engine), loaded, console };
        if codec.functions() == Functions::default() {
            return Err(CodecError::MissingFunction { wanted: "decodeUplink, encodeDownlink or decodeDownlink" });
        }
        Ok(codec)
    }

    fn call<T: Send>(
        &mut self,
        job: impl for<'js> FnOnce(&Call<'js>) -> Result<T, Fault> + Send,
    ) -> Result<T, CodecError> {
        let outcome = self.engine.call(&self.loaded, &mut self.console, job);
        let surplus = self.console.len().saturating_sub(MOST_LINES);
        self.console.drain(..surplus);
        outcome
    }

    fn naming(&self, current: Entry, older: Option<Entry>) -> Option<Naming> {
        if self.loaded.has(current) {
            Some(Naming::Current)
        } else {
            older.filter(|older| self.loaded.has(*older)).map(|_| Naming::Older)
        }
    }
}

impl Codec for JavaScript {
    fn decode_uplink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.call(|call| decode_uplink(call, input))
    }

    fn normalize_uplink(&mut self, data: &RawValue) -> Result<Option<Normalized>, CodecError> {
        if !self.loaded.has(Entry::NormalizeUplink) {
            return Ok(None);
        }
        self.call(|call| {
            let function = required(call, Entry::NormalizeUplink, "normalizeUplink")?;
            let input = call.parse(&format!(r#"{{"data":{}}}"#, data.get()))?;
            let json = outcome::normalized(&call.host, function.call((input,))?)?;
            Ok(Some(Normalized { measurements: json.text, warnings: json.warnings }))
        })
    }

    fn encode_downlink(&mut self, input: &DownlinkInput<'_>) -> Result<Encoded, CodecError> {
        self.call(|call| encode_downlink(call, input))
    }

    fn decode_downlink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.call(|call| {
            let function = required(call, Entry::DecodeDownlink, "decodeDownlink")?;
            outcome::decoded(&call.host, function.call((payload(call, input)?,))?)
        })
    }

    fn functions(&self) -> Functions {
        Functions {
            decode_uplink: self.naming(Entry::DecodeUplink, Some(Entry::LegacyDecoder)),
            normalize_uplink: self.naming(Entry::NormalizeUplink, None),
            encode_downlink: self.naming(Entry::EncodeDownlink, Some(Entry::LegacyEncoder)),
            decode_downlink: self.naming(Entry::DecodeDownlink, None),
        }
    }

    /// What `getHaDeviceInfo` says. One that fails says nothing: it costs no message.
    fn fields(&mut self) -> Vec<Field> {
        if !self.loaded.has(Entry::HaDeviceInfo) {
            return Vec::new();
        }
        let told = self.call(|call| {
            let function = required(call, Entry::HaDeviceInfo, "getHaDeviceInfo")?;
            Ok(to_json::object_json(&call.host, "getHaDeviceInfo", function.call(())?)?.text)
        });
        told.ok()
            .and_then(|info| serde_json::from_str(info.get()).ok())
            .map_or_else(Vec::new, |info| described::fields(&info))
    }

    fn take_console(&mut self) -> Vec<String> {
        std::mem::take(&mut self.console)
    }
}

fn decode_uplink(call: &Call<'_>, input: &UplinkInput<'_>) -> Result<Decoded, Fault> {
    if let Some(function) = call.entry(Entry::DecodeUplink)? {
        return outcome::decoded(&call.host, function.call((payload(call, input)?,))?);
    }
    let function = required(call, Entry::LegacyDecoder, "decodeUplink, nor the older Decoder")?;
    let bytes = call.parse(&byte_list(input.bytes))?;
    outcome::legacy_decoded(&call.host, function.call((bytes, input.f_port))?)
}

fn encode_downlink(call: &Call<'_>, input: &DownlinkInput<'_>) -> Result<Encoded, Fault> {
    let (data, f_port) = (input.data.get(), input.f_port.unwrap_or(0));
    if let Some(function) = call.entry(Entry::EncodeDownlink)? {
        let command = call.parse(&format!(r#"{{"data":{data},"fPort":{f_port}}}"#))?;
        return outcome::encoded(&call.host, function.call((command,))?);
    }
    let function = required(call, Entry::LegacyEncoder, "encodeDownlink, nor the older Encoder")?;
    outcome::legacy_encoded(&call.host, function.call((call.parse(data)?, f_port))?)
}

fn required<'js>(call: &Call<'js>, entry: Entry, wanted: &'static str) -> Result<Function<'js>, Fault> {
    Ok(call.entry(entry)?.ok_or(CodecError::MissingFunction { wanted })?)
}

/// The argument of a decoder: `{bytes, fPort, recvTime}`. It is made as JSON, because that defines properties; to assign
/// them would run a setter that a codec put on a prototype.
fn payload<'js>(call: &Call<'js>, input: &UplinkInput<'_>) -> Result<Value<'js>, Fault> {
    let (bytes, f_port) = (byte_list(input.bytes), input.f_port);
    let Some(milliseconds) = input.recv_time_ms else {
        return call.parse(&format!(r#"{{"bytes":{bytes},"fPort":{f_port}}}"#));
    };
    let value = call.parse(&format!(r#"{{"bytes":{bytes},"fPort":{f_port},"recvTime":0}}"#))?;
    if let Some(object) = value.as_object() {
        object.set("recvTime", call.host.date(milliseconds)?)?;
    }
    Ok(value)
}

/// A plain list of its own for each call, as JSON: codecs slice, shift and reverse it.
fn byte_list(bytes: &[u8]) -> String {
    let mut list = String::with_capacity(2 + 4 * bytes.len());
    list.push('[');
    for (index, byte) in bytes.iter().enumerate() {
        let _ = write!(list, "{}{byte}", if index > 0 { "," } else { "" });
    }
    list.push(']');
    list
}
