//! What `codec test` tells: a line an example, where it differs, and the sum.

use std::path::Path;
use std::time::Duration;

use payload_codecs::examples::{Difference, Entry, ExamplesError, Operation, Verdict};
use serde::Serialize;

use crate::cli::{Exit, Terminal, harmless};

/// Differences of one example that people are shown.
const MOST_SHOWN: usize = 12;
/// Characters of one difference that people are shown.
const WIDEST: usize = 240;

/// How one example went.
pub struct Outcome {
    pub operation: Option<Operation>,
    pub description: String,
    pub verdict: Verdict,
    pub took: Duration,
}

/// Counts and tells.
pub struct Report {
    json: bool,
    files: usize,
    passed: usize,
    failed: usize,
    errors: usize,
}

/// The line of an example for programs.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    op: Option<Operation>,
    description: &'a str,
    status: &'static str,
    diff: &'a [Difference],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    us: u64,
}

impl Outcome {
    /// An outcome that took no time.
    pub fn of(entry: &Entry, verdict: Verdict) -> Self {
        let (operation, description) = match entry {
            Ok(example) => (Some(example.operation), example.description.clone()),
            Err(ExamplesError::Entry { operation, description, .. }) => (Some(*operation), description.clone()),
            Err(_) => (None, String::new()),
        };
        Self { operation, description, verdict, took: Duration::ZERO }
    }

    fn status(&self) -> &'static str {
        match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail(_) => "fail",
            Verdict::Error(_) => "error",
        }
    }
}

impl Report {
    pub fn new(json: bool) -> Self {
        Self { json, files: 0, passed: 0, failed: 0, errors: 0 }
    }

    /// One more codec.
    pub fn file(&mut self) {
        self.files += 1;
    }

    pub fn tell(&mut self, file: &Path, outcome: &Outcome, terminal: &mut Terminal) -> anyhow::Result<()> {
        let (count, diff, error) = match &outcome.verdict {
            Verdict::Pass => (&mut self.passed, &[][..], None),
            Verdict::Fail(diff) => (&mut self.failed, diff.as_slice(), None),
            Verdict::Error(reason) => (&mut self.errors, &[][..], Some(reason.as_str())),
        };
        *count += 1;
        if !self.json {
            return lay_out(file, outcome, diff, error, terminal);
        }
        let us = u64::try_from(outcome.took.as_micros()).unwrap_or(u64::MAX);
        let (op, status) = (outcome.operation, outcome.status());
        let line = Line { file, op, description: &outcome.description, status, diff, error, us };
        Ok(terminal.line(&serde_json::to_string(&line)?)?)
    }

    /// How far it is.
    pub fn progress(&self, done: usize, all: usize) -> String {
        let examples = self.passed + self.failed + self.errors;
        format!("{done} of {all} files, {examples} examples, {} passed", self.passed)
    }

    /// The sum, and the exit code that it means. To programs the sum is talk: they read examples.
    pub fn sum_up(&self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let examples = self.passed + self.failed + self.errors;
        let sum = format!(
            "{}, {}: {} passed, {} failed, {}",
            counted(self.files, "file"),
            counted(examples, "example"),
            self.passed,
            self.failed,
            counted(self.errors, "error"),
        );
        if self.json {
            terminal.say(&sum)
        } else {
            terminal.line(&sum)?
        }
        if examples == 0 {
            terminal.say(
                "error: no example was found\n  hint: `ttn-ferry codec test --help` says where they are looked for",
            );
            return Ok(Exit::CouldNotRun);
        }
        Ok(if self.passed == examples { Exit::Success } else { Exit::Failure })
    }
}

fn lay_out(
    file: &Path,
    outcome: &Outcome,
    diff: &[Difference],
    error: Option<&str>,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let operation = outcome.operation.map(|operation| format!(" {operation}")).unwrap_or_default();
    let file = harmless(&file.display().to_string());
    terminal.line(&format!("{:<6}{file}{operation}: {}", outcome.status(), one_line(&outcome.description)))?;
    for difference in diff.iter().take(MOST_SHOWN) {
        terminal.line(&format!("        {}", one_line(&difference.to_string())))?;
    }
    if diff.len() > MOST_SHOWN {
        terminal.line(&format!("        and {} more", diff.len() - MOST_SHOWN))?;
    }
    if let Some(error) = error {
        terminal.line(&format!("        {}", one_line(error)))?;
    }
    Ok(())
}

/// What strangers wrote, as one line of bounded length and without control characters.
fn one_line(text: &str) -> String {
    let text = text.lines().collect::<Vec<_>>().join(" ");
    let mut line = harmless(&text);
    if let Some((end, _)) = line.char_indices().nth(WIDEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
