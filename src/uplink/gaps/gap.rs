//! One gap: its span, how far its repair is, and how it ends.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::ApplicationName;
use crate::network::{HistoryError, Source, Span};
use crate::telemetry::{LostFrames, Notice};
use crate::uplink::{OpenGap, RepairConfig};

/// Asked before a gap's start: clocks differ, and a message may be stored a while after it was sent on.
const OVERLAP: Duration = Duration::from_secs(60);
/// After a gap's end, for the same reasons.
const SMALL_OVERLAP: Duration = Duration::from_secs(10);
/// How far our own clock may be behind: what has just come is asked for, whatever time it is there. Copies are known.
const CLOCK_BEHIND: Duration = Duration::from_secs(2 * 3600);
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Outages that follow each other keep the first fetch waiting no longer than this.
const LONGEST_STRETCH: Duration = Duration::from_secs(30);

/// Kept in the store as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    pub kind: Kind,
    /// In a few words, for people.
    pub why: String,
    pub from: Timestamp,
    /// Nothing: it lasts until the network is heard.
    pub to: Option<Timestamp>,
    pub noted: Timestamp,
    pub due: Timestamp,
    pub stage: Stage,
    /// Fetches without an answer since the last one with an answer.
    pub failures: u32,
    /// It was told as found.
    pub told: bool,
    pub repaired: u64,
    /// Where the last answer came from.
    pub source: Option<Source>,
    /// What lies before that, in the gap, was older than what the network keeps when it was first asked.
    pub cut: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Nothing was heard: told when found, and how it ended.
    Outage,
    /// A device's counter jumped. Mostly the radio's doing, so nothing is told unless something is found.
    Check,
    /// Somebody asked; they get an answer, and `bridge/event` what was found.
    Asked,
}

/// Which fetch is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    First,
    Second,
}

impl Gap {
    pub fn new(kind: Kind, why: &str, from: Timestamp, to: Option<Timestamp>, now: Timestamp) -> Self {
        Self {
            kind,
            why: why.to_owned(),
            from,
            to,
            noted: now,
            due: now,
            stage: Stage::First,
            failures: 0,
            told: false,
            repaired: 0,
            source: None,
            cut: None,
        }
    }

    pub fn is_new_check(&self) -> bool {
        self.kind == Kind::Check && self.stage == Stage::First
    }

    /// Its span with the overlaps: what messages are counted in.
    pub fn span(&self) -> Span {
        let to = self.to.unwrap_or(self.from);
        Span { after: earlier(self.from, OVERLAP), before: later(to, SMALL_OVERLAP) }
    }

    /// Whether an outage of this span overlaps or adjoins it.
    pub fn touches(&self, from: Timestamp, to: Timestamp) -> bool {
        earlier(from, OVERLAP) <= self.to.unwrap_or(Timestamp::MAX) && earlier(self.from, OVERLAP) <= to
    }

    /// Makes it as long as both, and waits for the end of the new part.
    pub fn stretch(&mut self, from: Timestamp, to: Timestamp, now: Timestamp, config: &RepairConfig) {
        self.from = self.from.min(from);
        self.to = Some(self.to.unwrap_or(now).max(to));
        if self.failures == 0 {
            let latest = later(self.noted, LONGEST_STRETCH.max(config.fetch_after));
            self.due = later(now, config.fetch_after).min(latest).max(now);
        }
    }

    /// The network is heard again.
    pub fn close(&mut self, now: Timestamp, config: &RepairConfig) {
        self.to = Some(now.max(self.from));
        self.due = later(now, config.fetch_after);
    }

    /// A clock that was set back must not make anyone wait until it is that late again.
    pub fn forgive_clock(&mut self, now: Timestamp) {
        self.noted = self.noted.min(now);
        self.due = self.due.min(later(now, LONGEST_WAIT));
    }

    /// What to ask the network for. Up to this moment and beyond, unless somebody named the end: what has come since
    /// costs little, and a clock that is behind costs nothing.
    pub fn begin(&mut self, now: Timestamp, config: &RepairConfig) -> Span {
        if self.is_new_check() && self.failures == 0 {
            self.to = Some(now.max(self.from));
        }
        let span = self.span();
        if self.kind == Kind::Asked {
            return span;
        }
        let oldest = earlier(now, config.retention);
        if self.stage == Stage::First {
            self.cut = (self.from < oldest).then_some(oldest);
        }
        Span { after: span.after.max(oldest), before: later(span.before.max(now), CLOCK_BEHIND) }
    }

    /// Takes the result of a fetch. Returns whether another one follows.
    pub fn fetched(
        &mut self,
        result: &Result<Source, HistoryError>,
        nothing_missing: bool,
        now: Timestamp,
        config: &RepairConfig,
    ) -> bool {
        if let Err(HistoryError::Unavailable(_)) = result {
            self.failures += 1;
            self.due = later(now, retry_wait(self.failures));
            return now < later(self.to.unwrap_or(now), config.retention);
        }
        self.failures = 0;
        self.source = result.as_ref().ok().copied().or(self.source);
        let again = self.stage == Stage::First && !(self.kind == Kind::Check && nothing_missing);
        (self.stage, self.due) = (Stage::Second, later(now, config.fetch_again_after));
        again
    }

    pub fn shown(&self, id: u64, application: &ApplicationName) -> OpenGap {
        let Self { from, to, repaired, .. } = *self;
        OpenGap { id, application: application.clone(), from, to, why: self.why.clone(), repaired }
    }

    pub fn found(&self, id: u64, application: &ApplicationName) -> Notice {
        let (application, to) = (application.clone(), self.to.unwrap_or(self.from));
        Notice::GapFound { id, application, from: self.from, to, why: self.why.clone() }
    }

    /// What is told of it after the last fetch.
    pub fn end(
        self,
        id: u64,
        application: &ApplicationName,
        result: &Result<Source, HistoryError>,
        lost: LostFrames,
    ) -> Option<Notice> {
        let (application, from, to, repaired) =
            (application.clone(), self.from, self.to.unwrap_or(self.from), self.repaired);
        let unanswered = self.source.is_none() && matches!(result, Err(HistoryError::Unavailable(_)));
        if self.kind == Kind::Outage && (unanswered || self.cut.is_some() || !lost.is_empty()) {
            let reason = self.reason(result);
            return Some(Notice::GapLost { id, application, from, to, repaired, reason, lost });
        }
        let source = match self.source {
            Some(Source::Storage) => "storage",
            Some(Source::Events) => "events",
            None => "none",
        };
        let worth_telling = self.kind == Kind::Outage || repaired > 0;
        worth_telling.then_some(Notice::GapRepaired { id, application, from, to, repaired, source })
    }

    fn reason(&self, result: &Result<Source, HistoryError>) -> String {
        let reason = match result {
            Ok(Source::Storage) => {
                "the network's storage has no more: what is missing was most likely never received".into()
            }
            Ok(Source::Events) => "the network's event history has no more, and its storage is not active".into(),
            Err(error) => error.to_string(),
        };
        match self.cut {
            Some(cut) => format!("{reason}; what is older than {cut:.0} is no longer kept"),
            None => reason,
        }
    }
}

/// 10 seconds, and twice as long each time, up to 10 minutes.
fn retry_wait(failures: u32) -> Duration {
    (FIRST_WAIT * 2u32.pow(failures.saturating_sub(1).min(6))).min(LONGEST_WAIT)
}

pub fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

pub fn earlier(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}
