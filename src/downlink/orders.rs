//! Between encoding and the queue: a command is checked against what is open and what has been, and accepted once it is
//! stored, or refused with the reason.

use jiff::SignedDuration;

use super::Downlinks;
use super::desk::Reply;
use super::intake::{self, Addressee, Order, Prepared, Refused, new_id};
use super::queue::{Action, Item};
use super::refusal::Refusal;
use super::track;
use crate::model::{DeviceKey, DownlinkId, State, Step};

/// A command that the home broker sends again was stored before the last connection, or the last process, ended: its
/// downlinks are open, or ended not long ago.
const LATELY: SignedDuration = SignedDuration::from_hours(1);
const MOST_LATELY: usize = 100;

impl Downlinks {
    /// One command, after its first two steps.
    pub(super) async fn take(&mut self, Order { prepared, reply, ack, stem }: Order) {
        if ack.is_repeated() && self.taken_before(&prepared, stem.as_deref()).await {
            tracing::info!("A command came again that is stored already.");
            return ack.done();
        }
        match (self.decide(prepared).await, reply) {
            (Ok(items), reply) => {
                // Whoever asked may have gone; the command is carried out all the same.
                reply.map(|reply: Reply| reply.send(Ok(items)));
                ack.done();
                self.happened([]).await;
            }
            (Err(refused), Some(reply)) => {
                reply.send(Err(refused.refusal)).ok();
            }
            (Err(refused), None) => {
                self.refuse(refused).await;
                ack.done();
            }
        }
    }

    /// Whether the home broker sends a command once more because it did not learn that it was stored: by the ids that the
    /// command gave, or by what those begin with that were made for it.
    async fn taken_before(&mut self, prepared: &Prepared, stem: Option<&str>) -> bool {
        let Some(first) = prepared.adds().first() else { return false };
        if self.queue.holds(&first.id) || matches!(self.ledger.finished(&first.id).await, Ok(Some(_))) {
            return true;
        }
        let Some(stem) = stem.filter(|stem| first.id.as_str().starts_with(stem)) else { return false };
        let made = |id: &DownlinkId| id.as_str().len() == first.id.as_str().len() && id.as_str().starts_with(stem);
        if self.queue.of(&first.key).iter().any(|open| made(&open.id)) {
            return true;
        }
        let lately = (self.now)() - LATELY;
        let finished = self.ledger.newest(&first.key, MOST_LATELY).await;
        finished.iter().any(|item| made(item.id()) && item.updated_at >= lately)
    }

    /// Carries the command out and tells what it did, once that is stored.
    async fn decide(&mut self, prepared: Prepared) -> Result<Vec<Item>, Refused> {
        let prepared = self.unused(prepared).await?;
        let prepared = self.with_room(prepared)?;
        let key = prepared.key().cloned();
        let clears = matches!(prepared, Prepared::Clear(_));
        let events = intake::events(prepared)?;
        let now = (self.now)();
        let (before, actions, changes) = {
            let mut machine = self.queue.lock();
            let before = key.as_ref().and_then(|key| machine.snapshot(key));
            let actions: Vec<_> = events.into_iter().flat_map(|event| machine.handle(event, now)).collect();
            (before, actions, machine.take_changes(now))
        };
        if let Err(refusal) = self.ledger.keep_command(&changes, now).await {
            let Some(key) = key else { return Ok(changes) };
            self.queue.lock().put_back(&key, before);
            let others = changes.into_iter().filter(|item| item.downlink.key != key).collect();
            self.ledger.keep(others).await.ok();
            let theirs = |action: &Action| !matches!(action, Action::Publish(of, ..) if *of == key);
            self.carry_out(actions.into_iter().filter(theirs).collect(), &Ok(())).await;
            return Err(Refused { addressee: Addressee::Device(key), id: None, refusal });
        }
        if let Some(key) = key.as_ref().filter(|key| clears && actions.is_empty() && self.queue.of(key).is_empty()) {
            self.nothing_to_clear(key).await;
        }
        self.carry_out(actions, &Ok(())).await;
        Ok(changes.into_iter().filter(|item| Some(&item.downlink.key) == key.as_ref()).collect())
    }

    /// An id stands for one downlink, as long as that is remembered; and what is cancelled must be open.
    async fn unused(&mut self, prepared: Prepared) -> Result<Prepared, Refused> {
        if let Prepared::Cancel(key, id) = &prepared {
            let (key, id) = (key.clone(), id.clone());
            return self.still_open(key, id).await.map(|()| prepared);
        }
        for downlink in prepared.adds() {
            let refusal = match self.queue.holds(&downlink.id) {
                true => Refusal::new(format!("id `{}` belongs to a downlink that is still open", downlink.id))
                    .hint("choose another id, or leave it out"),
                false => match self.ledger.finished(&downlink.id).await {
                    Ok(Some(item)) => used(&item),
                    Ok(None) => continue,
                    Err(error) => Refusal::new(format!("it cannot be stored: {error}")).passes(),
                },
            };
            return Err(Refused { addressee: Addressee::Device(downlink.key.clone()), id: None, refusal });
        }
        Ok(prepared)
    }

    async fn still_open(&mut self, key: DeviceKey, id: DownlinkId) -> Result<(), Refused> {
        if self.queue.of(&key).iter().any(|open| open.id == id) {
            return Ok(());
        }
        let finished = self.ledger.finished(&id).await.ok().flatten().filter(|item| item.downlink.key == key);
        let (id, refusal) = match finished.as_ref().and_then(|item| item.steps().last()) {
            // The end it reached stays its end: this is told beside it.
            Some(end) => (None, Refusal::new(format!("cannot cancel: `{id}` is {} already", end.state.as_str()))),
            None => (Some(id), Refusal::new("cannot cancel: no open downlink of this device has this id")),
        };
        Err(Refused { addressee: Addressee::Device(key), id, refusal })
    }

    /// All of a command's downlinks fit, or none is taken.
    fn with_room(&self, prepared: Prepared) -> Result<Prepared, Refused> {
        let adds = prepared.adds();
        let Some(first) = adds.first() else { return Ok(prepared) };
        let replacing = matches!(prepared, Prepared::Replace(..));
        let Some(why) = self.queue.lock().no_room(&first.key, adds.len(), replacing) else { return Ok(prepared) };
        let id = (adds.len() == 1).then(|| first.id.clone());
        let (reason, hint) = (why.reason.unwrap_or_default(), why.hint.map(str::to_owned));
        let refusal = Refusal { reason, hint, passes: false };
        Err(Refused { addressee: Addressee::Device(first.key.clone()), id, refusal })
    }

    /// Every command gets an answer, also one that finds nothing to do.
    async fn nothing_to_clear(&mut self, key: &DeviceKey) {
        let reason = Some("nothing was waiting".to_owned());
        let step = Step { id: new_id(), state: State::Cancelled, at: (self.now)(), reason, hint: None };
        track::publish(&self.home, &self.directory, key, &step, None).await;
    }

    /// Says why, under the command's own id unless a downlink has it.
    async fn refuse(&mut self, Refused { addressee, id, refusal }: Refused) {
        let id = id.filter(|id| !self.queue.holds(id)).unwrap_or_else(new_id);
        let step = refusal.step(id, (self.now)());
        match addressee {
            Addressee::Device(key) => track::publish(&self.home, &self.directory, &key, &step, None).await,
            Addressee::Unknown(called) => {
                tracing::warn!(
                    name = called.as_ref().and_then(|called| called.name.as_deref().or(called.device_id.as_deref())),
                    reason = step.reason,
                    "Command refused."
                );
                if let Some(called) = called {
                    self.home.refusal(&called, &step).await;
                }
            }
        }
    }
}

fn used(item: &Item) -> Refusal {
    let end = item.steps().last().map_or("finished", |step| step.state.as_str());
    Refusal::new(format!("id `{}` was used before: that downlink is {end}", item.id()))
        .hint("if this is the same command again, it need not be sent; else choose another id, or leave it out")
}
