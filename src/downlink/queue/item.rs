//! One downlink in the queue: where it is, and the steps the home has seen of it.

use std::cmp::Reverse;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::wait::Wait;
use super::{Action, OpenDownlink};
use crate::model::{DownlinkId, Priority, QueuedDownlink, State, Step};

/// Steps of one downlink that are remembered: its first and its latest.
const MOST_STEPS: usize = 50;

/// One downlink with everything that is known of it: as the machine holds it, and as the store keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Item {
    pub downlink: QueuedDownlink,
    /// Rises with every downlink accepted.
    pub(super) arrival: u64,
    place: Place,
    /// The home wants it stopped.
    pub(super) unwanted: bool,
    /// The last push that may have reached the network.
    pub(super) pushed: Option<Pushed>,
    /// A gateway is known to have taken it at least once since the last push.
    pub(super) transmitted: bool,
    /// Attempts that were not acknowledged, where the network leaves repeating to us.
    #[serde(default)]
    pub(super) failed_attempts: u8,
    /// It is being taken out of the network's queue.
    pub(super) withdrawing: bool,
    /// The network's time of the newest report that was followed.
    pub(super) reported: Option<Timestamp>,
    /// What the home saw last.
    shown: (State, Option<String>),
    steps: Vec<Step>,
    /// The number of the last step, from 1.
    number: u32,
    /// The last step that the home is known to have.
    told: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Something is different from what the store has.
    #[serde(skip)]
    changed: bool,
    /// Only that the home has a step is.
    #[serde(skip)]
    told_since: bool,
}

/// Where a downlink is: the machine's states. [`State`] is what the home is shown of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Here, for us to decide about.
    Waiting,
    /// In a push under way.
    Pushing,
    /// Perhaps here, perhaps there: looked up, and never pushed before.
    Unsure(Doubt),
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

/// How it will become clear where a downlink is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Doubt {
    pub look: Wait,
    /// It was looked for and not there, and the reports that would prove it may still be on their way.
    pub absent: bool,
    /// The look-up under way is for it.
    #[serde(skip)]
    pub asked: bool,
}

/// A push that may have reached the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pushed {
    pub at: Timestamp,
    /// Reports of what became of it may have gone by unheard.
    pub blind: bool,
    /// It was told that no word of it came.
    pub alarmed: bool,
}

/// Why a downlink is where it is, and what to do about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    pub reason: Option<String>,
    pub hint: Option<&'static str>,
}

impl Item {
    pub fn accept(downlink: QueuedDownlink, arrival: u64, now: Timestamp, out: &mut Vec<Action>) -> Self {
        let mut item = Self {
            downlink,
            arrival,
            place: Place::Waiting,
            unwanted: false,
            pushed: None,
            transmitted: false,
            failed_attempts: 0,
            withdrawing: false,
            reported: None,
            shown: (State::Accepted, None),
            steps: Vec::new(),
            number: 0,
            told: 0,
            created_at: now,
            updated_at: now,
            changed: true,
            told_since: false,
        };
        item.publish(State::Accepted, Why::default(), now, out);
        item
    }

    pub fn id(&self) -> &DownlinkId {
        &self.downlink.id
    }

    pub fn place(&self) -> Place {
        self.place
    }

    pub fn moves(&mut self, place: Place) {
        self.changed |= self.place != place;
        self.place = place;
    }

    /// Lets something else than its place change.
    pub fn change(&mut self) -> &mut Self {
        self.changed = true;
        self
    }

    /// What the store has to keep, if that is new.
    pub fn take_change(&mut self, now: Timestamp) -> Option<Self> {
        std::mem::take(&mut self.changed).then(|| {
            (self.updated_at, self.told_since) = (now, false);
            self.clone()
        })
    }

    /// What the store does not know of the home: not worth a write of its own until nothing else will be written.
    pub fn take_told(&mut self) -> Option<Self> {
        std::mem::take(&mut self.told_since).then(|| self.clone())
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
            self.moves(Place::Ended);
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

    /// The same, had it been refused from the beginning: nobody waits for it.
    pub fn refused(&self, why: &str, now: Timestamp) -> Self {
        let mut refused = self.clone();
        refused.end(State::Failed, Why::reason(why), now, &mut Vec::new());
        refused.told = refused.number;
        refused
    }

    /// The home has this step.
    pub fn told(&mut self, number: u32) {
        self.told_since |= number > self.told;
        self.told = self.told.max(number);
    }

    /// The last step and its number, unless the home has it.
    pub fn untold(&self) -> Option<(&Step, u32)> {
        self.steps.last().filter(|_| self.told < self.number).map(|step| (step, self.number))
    }

    /// The steps that are remembered, oldest first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Steps it ever made, remembered or not.
    pub fn step_count(&self) -> u32 {
        self.number
    }

    pub fn ended(&self) -> bool {
        self.place == Place::Ended
    }

    pub fn waiting(&self) -> bool {
        self.place == Place::Waiting
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

    /// If the clock was ahead when it was accepted, that must not keep it for as long: what was left of its time is left.
    pub fn forgive_clock(&mut self, now: Timestamp) {
        let back = self.updated_at.duration_since(now);
        let was_ahead = self.created_at > now && back.is_positive();
        if let Some(at) = self.downlink.expires_at.filter(|_| was_ahead) {
            self.change().downlink.expires_at = at.checked_sub(back).ok();
            self.updated_at = now;
        }
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
        let times = match self.place {
            Place::Waiting => [self.downlink.expires_at, self.downlink.not_before],
            Place::Unsure(doubt) => [Some(doubt.look.until), self.alarm().map(|wait| wait.until)],
            Place::Pushing => [self.alarm().map(|wait| wait.until), None],
            Place::Withdrawn(wait) => [Some(wait.until), None],
            Place::Network { .. } | Place::Ended => [None; 2],
        };
        times.into_iter().flatten()
    }

    pub fn open(&self) -> OpenDownlink {
        let (state, reason) = self.shown.clone();
        OpenDownlink { id: self.id().clone(), state, reason, confirmed: self.downlink.confirmed }
    }

    fn publish(&mut self, state: State, why: Why, at: Timestamp, out: &mut Vec<Action>) {
        let step = why.step(self.id().clone(), state, at);
        if self.steps.len() == MOST_STEPS {
            self.steps.remove(1);
        }
        self.steps.push(step.clone());
        self.number += 1;
        self.changed = true;
        out.push(Action::Publish(self.downlink.key.clone(), step, Some(self.number)));
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
