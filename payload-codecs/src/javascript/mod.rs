//! Runs a stranger's payload formatter, a script in the dialect of The Things Stack, so that it can neither hang nor harm.
//!
//! Entry points are `decodeUplink`, `encodeDownlink`, `decodeDownlink` and `normalizeUplink`; a script without the first
//! or second may have the older `Decoder(bytes, port)` and `Encoder(data, port)` instead. Each codec has an engine of its
//! own, made and remade by [`realm`], which also says how every message gets a fresh state. `console` is there and silent;
//! there is no `Buffer`, no `require`, no timer and no way out.

mod fault;
mod host;
mod outcome;
mod realm;
mod to_json;

use std::sync::Arc;

use rquickjs::{Array, Object};
use serde_json::value::RawValue;

use self::fault::Fault;
use self::realm::{Entry, Evaluation, Realm};
use crate::codec::{Codec, Decoded, DownlinkInput, Encoded, Limits, Normalized, UplinkInput};
use crate::error::CodecError;

/// A loaded script.
pub(crate) struct JavaScript {
    script: Arc<str>,
    limits: Limits,
    /// None after a call that the engine did not survive in good order: the next call builds a new one.
    realm: Option<Realm>,
}

impl JavaScript {
    /// Compiles the script and evaluates it once, to see that it works and defines something.
    pub fn load(script: &Arc<str>, limits: &Limits) -> Result<Self, CodecError> {
        let mut codec = Self { script: Arc::clone(script), limits: *limits, realm: None };
        let defined = codec.run(|evaluation| {
            Entry::ALL.into_iter().map(|entry| Ok(evaluation.entry(entry)?.is_some())).collect::<Result<Vec<_>, _>>()
        });
        match defined {
            Ok(defined) if defined.contains(&true) => Ok(codec),
            Ok(_) => Err(CodecError::MissingFunction { wanted: "decodeUplink, encodeDownlink or decodeDownlink" }),
            Err(CodecError::Threw { message, line }) => Err(CodecError::Load { message, line }),
            Err(other) => Err(other),
        }
    }

    fn run<T>(&mut self, job: impl FnOnce(&Evaluation<'_>) -> Result<T, Fault>) -> Result<T, CodecError> {
        let realm = match self.realm.take() {
            Some(realm) => realm,
            None => Realm::new(&self.script, &self.limits)?,
        };
        let outcome = realm.run(job);
        let exhausted = matches!(
            outcome,
            Err(CodecError::TimedOut { .. } | CodecError::OutOfMemory { .. } | CodecError::Engine { .. })
        );
        if !exhausted && realm.sweep() {
            self.realm = Some(realm);
        }
        outcome
    }
}

impl Codec for JavaScript {
    fn decode_uplink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.run(|evaluation| decode_uplink(evaluation, input))
    }

    fn normalize_uplink(&mut self, data: &RawValue) -> Result<Option<Normalized>, CodecError> {
        self.run(|evaluation| {
            let Some(function) = evaluation.entry(Entry::NormalizeUplink)? else { return Ok(None) };
            let input = Object::new(evaluation.ctx.clone())?;
            input.set("data", evaluation.ctx.json_parse(data.get())?)?;
            let json = outcome::normalized(&evaluation.host, function.call((input,))?)?;
            Ok(Some(Normalized { measurements: json.text, warnings: json.warnings }))
        })
    }

    fn encode_downlink(&mut self, input: &DownlinkInput<'_>) -> Result<Encoded, CodecError> {
        self.run(|evaluation| encode_downlink(evaluation, input))
    }

    fn decode_downlink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError> {
        self.run(|evaluation| {
            let wanted = CodecError::MissingFunction { wanted: "decodeDownlink" };
            let function = evaluation.entry(Entry::DecodeDownlink)?.ok_or(wanted)?;
            outcome::decoded(&evaluation.host, function.call((payload(evaluation, input)?,))?)
        })
    }
}

fn decode_uplink(evaluation: &Evaluation<'_>, input: &UplinkInput<'_>) -> Result<Decoded, Fault> {
    if let Some(function) = evaluation.entry(Entry::DecodeUplink)? {
        return outcome::decoded(&evaluation.host, function.call((payload(evaluation, input)?,))?);
    }
    let wanted = CodecError::MissingFunction { wanted: "decodeUplink, nor the older Decoder" };
    let function = evaluation.entry(Entry::LegacyDecoder)?.ok_or(wanted)?;
    let data = function.call((byte_list(evaluation, input.bytes)?, input.f_port))?;
    outcome::legacy_decoded(&evaluation.host, data)
}

fn encode_downlink(evaluation: &Evaluation<'_>, input: &DownlinkInput<'_>) -> Result<Encoded, Fault> {
    let data = command_data(evaluation, input.data)?;
    let f_port = input.f_port.unwrap_or(0);
    if let Some(function) = evaluation.entry(Entry::EncodeDownlink)? {
        let object = Object::new(evaluation.ctx.clone())?;
        object.set("data", data)?;
        object.set("fPort", f_port)?;
        return outcome::encoded(&evaluation.host, function.call((object,))?);
    }
    let wanted = CodecError::MissingFunction { wanted: "encodeDownlink, nor the older Encoder" };
    let function = evaluation.entry(Entry::LegacyEncoder)?.ok_or(wanted)?;
    outcome::legacy_encoded(&evaluation.host, function.call((data, f_port))?)
}

fn command_data<'js>(evaluation: &Evaluation<'js>, data: &RawValue) -> Result<rquickjs::Value<'js>, Fault> {
    // The engine's own parser, out of the script's reach: `JSON.parse` may have been replaced.
    Ok(evaluation.ctx.json_parse(data.get())?)
}

/// The argument of a decoder: `{bytes, fPort, recvTime}`.
fn payload<'js>(evaluation: &Evaluation<'js>, input: &UplinkInput<'_>) -> Result<Object<'js>, Fault> {
    let object = Object::new(evaluation.ctx.clone())?;
    object.set("bytes", byte_list(evaluation, input.bytes)?)?;
    object.set("fPort", input.f_port)?;
    if let Some(milliseconds) = input.recv_time_ms {
        object.set("recvTime", evaluation.host.date(milliseconds)?)?;
    }
    Ok(object)
}

/// A plain list of its own for each call: codecs slice, shift and reverse it.
fn byte_list<'js>(evaluation: &Evaluation<'js>, bytes: &[u8]) -> Result<Array<'js>, Fault> {
    let list = Array::new(evaluation.ctx.clone())?;
    for (index, byte) in bytes.iter().enumerate() {
        list.set(index, *byte)?;
    }
    Ok(list)
}
