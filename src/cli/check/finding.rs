//! What a check found: one line for people, one object for programs.

use std::fmt;

use serde::Serialize;

/// The outcome of one leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked: an application's name, `home`, `configuration`, `codecs`.
    pub subject: String,
    /// Which part of it: `tcp`, `login`, or a key of the configuration.
    pub leg: String,
    pub status: Status,
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// Works, and yet is probably not meant so.
    Warning,
    Failed,
    /// Could not be tried, because of an earlier leg, or is not wanted.
    Skipped,
}

/// The legs of one connection, in their order.
pub struct Legs {
    subject: String,
    all: Vec<Finding>,
}

impl Legs {
    pub fn of(subject: &str) -> Self {
        Self { subject: subject.into(), all: Vec::new() }
    }

    pub fn ok(&mut self, leg: &str, detail: impl fmt::Display) {
        self.add(leg, Status::Ok, detail, None);
    }

    pub fn failed(&mut self, leg: &str, detail: impl fmt::Display, hint: impl Into<String>) {
        self.add(leg, Status::Failed, detail, Some(hint.into()));
    }

    pub fn warning(&mut self, leg: &str, detail: impl fmt::Display, hint: impl Into<String>) {
        self.add(leg, Status::Warning, detail, Some(hint.into()));
    }

    /// Legs that could not be tried, and why.
    pub fn skipped(&mut self, legs: &[&str], why: &str) {
        legs.iter().for_each(|leg| self.add(leg, Status::Skipped, why, None));
    }

    pub fn into_findings(self) -> Vec<Finding> {
        self.all
    }

    fn add(&mut self, leg: &str, status: Status, detail: impl fmt::Display, hint: Option<String>) {
        let subject = self.subject.clone();
        self.all.push(Finding { subject, leg: leg.into(), status, detail: detail.to_string(), hint });
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{}: {}", self.subject, self.leg);
        write!(f, "{name:<32} {:<8} {}", self.status, self.detail)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "\n  hint: {hint}"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}
