//! One downlink in the queue: where it is, and the steps the home has seen of it.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::wait::Wait;
use super::{Action, OpenDownlink};
use crate::model::{DownlinkId, Priority, QueuedDownlink, State, Step};

/// One open downlink.
#[derive(Debug)]
pub struct Item {
    pub downlink: QueuedDownlink,
    /// Rises with every downlink accepted.
    pub arrival: u64,
    pub place: Place,
    /// The home wants it stopped.
    pub unwanted: bool,
    /// What the home saw last.
    shown: (State, Option<String>),
}

/// Where a downlink is: the machine's states. [`State`] is what the home is shown of them.
#[derive(Debug)]
pub enum Place {
    /// Here, for us to decide about.
    Waiting,
    /// In a push under way.
    Pushing,
    /// Perhaps here, perhaps there: looked up when the wait is over, and never pushed before.
    Unsure(Wait),
    /// In the network's hands.
    Network {
        /// When something was last known of it.
        news: Timestamp,
        /// A gateway took it, and what the device says of it is still to come.
        sent: bool,
        /// How often it was looked for and not there, without a report that said why.
        missed: u8,
    },
    /// Taken back out of the network's queue; a report may still say that it was sent before.
    Withdrawn(Wait),
    /// At its end, and shown so.
    Ended,
}

/// Why a downlink is where it is, and what to do about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    pub reason: Option<String>,
    pub hint: Option<&'static str>,
}

impl Item {
    pub fn accept(downlink: QueuedDownlink, arrival: u64, at: Timestamp, out: &mut Vec<Action>) -> Self {
        let shown = (State::Accepted, None);
        let item = Self { downlink, arrival, place: Place::Waiting, unwanted: false, shown };
        item.publish(State::Accepted, Why::default(), at, out);
        item
    }

    pub fn id(&self) -> &DownlinkId {
        &self.downlink.id
    }

    /// Shows a step, unless it is the one shown last: the network tells things twice.
    pub fn show(&mut self, state: State, why: Why, at: Timestamp, out: &mut Vec<Action>) {
        if self.shown.0 != state || self.shown.1 != why.reason {
            self.shown = (state, why.reason.clone());
            self.publish(state, why, at, out);
        }
    }

    /// Shows the last step.
    pub fn end(&mut self, state: State, why: Why, at: Timestamp, out: &mut Vec<Action>) {
        debug_assert!(state.is_final(self.downlink.confirmed), "{state:?} is no end");
        if !self.ended() {
            self.place = Place::Ended;
            self.publish(state, why, at, out);
        }
    }

    /// Tells that the home's wish to stop it cannot be met; the step is otherwise where it was.
    pub fn keep(&mut self, at: Timestamp, out: &mut Vec<Action>) {
        self.unwanted = false;
        self.publish(self.shown.0, Why::reason("cannot cancel: already handed to the network"), at, out);
    }

    /// Tells more of the step it is at.
    pub fn explain(&mut self, why: Why, at: Timestamp, out: &mut Vec<Action>) {
        self.show(self.shown.0, why, at, out);
    }

    pub fn ended(&self) -> bool {
        matches!(self.place, Place::Ended)
    }

    pub fn waiting(&self) -> bool {
        matches!(self.place, Place::Waiting)
    }

    /// Whether it takes, or may take, a place in the network's queue. One that was withdrawn does not, whatever report
    /// of it may still come.
    pub fn in_network(&self) -> bool {
        matches!(self.place, Place::Pushing | Place::Unsure(_) | Place::Network { .. })
    }

    /// Whether it still lies in the network's queue, for all we know, and could be taken out of it.
    pub fn queued_at_network(&self) -> bool {
        matches!(self.place, Place::Network { sent: false, .. })
    }

    pub fn expired(&self, now: Timestamp) -> bool {
        self.downlink.expires_at.is_some_and(|at| at <= now)
    }

    pub fn too_early(&self, now: Timestamp) -> bool {
        self.downlink.not_before.is_some_and(|at| at > now)
    }

    /// Whether a newer downlink takes the place of this one.
    pub fn superseded_by(&self, other: &Item) -> bool {
        self.downlink.supersedes.is_some()
            && self.downlink.supersedes == other.downlink.supersedes
            && other.arrival > self.arrival
            && !other.ended()
    }

    /// The order in a device's queue: the smallest goes first.
    pub fn rank(&self) -> (Reverse<Priority>, u64) {
        (Reverse(self.downlink.priority), self.arrival)
    }

    /// The moments at which time alone changes something.
    pub fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let (own, times) = match &self.place {
            Place::Waiting => (None, [self.downlink.expires_at, self.downlink.not_before]),
            Place::Unsure(wait) | Place::Withdrawn(wait) => (Some(wait.until), [None; 2]),
            Place::Pushing | Place::Network { .. } | Place::Ended => (None, [None; 2]),
        };
        own.into_iter().chain(times.into_iter().flatten())
    }

    pub fn open(&self) -> OpenDownlink {
        let (state, reason) = self.shown.clone();
        OpenDownlink { id: self.id().clone(), state, reason, confirmed: self.downlink.confirmed }
    }

    fn publish(&self, state: State, why: Why, at: Timestamp, out: &mut Vec<Action>) {
        out.push(Action::Publish(self.downlink.key.clone(), why.step(self.id().clone(), state, at)));
    }
}

impl Why {
    pub fn reason(reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), hint: None }
    }

    pub fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub fn step(self, id: DownlinkId, state: State, at: Timestamp) -> Step {
        Step { id, state, at, reason: self.reason, hint: self.hint.map(str::to_owned) }
    }
}
