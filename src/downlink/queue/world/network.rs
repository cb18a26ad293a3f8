//! The network's side of the model's world: what it does, what it answers, and what of it is heard.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Acts, How, IN_NETWORK, ON_AIR_FOR, Report, Stream, World, device, leaves_it_to_us};
use crate::downlink::queue::{Answer, Event, Request, Sighting};
use crate::model::{
    ApplicationName, DeviceKey, DownlinkEvent, DownlinkHappening, DownlinkId, Failure, QueuedDownlink, State,
};
use crate::network::{Budget, DownlinkHistory, PushError};

/// Attempts that the machine makes of a confirmed downlink where the network does not repeat it.
const ATTEMPTS: u32 = 8;

impl World {
    pub fn answer(&mut self, index: usize, how: How, history: Option<u8>) {
        let Some((request, _)) = self.under_way.remove(&device(index)) else { return };
        let answer = match request {
            Request::Push(downlink) => self.answer_push(downlink, how),
            Request::Look(lookup) => self.answer_look(lookup.key, how, history),
            Request::Withdraw(key, ids) => {
                let acts = matches!(how, How::Well | How::Spent | How::Unclear(Acts::Now));
                let gone = if acts { self.withdraw(&key, &ids) } else { Vec::new() };
                Answer::Withdrawn(key, ids, outcome(how).map(|_| gone))
            }
        };
        self.event(Event::Answered(answer));
    }

    fn answer_push(&mut self, downlink: QueuedDownlink, how: How) -> Answer {
        let known = self.book.get_mut(&downlink.id).unwrap();
        known.unclear = matches!(how, How::Unclear(_)) && known.end.is_none();
        known.pushable = !matches!(how, How::Well | How::Spent | How::Unclear(_));
        match how {
            How::Well | How::Spent => self.network_acts(downlink.clone(), Acts::Now),
            How::Unclear(acts) => self.network_acts(downlink.clone(), acts),
            _ => {}
        }
        Answer::Pushed(downlink.key, downlink.id, outcome(how))
    }

    pub(super) fn network_acts(&mut self, downlink: QueuedDownlink, acts: Acts) {
        match acts {
            Acts::Never => return,
            Acts::Later => return self.acts_at(self.elapsed + 8, downlink),
            Acts::Now => {}
        }
        assert!(!self.book[&downlink.id].transmitted, "{} is sent twice", downlink.id);
        let queue = self.queues.entry(downlink.key.clone()).or_default();
        assert!(!queue.contains(&downlink.id), "{} is queued twice", downlink.id);
        queue.push(downlink.id.clone());
        assert!(queue.len() <= IN_NETWORK, "{queue:?}");
        self.tell(&downlink.key, &downlink.id, DownlinkHappening::Queued);
    }

    pub(super) fn acts_at(&mut self, due: i64, downlink: QueuedDownlink) {
        match due <= self.elapsed {
            true => self.network_acts(downlink, Acts::Now),
            false => self.late.push((due, downlink)),
        }
    }

    /// Something happens at the network: it goes into its history, and out on the stream if that holds.
    fn tell(&mut self, key: &DeviceKey, id: &DownlinkId, happening: DownlinkHappening) {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(self.elapsed * 2 + self.history.len() as i64 * 2);
        let event = DownlinkEvent { key: key.clone(), id: Some(id.clone()), happening, at };
        let push = self.book[id].pushes;
        self.history.push((event.clone(), push));
        if self.streams[&key.application] == Stream::Up {
            self.reports.push(Report { event, id: id.clone(), push, since: self.elapsed });
        }
    }

    fn answer_look(&mut self, key: DeviceKey, how: How, history: Option<u8>) -> Answer {
        // That the look-up itself is refused for good has its own test: what it ends with is not known to the network.
        let how = if matches!(how, How::Refused | How::NoSession) { How::Well } else { how };
        let waiting = self.queues.entry(key.clone()).or_default().clone();
        if outcome(how).is_ok() {
            for known in self.book.values_mut().filter(|known| known.downlink.key == key) {
                let id = &known.downlink.id;
                let coming = self.late.iter().any(|(_, late)| late.id == *id);
                known.unclear = false;
                known.pushable |= !waiting.contains(id) && !known.transmitted && !coming;
            }
        }
        let of_device = self.history.iter().filter(|(event, _)| event.key == key);
        let mut events: Vec<_> = of_device.filter(|(event, push)| self.counts(event, *push)).cloned().collect();
        let complete = history == Some(0);
        if !complete {
            // The latest so many, or none.
            events.drain(..events.len().saturating_sub(history.unwrap_or(0).into()));
        }
        let connected = self.streams[&key.application] != Stream::Down;
        for (event, _) in events.iter().filter(|_| outcome(how).is_ok()) {
            self.told_of(event);
        }
        let history = DownlinkHistory { events: events.into_iter().map(|(event, _)| event).collect(), complete };
        let sighting = Sighting { waiting, history, history_silent: false, connected };
        Answer::Looked(key, outcome(how).map(|_| sighting))
    }

    /// The network's side of a withdrawal: only if nothing else waits there.
    pub(super) fn withdraw(&mut self, key: &DeviceKey, ids: &[DownlinkId]) -> Vec<DownlinkId> {
        let queue = self.queues.entry(key.clone()).or_default();
        if queue.iter().all(|id| ids.contains(id)) { std::mem::take(queue) } else { Vec::new() }
    }

    pub(super) fn uplink(&mut self, key: &DeviceKey, acknowledges: bool) {
        // No device sends before its receive windows are over.
        self.on_air.iter_mut().filter(|(_, of, ..)| of == key).for_each(|(due, ..)| *due = self.elapsed);
        self.transmitted();
        let sent: Vec<_> = self.awaiting.keys().filter(|id| self.book[*id].downlink.key == *key).cloned().collect();
        for id in sent {
            let attempt = self.awaiting.remove(&id).unwrap();
            let happening = match (acknowledges, attempt) {
                (true, _) => DownlinkHappening::Acked,
                (false, _) if leaves_it_to_us(key) => {
                    let known = self.book.get_mut(&id).unwrap();
                    (known.transmitted, known.unrepeated) = (false, known.unrepeated + 1);
                    assert!(known.unrepeated <= ATTEMPTS, "{id} is pushed for ever");
                    DownlinkHappening::NotRepeated
                }
                (false, 3..) => failed("max_retries_reached"),
                (false, _) => {
                    self.queues.entry(key.clone()).or_default().push(id.clone());
                    self.attempts.insert(id.clone(), attempt);
                    DownlinkHappening::Nacked { attempt: Some(attempt + 1) }
                }
            };
            self.tell(key, &id, happening);
        }
        self.event(Event::Alive(key.clone(), Duration::ZERO));
    }

    pub(super) fn transmit(&mut self, key: &DeviceKey, refused_by_gateway: bool) {
        let queue = self.queues.entry(key.clone()).or_default();
        if queue.is_empty() {
            return;
        }
        let id = queue.remove(0);
        let known = self.book.get_mut(&id).unwrap();
        known.transmitted = true;
        if known.downlink.confirmed && !refused_by_gateway {
            let attempt = self.attempts.get(&id).copied().unwrap_or(0) + 1;
            self.awaiting.insert(id.clone(), attempt);
        }
        let sent = DownlinkHappening::Sent { f_cnt: None };
        let happening = if refused_by_gateway { failed("transmission") } else { sent };
        self.on_air.push((self.elapsed + ON_AIR_FOR, key.clone(), id, happening));
    }

    /// Tells of what the gateways sent meanwhile; it left the queues before.
    pub(super) fn transmitted(&mut self) {
        let elapsed = self.elapsed;
        let (done, still) = std::mem::take(&mut self.on_air).into_iter().partition(|(due, ..)| *due <= elapsed);
        self.on_air = still;
        let done: Vec<(i64, DeviceKey, DownlinkId, DownlinkHappening)> = done;
        done.into_iter().for_each(|(_, key, id, happening)| self.tell(&key, &id, happening));
    }

    pub(super) fn lose_session(&mut self, key: &DeviceKey) {
        for id in std::mem::take(self.queues.entry(key.clone()).or_default()) {
            // A retry of a confirmed one: the network gives it up.
            let given_up = self.book[&id].transmitted;
            let dropped = DownlinkHappening::Dropped(failure("no_device_session"));
            self.tell(key, &id, if given_up { failed("max_retries_reached") } else { dropped });
        }
    }

    /// A frame of the network's own takes the number that was to be theirs.
    pub(super) fn give_back(&mut self, key: &DeviceKey) {
        for id in std::mem::take(self.queues.entry(key.clone()).or_default()) {
            self.tell(key, &id, DownlinkHappening::GivenBack);
        }
    }

    /// Whether the network's side hands this on: what only counts for the push that it is of is not told of an earlier one.
    fn counts(&self, event: &DownlinkEvent, push: u32) -> bool {
        let of_a_push = match event.happening {
            DownlinkHappening::NotRepeated | DownlinkHappening::GivenBack => true,
            DownlinkHappening::Queued => leaves_it_to_us(&event.key),
            _ => false,
        };
        !of_a_push || event.id.as_ref().is_some_and(|id| self.book[id].pushes == push)
    }

    /// The network surely has it no more.
    fn told_of(&mut self, event: &DownlinkEvent) {
        if let (DownlinkHappening::NotRepeated | DownlinkHappening::GivenBack, Some(id)) = (&event.happening, &event.id)
        {
            let known = self.book.get_mut(id).unwrap();
            (known.pushable, known.unclear) = (true, false);
        }
    }

    pub(super) fn report(&mut self, which: usize, again: bool) {
        if self.reports.is_empty() {
            return;
        }
        let index = which % self.reports.len();
        let Report { event, id, push, .. } = &self.reports[index];
        let (event, id, counts) = (event.clone(), id.clone(), self.counts(event, *push));
        if !again {
            self.reports.remove(index);
        }
        if !counts {
            return;
        }
        if let Some(known) = self.book.get_mut(&id) {
            known.unclear = false;
        }
        self.told_of(&event);
        self.event(Event::Heard { key: event.key, id, happening: event.happening, at: event.at });
    }

    /// Only where the push was answered well: an unclear answer and a lost report together cannot be told from nothing.
    pub(super) fn lose_report(&mut self, which: usize) {
        if self.reports.is_empty() {
            return;
        }
        let index = which % self.reports.len();
        let Report { event, id, .. } = &self.reports[index];
        let fell_out = matches!(event.happening, DownlinkHappening::Dropped(_) | DownlinkHappening::GivenBack);
        let acknowledged =
            self.machine.find(id).is_none_or(|item| item.steps().iter().any(|s| s.state == State::Queued));
        if !self.book[id].unclear && !fell_out && acknowledged {
            self.reports.remove(index);
        }
    }

    pub(super) fn go_deaf(&mut self, application: &ApplicationName) {
        if self.streams[application] == Stream::Up {
            self.streams.insert(application.clone(), Stream::Deaf(self.elapsed));
            self.reports.retain(|report| report.event.key.application != *application);
        }
    }

    pub(super) fn reconnect(&mut self, application: &ApplicationName) {
        if self.streams.insert(application.clone(), Stream::Up) != Some(Stream::Up) {
            self.event(Event::Blind(application.clone()));
        }
    }
}

fn failed(name: &str) -> DownlinkHappening {
    DownlinkHappening::Failed(failure(name))
}

fn failure(name: &str) -> Failure {
    Failure { name: name.into(), message: String::new() }
}

fn outcome(how: How) -> Result<Budget, PushError> {
    let failure = Failure { name: "some_name".into(), message: "some text".into() };
    Err(match how {
        How::Well => return Ok(Budget::default()),
        How::Spent => return Ok(Budget { available: Some(0), wait: Duration::from_secs(20) }),
        How::Refused => PushError::Refused(failure),
        How::NoSession => PushError::NoSession,
        How::RateLimited => PushError::RateLimited { retry_after: Duration::from_secs(30) },
        How::QueueFull => PushError::QueueFull,
        How::Forbidden => PushError::Forbidden(failure),
        How::Unclear(_) => PushError::Unknown("timeout".into()),
    })
}
