//! What the network's own reports do to the downlinks of one device: in any order, twice, late, or never.

use jiff::{SignedDuration, Timestamp};

use super::Action;
use super::answers::{REPORT_WITHIN, because};
use super::item::{Item, Place, Why};
use super::lane::Lane;
use super::wait::Wait;
use crate::model::{DownlinkEvent, DownlinkHappening, DownlinkId, State};

/// Attempts of a confirmed downlink that names no number: as many as The Things Stack makes by itself.
const ATTEMPTS: u8 = 8;
/// The stream and the history may time one and the same event so far apart.
const SAME_EVENT: SignedDuration = SignedDuration::from_secs(1);

impl Lane {
    pub fn heard(
        &mut self,
        id: &DownlinkId,
        happening: &DownlinkHappening,
        at: Timestamp,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) {
        let look = self.look_again(now);
        let Some(item) = self.find(id) else { return };
        item.change().reported = item.reported.max(Some(at));
        match happening {
            DownlinkHappening::Queued if item.in_doubt() => item.queued(at, now, out),
            DownlinkHappening::Queued => {}
            DownlinkHappening::Sent { .. } if item.downlink.confirmed => {
                item.change().transmitted = true;
                item.moves(Place::Network { news: now, sent: true, missed: 0 });
                item.show(State::Sent, Why::default(), at, out);
            }
            DownlinkHappening::Sent { .. } => item.end(State::Sent, Why::default(), at, out),
            DownlinkHappening::Acked => item.end(State::Acked, Why::default(), at, out),
            DownlinkHappening::Nacked { attempt } => item.nacked(*attempt, at, now, out),
            DownlinkHappening::NotRepeated => item.not_repeated(at, now, out),
            DownlinkHappening::GivenBack => item.given_back(),
            // Whether it is still wanted is decided where it waits: here, once the network surely has it no more.
            DownlinkHappening::Dropped(failure) => item.fell_out(look, &failure.message, now, out),
            DownlinkHappening::Failed(failure) => item.end(State::Failed, because(failure), at, out),
        }
    }

    /// An event out of the network's history: one that was heard already says nothing new, and one that only asks for a
    /// look-up is answered by the look-up that brought it.
    pub fn remembered(&mut self, event: &DownlinkEvent, now: Timestamp, out: &mut Vec<Action>) {
        let Some(id) = &event.id else { return };
        let Some(item) = self.find(id) else { return };
        let news = item.reported.is_none_or(|reported| event.at.duration_since(reported) > SAME_EVENT);
        let follow = match &event.happening {
            DownlinkHappening::Dropped(_) => false,
            DownlinkHappening::Acked | DownlinkHappening::Failed(_) => true,
            DownlinkHappening::Sent { .. } => news || !item.downlink.confirmed,
            DownlinkHappening::Queued | DownlinkHappening::Nacked { .. } => news,
            // Told only of the last push, and what was followed already waits here.
            DownlinkHappening::NotRepeated | DownlinkHappening::GivenBack => true,
        };
        if follow {
            self.heard(id, &event.happening, event.at, now, out);
        }
    }

    /// The device has a session, and the network had an occasion to send what it holds.
    pub fn alive(&mut self, now: Timestamp) {
        self.alive_meanwhile = true;
        self.hold = self.hold.take().filter(|hold| !hold.ends_when_heard);
        if self.check.is_none() && self.any_at_network() {
            self.check = Some(Wait::new(now, REPORT_WITHIN));
        }
    }

    /// Reports of the application were missed: what the network had, or may have had, is looked up.
    pub fn blind(&mut self, now: Timestamp) {
        self.items.iter_mut().for_each(Item::blinded);
        if self.any_at_network() {
            self.soon = Some(Wait::new(now, std::time::Duration::ZERO));
        }
    }

    fn any_at_network(&self) -> bool {
        self.items.iter().any(|item| matches!(item.place(), Place::Network { .. }))
    }
}

impl Item {
    /// Whether a report that it is queued tells something new.
    fn in_doubt(&self) -> bool {
        matches!(self.place(), Place::Waiting | Place::Pushing | Place::Unsure(_))
    }

    /// The network itself appends it to its queue again.
    fn nacked(&mut self, attempt: Option<u32>, at: Timestamp, now: Timestamp, out: &mut Vec<Action>) {
        self.change().transmitted = true;
        self.moves(Place::Network { news: now, sent: false, missed: 0 });
        let why = attempt.map(|attempt| Why::reason(format!("not acknowledged: the network makes attempt {attempt}")));
        self.show(State::Nacked, why.unwrap_or_default(), at, out);
    }

    /// The network leaves it at that: it waits here for another push, while attempts are left.
    fn not_repeated(&mut self, at: Timestamp, now: Timestamp, out: &mut Vec<Action>) {
        if !matches!(self.place(), Place::Network { .. } | Place::Pushing | Place::Unsure(_)) {
            return;
        }
        let attempts = self.downlink.attempts.unwrap_or(ATTEMPTS);
        self.change().failed_attempts += 1;
        let made = self.failed_attempts;
        if made >= attempts {
            return self.end(State::Failed, Why::reason(format!("not acknowledged in {made} attempts")), now, out);
        }
        self.change().transmitted = false;
        self.not_there();
        let why = Why::reason(format!("not acknowledged: attempt {} of {attempts} follows", made + 1));
        self.show(State::Nacked, why, at, out);
    }

    /// The network had it and gave it back unsent: it waits here for another push.
    fn given_back(&mut self) {
        if matches!(self.place(), Place::Network { sent: false, .. } | Place::Pushing | Place::Unsure(_)) {
            self.not_there();
        }
    }

    /// The network says it no longer has it. A report can be late, so this is looked up before another push.
    fn fell_out(&mut self, look: Wait, why: &str, now: Timestamp, out: &mut Vec<Action>) {
        if matches!(self.place(), Place::Network { .. }) {
            self.doubt(look, why, now, out);
        }
    }
}
