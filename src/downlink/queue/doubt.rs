//! What is done about a downlink of which nobody knows whether the network has it.
//!
//! A push without a clear answer, a report that it fell out, a restart in the middle: each leaves a downlink `Unsure`. It
//! is looked up: the network's queue first, then its history, for what leaves the queue in between is in the history.
//!
//! | the look-up finds it | and | then it is |
//! |---|---|---|
//! | in the queue | | `Network` |
//! | in the history | | wherever the history says; never pushed again |
//! | in neither | a gateway had taken it before | failed: pushing it again would be a second transmission |
//! | in neither | it is the first time | looked up again: after [`TOLD_AFTER`], or [`CONFIRM_AFTER`] if only the stream can tell |
//! | in neither again | the history surely reaches back to the push | `Waiting`: pushed again |
//! | in neither again | reports may have been missed since the push | failed: it may or may not be sent |
//! | in neither again | the stream held all the time | `Waiting`: pushed again |
//!
//! One look is never enough: what is on its way to a gateway is in the queue no more, and reported only once the gateway
//! has sent it. And a stream that died shows it late: until its sign of life is missed it seems to hold, while the reports
//! it should have brought are gone.

use std::time::Duration;

use jiff::Timestamp;

use super::Action;
use super::item::{Doubt, Item, Place, Pushed, Why};
use super::wait::Wait;
use crate::model::State;

/// First wait before a look-up after an unclear answer, doubled with each further one: longer than a server that is
/// slow takes to act on what it was sent.
pub const LOOK_AFTER: Duration = Duration::from_secs(10);
/// The network acts on a push within this time after it was sent, or never: the limit of its answer (15 s), and
/// [`LOOK_AFTER`].
const ACTED_WITHIN: Duration = Duration::from_secs(25);
/// What left the network's queue is reported within this time: a class A device is answered at most 16 s after its uplink
/// (RX1 after 15 s, RX2 a second later; LoRaWAN 1.0.3, 5.7), and the gateway tells when it is out.
const TOLD_AFTER: Duration = Duration::from_secs(20);
/// A connection to the network that died is known to be dead within this time: twice its keep-alive of 30 s, and some.
const CONFIRM_AFTER: Duration = Duration::from_secs(75);
/// How long a push may go without an answer or a report before that is told.
const ALARM_AFTER: Duration = Duration::from_secs(60);

/// How much a look-up that did not find a downlink is worth.
#[derive(Debug, Clone, Copy)]
pub struct Evidence {
    /// The history surely reaches back to the push.
    pub complete: bool,
    /// The stream of reports is up.
    pub connected: bool,
}

impl Item {
    /// A push begins. Whatever was known of an earlier one is settled.
    pub(super) fn pushing(&mut self, now: Timestamp) {
        self.pushed = Some(Pushed { at: now, blind: false, alarmed: false });
        self.moves(Place::Pushing);
    }

    /// The network surely does not have it.
    pub(super) fn not_there(&mut self) {
        self.change().pushed = None;
        self.moves(Place::Waiting);
    }

    /// Nobody knows where it is.
    pub(super) fn doubt(&mut self, look: Wait, why: &str, now: Timestamp, out: &mut Vec<Action>) {
        self.moves(Place::Unsure(Doubt { look, absent: false, asked: false }));
        self.show_doubt(why, now, out);
    }

    /// The look-up told nothing; what an earlier one told still counts.
    pub(super) fn still_in_doubt(&mut self, look: Wait, why: &str, now: Timestamp, out: &mut Vec<Action>) {
        if let Place::Unsure(doubt) = self.place() {
            self.moves(Place::Unsure(Doubt { look, asked: false, ..doubt }));
            self.show_doubt(why, now, out);
        }
    }

    fn show_doubt(&mut self, why: &str, now: Timestamp, out: &mut Vec<Action>) {
        self.change().withdrawing = false;
        if !self.pushed.is_some_and(|pushed| pushed.alarmed) {
            let reason = format!("no clear answer from the network ({why}): looked up before another try");
            self.show(State::Held, Why::reason(reason), now, out);
        }
    }

    /// Reports of it may have been missed.
    pub(super) fn blinded(&mut self) {
        if let Some(pushed) = self.pushed.as_mut().filter(|pushed| !pushed.blind) {
            pushed.blind = true;
            self.change();
        }
    }

    /// A look-up begins, and it will be clear from it, if its time has come.
    pub(super) fn looking(&mut self, now: Timestamp) {
        if let Place::Unsure(doubt) = self.place() {
            self.moves(Place::Unsure(Doubt { asked: doubt.look.over(now), ..doubt }));
        }
    }

    /// Whether the look-up that was answered was to clear it up.
    pub(super) fn look_is_for_it(&self) -> bool {
        matches!(self.place(), Place::Unsure(doubt) if doubt.asked)
    }

    /// The look-up did not find it.
    pub(super) fn absent(&mut self, evidence: Evidence, now: Timestamp, out: &mut Vec<Action>) {
        let Place::Unsure(doubt) = self.place() else { return };
        let blind = self.pushed.is_some_and(|pushed| pushed.blind);
        let clear = evidence.complete || blind;
        if self.transmitted {
            self.end(State::Failed, Why::reason(GIVEN_UP), now, out);
        } else if !doubt.absent || !(clear || evidence.connected && doubt.look.lasted(CONFIRM_AFTER, now)) {
            let look = Wait::new(now, if clear { TOLD_AFTER } else { CONFIRM_AFTER });
            self.moves(Place::Unsure(Doubt { look, absent: true, asked: false }));
        } else if blind && !evidence.complete {
            self.end(State::Failed, Why::reason(MAY_BE_SENT).hint(MAY_BE_SENT_HINT), now, out);
        } else {
            self.not_there();
        }
    }

    /// Time passes over a push without an answer, and over a look-up that must not come too early.
    pub(super) fn worry(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        if let Place::Unsure(doubt) = self.place() {
            self.moves(Place::Unsure(Doubt { look: doubt.look.restarted(now), ..doubt }));
        }
        let due =
            matches!(self.place(), Place::Pushing | Place::Unsure(_)) && self.alarm().is_some_and(|a| a.over(now));
        if let Some(pushed) = self.pushed.as_mut().filter(|_| due) {
            pushed.alarmed = true;
            let why = Why::reason(format!("no word from the network since {}", pushed.at)).hint(NO_WORD_HINT);
            self.show(State::Held, why, now, out);
        }
    }

    /// When a push has gone without a word for too long.
    pub(super) fn alarm(&self) -> Option<Wait> {
        self.pushed.filter(|pushed| !pushed.alarmed).map(|pushed| Wait::new(pushed.at, ALARM_AFTER))
    }

    /// Somebody else may have gone on with it since it was kept: one that waited may have been pushed, and nobody here heard
    /// of it.
    pub fn resumed(mut self) -> Self {
        if self.waiting() {
            self.pushed = Some(Pushed { at: self.updated_at, blind: true, alarmed: false });
            self.moves(Place::Pushing);
        }
        self
    }

    /// The process was not there for a while: whatever was under way is looked up, and reports may have gone by. At once,
    /// unless the end came so suddenly that the network may still be about to act.
    pub(super) fn restored(mut self, now: Timestamp) -> Self {
        self.blinded();
        let pushed_at = self.pushed.map_or(self.updated_at, |pushed| pushed.at);
        let look = match self.place() {
            Place::Unsure(doubt) => Some(doubt.look),
            Place::Pushing => Some(Wait::new(pushed_at.min(now), ACTED_WITHIN)),
            _ if self.withdrawing => Some(Wait::new(self.updated_at.min(now), LOOK_AFTER)),
            _ => None,
        };
        if let Some(look) = look {
            self.moves(Place::Unsure(Doubt { look, absent: false, asked: false }));
        } else if let Place::Withdrawn(_) = self.place() {
            self.moves(Place::Withdrawn(Wait::new(now, LOOK_AFTER)));
        }
        self.withdrawing = false;
        self
    }
}

const GIVEN_UP: &str = "it was sent, and left the network's queue before the device acknowledged it";
const MAY_BE_SENT: &str = "it may or may not be sent: the network did not say whether it took it, has it no more, and \
                           reports may have been missed";
const MAY_BE_SENT_HINT: &str = "see whether the device did it before you send it again";
const NO_WORD_HINT: &str =
    "see whether the network's API is reached: bridge/health tells; it is looked up until it answers";
