//! What the network's own reports do to the downlinks of one device: in any order, twice, or never.

use jiff::Timestamp;

use super::Action;
use super::answers::{REPORT_WITHIN, because};
use super::item::{Item, Place, Why};
use super::lane::Lane;
use super::wait::Wait;
use crate::model::{DownlinkHappening, DownlinkId, State};

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
        match happening {
            DownlinkHappening::Queued if item.in_doubt() => item.queued(at, now, out),
            DownlinkHappening::Queued => {}
            DownlinkHappening::Sent { .. } if item.downlink.confirmed => {
                item.place = Place::Network { news: now, sent: true, missed: 0 };
                item.show(State::Sent, Why::default(), at, out);
            }
            DownlinkHappening::Sent { .. } => item.end(State::Sent, Why::default(), at, out),
            DownlinkHappening::Acked => item.end(State::Acked, Why::default(), at, out),
            DownlinkHappening::Nacked { attempt } => item.nacked(*attempt, at, now, out),
            // Whether it is still wanted is decided where it waits: here, once the network surely has it no more.
            DownlinkHappening::Dropped(failure) => item.fell_out(look, &failure.message, now, out),
            DownlinkHappening::Invalidated => item.fell_out(look, "the session changed", now, out),
            DownlinkHappening::Failed(failure) => item.end(State::Failed, because(failure), at, out),
        }
    }

    /// The device has a session, and the network had an occasion to send what it holds.
    pub fn alive(&mut self, now: Timestamp) {
        self.alive_meanwhile = true;
        self.hold = self.hold.take().filter(|hold| !hold.ends_when_heard);
        let open = self.items.iter().any(|item| matches!(item.place, Place::Network { .. }));
        if self.check.is_none() && open {
            self.check = Some(Wait::new(now, REPORT_WITHIN));
        }
    }
}

impl Item {
    /// Whether a report that it is queued tells something new.
    fn in_doubt(&self) -> bool {
        matches!(self.place, Place::Waiting | Place::Pushing | Place::Unsure(_))
    }

    /// The network itself appends it to its queue again.
    fn nacked(&mut self, attempt: Option<u32>, at: Timestamp, now: Timestamp, out: &mut Vec<Action>) {
        self.place = Place::Network { news: now, sent: false, missed: 0 };
        let why = attempt.map(|attempt| Why::reason(format!("not acknowledged: the network makes attempt {attempt}")));
        self.show(State::Nacked, why.unwrap_or_default(), at, out);
    }

    /// The network says it no longer has it. A report can be late, so this is looked up before another push.
    fn fell_out(&mut self, look: Wait, why: &str, now: Timestamp, out: &mut Vec<Action>) {
        if matches!(self.place, Place::Network { .. }) {
            self.doubt(look, why, now, out);
        }
    }
}
