//! `codec decode`, `encode`, `decode-downlink` and `normalize`: one call, and its result.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::Timestamp;
use payload_codecs::examples::{Call, Failure, Input, Operation, Output};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::given::{Bytes, Given};
use super::source;
use super::watched::{Subject, Watched};
use crate::cli::{Exit, Terminal};
use crate::model::FPort;

/// Decode an uplink, and normalise it if the codec can
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ttn-ferry codec decode sensor.js --port 2 'cb f6 0b 0d'
  ttn-ferry codec decode mbed/led-and-sensors --port 15 base64:CGZfDOQBADw= --json")]
pub struct Decode {
    #[command(flatten)]
    payload: Payload,
    /// When the network received it, such as 2026-11-21T06:00:00Z
    #[arg(long, value_name = "RFC3339")]
    time: Option<Timestamp>,
}

/// Decode a downlink
#[derive(Debug, Args)]
pub struct DecodeDownlink {
    #[command(flatten)]
    payload: Payload,
}

/// Encode a command: its bytes and its port
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ttn-ferry codec encode mbed/led-and-sensors '{\"led\": true}'
  echo '{\"led\": true}' | ttn-ferry codec encode lamp.js --port 15 --json -")]
pub struct Encode {
    /// The codec
    file: PathBuf,
    /// The port asked for; the codec may choose another one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=223))]
    port: Option<u8>,
    /// The command's fields, or `-` for standard input
    #[arg(value_parser = Given::<Box<RawValue>>::parse)]
    fields: Given<Box<RawValue>>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// Turn decoded fields into normalised measurements
#[derive(Debug, Args)]
pub struct Normalize {
    /// The codec
    file: PathBuf,
    /// The decoded fields, or `-` for standard input
    #[arg(value_name = "JSON", value_parser = Given::<Box<RawValue>>::parse)]
    fields: Given<Box<RawValue>>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Payload {
    /// The codec
    file: PathBuf,
    /// The application port
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    port: u8,
    /// The bytes: 01FF, '01 ff', base64:Af8=, or `-` for standard input
    #[arg(value_name = "HEX", value_parser = Given::<Bytes>::parse)]
    bytes: Given<Bytes>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

impl Decode {
    pub fn run(self, watched: &mut Watched, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let json = self.payload.json;
        let (mut codec, mut input) = self.payload.read(Operation::DecodeUplink, watched, terminal)?;
        input.recv_time = self.time;
        let decoded = call(&mut codec, Operation::DecodeUplink, input, watched, terminal);
        let (mut decoded, normalized) = match decoded {
            Ok(decoded) => normalize(decoded, &mut codec, watched, terminal),
            Err(failure) => return refused(&failure, json, terminal),
        };
        let warnings = std::mem::take(&mut decoded.warnings);
        let mut result = json!({ "data": decoded.data });
        if let Some(normalized) = normalized {
            result["normalized"] = serde_json::to_value(normalized)?;
        }
        show(result, warnings, json, terminal)
    }
}

impl DecodeDownlink {
    pub fn run(self, watched: &mut Watched, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let json = self.payload.json;
        let (mut codec, input) = self.payload.read(Operation::DecodeDownlink, watched, terminal)?;
        match call(&mut codec, Operation::DecodeDownlink, input, watched, terminal) {
            Ok(decoded) => show(json!({ "data": decoded.data }), decoded.warnings, json, terminal),
            Err(failure) => refused(&failure, json, terminal),
        }
    }
}

impl Normalize {
    pub fn run(self, watched: &mut Watched, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let mut codec = watched.subject(source::load(&self.file, Operation::NormalizeUplink)?);
        let input = Input { data: Some(self.fields.read(terminal)?), ..Input::default() };
        match call(&mut codec, Operation::NormalizeUplink, input, watched, terminal) {
            Ok(normalized) => show(json!({ "data": normalized.data }), normalized.warnings, self.json, terminal),
            Err(failure) => refused(&failure, self.json, terminal),
        }
    }
}

impl Encode {
    pub fn run(self, watched: &mut Watched, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let mut codec = watched.subject(source::load(&self.file, Operation::EncodeDownlink)?);
        let input = Input { data: Some(self.fields.read(terminal)?), f_port: self.port, ..Input::default() };
        let encoded = match call(&mut codec, Operation::EncodeDownlink, input, watched, terminal) {
            Ok(encoded) => encoded,
            Err(failure) => return refused(&failure, self.json, terminal),
        };
        let bytes = encoded.bytes.unwrap_or_default();
        let f_port = encoded.f_port.or(self.port).unwrap_or_else(|| FPort::default().value());
        let (hex, base64) = (hex::encode(&bytes), STANDARD.encode(&bytes));
        if self.json {
            let result = json!({ "hex": hex, "base64": base64, "f_port": f_port });
            return show(result, encoded.warnings, true, terminal);
        }
        for (name, value) in [("hex", hex), ("base64", base64), ("port", f_port.to_string())] {
            terminal.line(&format!("{name:<8}{value}"))?;
        }
        warn(&encoded.warnings, terminal);
        Ok(Exit::Success)
    }
}

impl Payload {
    fn read(
        self,
        operation: Operation,
        watched: &mut Watched,
        terminal: &mut Terminal,
    ) -> anyhow::Result<(Subject, Input)> {
        let codec = watched.subject(source::load(&self.file, operation)?);
        let bytes = self.bytes.read(terminal)?.0;
        Ok((codec, Input { bytes: Some(bytes), f_port: Some(self.port), ..Input::default() }))
    }
}

/// Makes a call, and tells what the script wrote to its console.
fn call(
    codec: &mut Subject,
    operation: Operation,
    input: Input,
    watched: &mut Watched,
    terminal: &mut Terminal,
) -> Result<Output, Failure> {
    let answer = watched.call(codec, Call { operation, input });
    answer.console.iter().for_each(|line| terminal.say(&format!("console: {line}")));
    answer.outcome
}

/// As in the bridge: normalising that fails costs the measurements only.
fn normalize(
    mut decoded: Output,
    codec: &mut Subject,
    watched: &mut Watched,
    terminal: &mut Terminal,
) -> (Output, Option<Box<RawValue>>) {
    let input = Input { data: decoded.data.clone(), ..Input::default() };
    let normalized = match call(codec, Operation::NormalizeUplink, input, watched, terminal) {
        Ok(normalized) => {
            decoded.warnings.extend(normalized.warnings);
            normalized.data
        }
        Err(Failure::Missing(_)) => None,
        Err(failure) => {
            decoded.warnings.push(format!("normalizeUplink: {failure}"));
            None
        }
    };
    (decoded, normalized)
}

/// The result on standard output: one line of JSON with the warnings in it, or laid out, and the warnings as talk.
fn show(mut result: Value, warnings: Vec<String>, json: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    if json {
        result["warnings"] = warnings.into();
        terminal.line(&result.to_string())?;
        return Ok(Exit::Success);
    }
    terminal.line(&serde_json::to_string_pretty(&result["data"])?)?;
    if let Some(normalized) = result.get("normalized") {
        terminal.line(&format!("normalized {}", serde_json::to_string_pretty(normalized)?))?;
    }
    warn(&warnings, terminal);
    Ok(Exit::Success)
}

fn warn(warnings: &[String], terminal: &mut Terminal) {
    for warning in warnings {
        terminal.say(&format!("warning: {warning}"));
    }
}

fn refused(failure: &Failure, json: bool, terminal: &mut Terminal) -> anyhow::Result<Exit> {
    if json {
        let errors = match failure {
            Failure::Reported(errors) => errors.clone(),
            other => vec![other.to_string()],
        };
        terminal.line(&json!({ "errors": errors }).to_string())?;
    } else {
        terminal.say(&format!("error: {failure}"));
    }
    Ok(Exit::Failure)
}
