//! What the network's answers to our requests do to the downlinks of one device.

use std::time::Duration;

use jiff::Timestamp;

use super::doubt::{Evidence, LOOK_AFTER};
use super::item::{Item, Place, Why};
use super::lane::{Hold, Lane};
use super::wait::Wait;
use super::{Action, Sighting};
use crate::model::{DownlinkEvent, DownlinkHappening, DownlinkId, Failure, State};
use crate::network::PushError;

const LOOK_AT_MOST: Duration = Duration::from_secs(300);
/// How long after a device was heard the report of a transmission may take (RX2 opens at most 16 s after an uplink,
/// LoRaWAN regional parameters).
pub const REPORT_WITHIN: Duration = Duration::from_secs(60);
/// How long a report may take that a downlink was sent just before it was withdrawn.
const WITHDRAWN_FOR: Duration = Duration::from_secs(20);
/// A device that was heard while its push was refused for want of a session has just joined.
const JUST_JOINED: Duration = Duration::from_secs(10);
/// A full queue at the network drains with uplinks; this is for the case that others emptied it.
const QUEUE_FULL_FOR: Duration = Duration::from_secs(300);
const FORBIDDEN_FOR: Duration = Duration::from_secs(300);
/// A confirmed downlink that was sent is given up when it was missed so often, the device being heard each time.
const MISSED_AT_MOST: u8 = 3;

impl Lane {
    /// Returns a hold that concerns every device of the application.
    pub fn pushed(
        &mut self,
        id: &DownlinkId,
        result: Result<(), PushError>,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) -> Option<Hold> {
        self.setbacks = if unclear(&result) { self.setbacks + 1 } else { 0 };
        let look = self.look_again(now);
        let alive = self.alive_meanwhile;
        // An event may have told more than the answer does, and before it.
        let item = self.find(id).filter(|item| item.place() == Place::Pushing)?;
        match result {
            Ok(()) => item.queued(now, now, out),
            Err(PushError::Refused(failure)) => item.end(State::Failed, refused(&failure), now, out),
            Err(PushError::Unknown(why)) => item.doubt(look, &why, now, out),
            Err(error) => {
                item.not_there();
                return self.held_by(&error, alive, now);
            }
        }
        None
    }

    /// Nothing was sent: it could not be written down first.
    pub fn unstored(&mut self, id: &DownlinkId) {
        if let Some(item) = self.find(id).filter(|item| item.place() == Place::Pushing) {
            item.not_there();
        }
    }

    /// `asked`: when the look-up was sent. What happened since is not in its answer.
    pub fn looked(
        &mut self,
        asked: Timestamp,
        result: Result<Sighting, PushError>,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) -> Option<Hold> {
        self.setbacks = match &result {
            Err(PushError::Unknown(_)) => self.setbacks + 1,
            Ok(sighting) if sighting.history_silent => self.setbacks,
            _ => 0,
        };
        let due = std::mem::take(&mut self.looking_when_due);
        match result {
            Ok(sighting) => self.compare(&sighting, asked, due, now, out),
            // No session, no queue. What was in it may have been sent before.
            Err(PushError::NoSession) => {
                let nothing = Evidence { complete: false, connected: true };
                self.doubtful().for_each(|item| item.absent(nothing, now, out));
                return self.held_by(&PushError::NoSession, self.alive_meanwhile, now);
            }
            Err(PushError::Refused(failure)) if failure.name == NO_DEVICE => self.device_gone(&failure, now, out),
            Err(PushError::Refused(failure)) => {
                self.doubtful().for_each(|item| item.end(State::Failed, never_clear(&failure), now, out));
            }
            Err(PushError::Unknown(why)) => {
                let look = self.look_again(now);
                if self.items.iter().any(Item::queued_at_network) {
                    (if due { &mut self.check } else { &mut self.soon }).get_or_insert(look);
                }
                self.doubtful().for_each(|item| item.still_in_doubt(look, &why, now, out));
            }
            Err(error) => {
                let hold = self.held_by(&error, false, now);
                let why = hold.as_ref().map(|hold| hold.why.clone()).unwrap_or_default();
                self.doubtful().for_each(|item| item.show(State::Held, why.clone(), now, out));
                return hold;
            }
        }
        None
    }

    pub fn withdrawn(
        &mut self,
        asked: &[DownlinkId],
        result: Result<Vec<DownlinkId>, PushError>,
        now: Timestamp,
        out: &mut Vec<Action>,
    ) -> Option<Hold> {
        self.setbacks = if unclear(&result) { self.setbacks + 1 } else { 0 };
        let look = self.look_again(now);
        self.items.iter_mut().filter(|item| item.withdrawing).for_each(|item| item.change().withdrawing = false);
        let hold = match &result {
            Err(PushError::Refused(failure)) if failure.name == NO_DEVICE => {
                self.device_gone(failure, now, out);
                None
            }
            Err(error @ (PushError::RateLimited { .. } | PushError::Forbidden(_))) => self.held_by(error, false, now),
            _ => None,
        };
        for item in self.items.iter_mut().filter(|item| asked.contains(item.id()) && item.queued_at_network()) {
            match &result {
                Ok(gone) if gone.contains(item.id()) => item.moves(Place::Withdrawn(Wait::new(now, WITHDRAWN_FOR))),
                // It may be out, or be sent this moment.
                Err(PushError::Unknown(why)) => item.doubt(look, why, now, out),
                Err(PushError::NoSession) => item.doubt(look, "no session", now, out),
                // Tried again when the hold ends.
                Err(error) if hold.is_some() => item.explain(Why::reason(error.to_string()), now, out),
                _ => item.keep(now, out),
            }
        }
        hold
    }

    /// The network knows the device no more: nothing of it will be sent or reported.
    fn device_gone(&mut self, failure: &Failure, now: Timestamp, out: &mut Vec<Action>) {
        for item in &mut self.items {
            match item.place() {
                Place::Network { .. } | Place::Unsure(_) if item.unwanted => {
                    item.end(State::Cancelled, because(failure), now, out);
                }
                Place::Network { .. } | Place::Unsure(_) => item.end(State::Failed, because(failure), now, out),
                _ => {}
            }
        }
    }

    /// When to look after an unclear answer.
    pub(super) fn look_again(&self, now: Timestamp) -> Wait {
        let doublings = self.setbacks.saturating_sub(1).min(10);
        Wait::new(now, LOOK_AFTER.saturating_mul(1 << doublings).min(LOOK_AT_MOST))
    }

    /// `due`: the device was heard long enough before. Only then has a confirmed downlink that was sent, of which nothing
    /// is known yet, been missed: until its device is heard it is in nobody's queue.
    fn compare(&mut self, sighting: &Sighting, asked: Timestamp, due: bool, now: Timestamp, out: &mut Vec<Action>) {
        sighting.history.events.iter().for_each(|event| self.remembered(event, now, out));
        let evidence = Evidence { complete: sighting.history.complete, connected: sighting.connected };
        let (mut soon, look) = (None, self.look_again(now));
        for item in &mut self.items {
            let there = sighting.waiting.contains(item.id());
            match item.place() {
                Place::Unsure(_) if item.look_is_for_it() && there => {
                    item.queued(now, now, out);
                    item.seen();
                }
                Place::Unsure(_) if item.look_is_for_it() => item.absent(evidence, now, out),
                Place::Network { .. } if there => item.seen(),
                Place::Network { .. } if item.dropped(&sighting.history.events) => {
                    item.doubt(look, "it fell out of the network's queue", now, out);
                }
                Place::Network { news, sent, .. } if due || !sent => {
                    let report = Wait::new(news, REPORT_WITHIN);
                    match report.over(asked) {
                        true => item.miss(now, out),
                        // Its report may be on the way; if none comes, it is missed then.
                        false => soon = Some(report),
                    }
                }
                _ => {}
            }
        }
        self.soon = self.soon.or(soon);
    }

    /// What this look-up was to clear up.
    fn doubtful(&mut self) -> impl Iterator<Item = &mut Item> {
        self.items.iter_mut().filter(|item| item.look_is_for_it())
    }

    /// Holds the device, or returns the hold for the whole application.
    fn held_by(&mut self, error: &PushError, alive: bool, now: Timestamp) -> Option<Hold> {
        let hold = |span: Option<Duration>, ends_when_heard, why| {
            Some(Hold { until: span.map(|span| Wait::new(now, span)), ends_when_heard, why })
        };
        let reason = Why::reason(error.to_string());
        match error {
            PushError::RateLimited { retry_after } => return hold(Some(*retry_after), false, reason),
            PushError::Forbidden(_) => return hold(Some(FORBIDDEN_FOR), false, reason.hint(FORBIDDEN_HINT)),
            PushError::NotNow { retry_after, .. } => self.hold = hold(Some(*retry_after), false, reason),
            PushError::NoSession => self.hold = hold(alive.then_some(JUST_JOINED), true, reason.hint(NO_SESSION_HINT)),
            _ => self.hold = hold(Some(QUEUE_FULL_FOR), true, reason),
        }
        None
    }
}

impl Item {
    /// It lies in the network's queue.
    pub(super) fn queued(&mut self, at: Timestamp, now: Timestamp, out: &mut Vec<Action>) {
        self.moves(Place::Network { news: now, sent: false, missed: 0 });
        self.show(State::Queued, Why::default(), at, out);
    }

    /// It was looked for, and lies where it should: nothing of it has been missed. A confirmed one may have been sent and
    /// put back.
    fn seen(&mut self) {
        if let Place::Network { news, sent, missed: 1.. } = self.place() {
            self.moves(Place::Network { news, sent, missed: 0 });
        }
        let confirmed = self.downlink.confirmed;
        if let Some(pushed) = self.pushed.as_mut().filter(|pushed| pushed.blind && !confirmed) {
            pushed.blind = false;
            self.change();
        }
    }

    /// Whether the network's history tells that it dropped it since the last report that was followed.
    fn dropped(&self, history: &[DownlinkEvent]) -> bool {
        let fell_out = |event: &DownlinkEvent| matches!(event.happening, DownlinkHappening::Dropped(_));
        let of_it = |event: &&DownlinkEvent| event.id.as_ref() == Some(self.id());
        history.iter().filter(of_it).max_by_key(|event| event.at).is_some_and(fell_out)
    }

    /// It left the network's queue, and the report of that did not reach us.
    fn miss(&mut self, now: Timestamp, out: &mut Vec<Action>) {
        let unreported =
            Why::reason("it left the network's queue; no report of its transmission came").hint(UNREPORTED_HINT);
        let Place::Network { news, sent, missed } = self.place() else { return };
        let missed = missed.saturating_add(1);
        if !self.downlink.confirmed {
            self.end(State::Sent, unreported, now, out);
        } else if missed >= MISSED_AT_MOST {
            let reason = "it left the network's queue; neither an acknowledgement nor a failure was reported";
            self.end(State::Failed, Why::reason(reason), now, out);
        } else {
            self.change().transmitted = true;
            self.moves(Place::Network { news, sent: true, missed });
            if !sent {
                self.show(State::Sent, unreported, now, out);
            }
        }
    }
}

/// The network's name for a device that was deleted there.
const NO_DEVICE: &str = "device_not_found";
const UNREPORTED_HINT: &str = "it may have been taken out of the queue by others; a confirmed one tells for sure";
const NO_SESSION_HINT: &str = "it goes out after the device's next join or uplink";
const FORBIDDEN_HINT: &str =
    "give the API key the rights to read and write downlink traffic; it is tried again every 5 minutes";

/// A failure as the home reads it: the network's sentence, with its name for the lookup in documents.
pub fn because(failure: &Failure) -> Why {
    match (failure.message.as_str(), failure.name.as_str()) {
        ("", name) => Why::reason(name),
        (message, "") => Why::reason(message),
        (message, name) => Why::reason(format!("{message} ({name})")),
    }
}

/// A push that will never be taken. A device that is not there yet will not come by itself either.
fn refused(failure: &Failure) -> Why {
    let why = because(failure);
    if failure.name == NO_DEVICE { why.hint("register the device at the network, then send it again") } else { why }
}

fn never_clear(failure: &Failure) -> Why {
    let reason = format!("no clear answer to the push, and the network refused to tell: {}", failure.message);
    Why::reason(reason).hint("it may or may not be sent")
}

fn unclear<T>(result: &Result<T, PushError>) -> bool {
    matches!(result, Err(PushError::Unknown(_)))
}
