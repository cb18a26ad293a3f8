//! Says what is remarkable about a codec before its device ever sends: for who writes one, or takes a stranger's.

use std::fmt;

use crate::codec::{Engines, Functions, Limits, Source};
use crate::error::CodecError;
use crate::javascript;

/// What was found out about a codec without a payload of its device.
#[derive(Clone, Debug)]
pub struct Lint {
    /// The functions it has, or why it does not load.
    pub functions: Result<Functions, CodecError>,
    /// What is remarkable, in the order of the script's lines; what has no line comes last.
    pub findings: Vec<Finding>,
}

/// One remarkable thing about a script. It is a hint, not proof: names are found by reading the text, kept state by calls
/// with made-up payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The name in the script that it is about: `Date.now`, `require`, `counter` …
    pub name: String,
    /// Where in the script, counted from 1, if it is in one place.
    pub line: Option<u32>,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// It reads the clock, so that the same payload may give another answer later.
    Now,
    /// It uses chance, so that the same payload may give another answer.
    Random,
    /// It uses the local time zone, which is UTC here and on The Things Stack, and something else elsewhere.
    LocalTime,
    /// It names something of browsers or Node that codecs are not given.
    UnknownGlobal,
    /// It leaves something behind that a second call would see; here and on The Things Stack there is no such call.
    KeptState,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.kind {
            FindingKind::Now => write!(formatter, "reads the clock: {name}"),
            FindingKind::Random => write!(formatter, "uses chance: {name}"),
            FindingKind::LocalTime => write!(formatter, "uses local time, which is UTC here: {name}"),
            FindingKind::UnknownGlobal => write!(formatter, "names what codecs are not given: {name}"),
            FindingKind::KeptState => write!(formatter, "keeps state between calls, which is lost here: {name}"),
        }?;
        self.line.map_or(Ok(()), |line| write!(formatter, " (line {line})"))
    }
}

/// Looks a codec over.
pub fn lint(source: &Source, limits: &Limits) -> Lint {
    let functions = Engines::new(limits).and_then(|engines| Ok(engines.load(source)?.functions()));
    let mut findings = findings(source, limits);
    findings.sort_by_key(|finding| (finding.line.unwrap_or(u32::MAX), finding.kind));
    findings.dedup();
    Lint { functions, findings }
}

fn findings(source: &Source, limits: &Limits) -> Vec<Finding> {
    match source {
        Source::JavaScript { script, .. } => javascript::lint(script, limits),
        Source::Table { .. } | Source::CayenneLpp => Vec::new(),
        Source::ByDirection { uplink, downlink } => {
            [uplink, downlink].into_iter().flatten().flat_map(|source| findings(source, limits)).collect()
        }
    }
}
