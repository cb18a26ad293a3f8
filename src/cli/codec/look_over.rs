//! `codec lint`: what is remarkable about a codec, without a payload of its device.

use std::path::PathBuf;

use clap::Args;
use payload_codecs::examples::Operation;
use payload_codecs::{Finding, FindingKind, Functions, Lint, Naming, lint};
use serde_json::{Value, json};

use super::source;
use super::watched::Watched;
use crate::cli::{Exit, Terminal, harmless};

/// Loading and calling it with made-up payloads takes as long as loading so many codecs, at the most.
const LOADS: u32 = 3;

/// Say what is remarkable about a codec: its functions, clock, chance, local time, unknown globals, kept state
#[derive(Debug, Args)]
#[command(after_help = "\
Findings are hints: names are found by reading the script, kept state by calls with made-up payloads.

Exit codes: 0 it loads, 1 it does not, 2 could not run, 64 wrong command line")]
pub struct LookOver {
    /// The codec
    file: PathBuf,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

impl LookOver {
    pub fn run(self, watched: &mut Watched, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let source = source::load(&self.file, Operation::DecodeUplink)?;
        let looked = watched.with_engines(LOADS, move |_, limits| lint(&source, limits));
        let (functions, findings): (Loaded, _) = match looked {
            Ok(Lint { functions, findings }) => {
                (functions.map_err(|error| (error.to_string(), error.line())), findings)
            }
            Err(failure) => (Err((failure.to_string(), None)), Vec::new()),
        };
        let exit = if functions.is_ok() { Exit::Success } else { Exit::Failure };
        if self.json {
            terminal.line(&as_json(&functions, &findings).to_string())?;
            return Ok(exit);
        }
        match &functions {
            Ok(functions) => terminal.line(&format!("functions: {}", names(functions).join(", ")))?,
            Err((reason, _)) => terminal.line(&harmless(reason))?,
        }
        for finding in &findings {
            terminal.line(&finding.to_string())?;
        }
        if functions.is_ok() && findings.is_empty() {
            terminal.line("nothing remarkable")?;
        }
        Ok(exit)
    }
}

/// Functions, or why it does not load and where.
type Loaded = Result<Functions, (String, Option<u32>)>;

fn as_json(functions: &Loaded, findings: &[Finding]) -> Value {
    let findings: Vec<_> = findings
        .iter()
        .map(|Finding { kind, name, line }| json!({ "kind": word(*kind), "name": name, "line": line }))
        .collect();
    match functions {
        Ok(functions) => json!({ "loads": true, "functions": names(functions), "findings": findings }),
        Err((error, line)) => json!({ "loads": false, "error": error, "line": line, "findings": findings }),
    }
}

/// The functions by the names they were found by.
fn names(functions: &Functions) -> Vec<&'static str> {
    let Functions { decode_uplink, normalize_uplink, encode_downlink, decode_downlink } = *functions;
    let all = [
        (decode_uplink, "decodeUplink", "Decoder"),
        (normalize_uplink, "normalizeUplink", "normalizeUplink"),
        (encode_downlink, "encodeDownlink", "Encoder"),
        (decode_downlink, "decodeDownlink", "decodeDownlink"),
    ];
    let found = all.into_iter().filter_map(|(found, name, older)| {
        found.map(|naming| match naming {
            Naming::Current => name,
            Naming::Older => older,
        })
    });
    found.collect()
}

fn word(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Now => "now",
        FindingKind::Random => "random",
        FindingKind::LocalTime => "local_time",
        FindingKind::UnknownGlobal => "unknown_global",
        FindingKind::KeptState => "kept_state",
    }
}
