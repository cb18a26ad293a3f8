//! `codec test`: runs the examples that lie beside codecs.

mod found;
mod report;
mod suite;

use std::path::PathBuf;

use clap::Args;
use payload_codecs::examples::{Entry, ExamplesError, Verdict};

use super::watched::{Subject, Watched};
use crate::cli::{Exit, Terminal};
use report::{Outcome, Report};
use suite::Suite;

/// Run the examples of codecs, and say where the results differ
#[derive(Debug, Args)]
#[command(after_help = "\
Examples are found
  in every *-codec.yaml of a device repository
  in the test_decode_X.json and test_encode_X.json beside an X.js, as in ChirpStack's device profiles
  in the examples.json beside a codec.js, codec.toml or device.toml, and in tables
  in the X.examples.json or examples.json beside an X.js

With --json: one line an example, {\"file\",\"op\",\"description\",\"status\":\"pass|fail|error\",\"diff\":[…],\"us\"}, and with
an error its text as \"error\".

Exit codes: 0 all passed, 1 some failed, 2 could not run or found no example, 64 wrong command line")]
pub struct Test {
    /// Files or folders; folders are searched at any depth
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One line of JSON an example
    #[arg(long)]
    json: bool,
}

impl Test {
    pub fn run(self, watched: &mut Watched, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let leads = found::leads(&self.paths)?;
        let mut report = Report::new(self.json);
        for (index, lead) in leads.iter().enumerate() {
            terminal.progress(&report.progress(index, leads.len()));
            for suite in suite::suites(lead, watched) {
                suite.run(watched, &mut report, terminal)?;
            }
        }
        report.sum_up(terminal)
    }
}

impl Suite {
    fn run(self, watched: &mut Watched, report: &mut Report, terminal: &mut Terminal) -> anyhow::Result<()> {
        let Self { file, codec, entries } = self;
        report.file();
        let mut codec = codec.map(|source| watched.subject(source));
        for entry in entries {
            let outcome = match &mut codec {
                Ok(codec) => judge(entry, codec, watched),
                Err(reason) => Outcome::of(&entry, Verdict::Error(reason.clone())),
            };
            report.tell(&file, &outcome, terminal)?;
        }
        Ok(())
    }
}

/// Runs one example. Its time is that of its calls, without loading.
fn judge(entry: Entry, codec: &mut Subject, watched: &mut Watched) -> Outcome {
    let example = match &entry {
        Ok(example) => example,
        Err(ExamplesError::Entry { reason, .. }) => return Outcome::of(&entry, unreadable(reason)),
        Err(error) => return Outcome::of(&entry, unreadable(&error.to_string())),
    };
    let mut took = std::time::Duration::ZERO;
    let verdict = example.run(|call| {
        let answer = watched.call(codec, call);
        took += answer.took;
        answer.outcome
    });
    Outcome { took, ..Outcome::of(&entry, verdict) }
}

fn unreadable(reason: &str) -> Verdict {
    Verdict::Error(format!("the example cannot be read: {reason}"))
}
