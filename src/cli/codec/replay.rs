//! `codec run`: a filter that makes one call a line, for replaying captures.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::path::PathBuf;

use clap::Args;
use payload_codecs::examples::{Call, Input, Operation, Output};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::source;
use super::watched::{Subject, Watched};
use crate::cli::{Exit, Terminal};
use crate::telemetry::with_causes;

/// Longer lines are refused; what a codec reads is far shorter.
const LONGEST_LINE: u64 = 1 << 20;
/// Codecs kept.
const MOST_CODECS: usize = 256;

/// Make a call for each line of JSON on standard input
#[derive(Debug, Args)]
#[command(after_help = "\
In:   {\"id\": 1, \"codec\": PATH, \"op\": \"decodeUplink\", \"input\": {\"bytes\": [1, 2], \"fPort\": 1, \"recvTime\": \"…\"}}
      {\"id\": 2, \"codec\": PATH, \"op\": \"encodeDownlink\", \"input\": {\"data\": {}, \"fPort\": 1}}
      also decodeDownlink and normalizeUplink
Out:  {\"id\": 1, \"ok\": true, \"output\": {\"data\": {}, \"warnings\": []}}
      {\"id\": 2, \"ok\": false, \"error\": \"…\"}

In the order of the lines, each at once. A line that cannot be read is answered too. A codec is read once.")]
pub struct Replay {}

/// A line on standard input.
#[derive(Deserialize)]
struct Question {
    codec: PathBuf,
    op: Operation,
    input: Box<RawValue>,
}

/// As much of a line as an answer needs, whatever else is wrong with it.
#[derive(Default, Deserialize)]
struct Label {
    id: Option<Box<RawValue>>,
}

/// A line on standard output.
#[derive(Serialize)]
struct Answer {
    id: Option<Box<RawValue>>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Output>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Replay {
    pub fn run(self, watched: &mut Watched, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let mut codecs = HashMap::new();
        while let Some(line) = next_line(terminal.input())? {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let answer = match answer(&line, &mut codecs, watched) {
                Ok(output) => Answer { id: id(&line), ok: true, output: Some(output), error: None },
                Err(reason) => Answer { id: id(&line), ok: false, output: None, error: Some(reason) },
            };
            terminal.line(&serde_json::to_string(&answer)?)?;
        }
        Ok(Exit::Success)
    }
}

/// Codecs by path and operation: the functions of one may lie in different files.
type Codecs = HashMap<(PathBuf, Operation), Subject>;

fn answer(line: &[u8], codecs: &mut Codecs, watched: &mut Watched) -> Result<Output, String> {
    if line.len() as u64 > LONGEST_LINE {
        return Err(format!("the line is longer than {} KiB", LONGEST_LINE >> 10));
    }
    let question: Question = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let input: Input = serde_json::from_str(question.input.get()).map_err(|error| format!("input: {error}"))?;
    if codecs.len() >= MOST_CODECS {
        codecs.clear();
    }
    let key = (question.codec, question.op);
    if !codecs.contains_key(&key) {
        let source = source::load(&key.0, key.1).map_err(|error| with_causes(&error))?;
        codecs.insert(key.clone(), watched.subject(source));
    }
    let codec = codecs.get_mut(&key).expect("it was put there just now, if it was not there before");
    let answer = watched.call(codec, Call { operation: key.1, input });
    answer.outcome.map_err(|failure| failure.to_string())
}

fn id(line: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice::<Label>(line).unwrap_or_default().id
}

/// The next line, or of a line that is too long so much that this can be seen. None at the end.
fn next_line(input: &mut dyn BufRead) -> anyhow::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.take(LONGEST_LINE + 1).read_until(b'\n', &mut line)?;
    if line.len() as u64 > LONGEST_LINE && !line.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok((!line.is_empty()).then_some(line))
}
