//! From the network to home, as a list of steps.
//!
//! ```text
//! arrival ─▶ record ─▶ (disk) ─▶ feed ─▶ receive ─▶ decode ─▶ publish ─▶ home ── acknowledged ─▶ settled
//!            seen       spool              which      its       uplink, state,
//!            before?                       device?    codec     events
//! ```
//!
//! Uplinks of one device keep their order: one task feeds them as they came, one lane decodes them, and they come back
//! from it in order. Arrivals never wait for what comes after the record. An uplink is published whatever its codec does,
//! and stays on disk until the home broker acknowledged the last message it gave rise to. Beside the steps, `hearing`
//! tells which devices are there.

mod config;
mod decode;
mod feed;
mod formatters;
mod gaps;
mod hearing;
mod memory;
mod publish;
mod receive;
mod record;
mod repair;
mod roll;
mod spool;
mod tidy;

use std::collections::BTreeMap;
use std::future::{pending, ready};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::codecs::Crossed;
use crate::home::{self, AssistantStarts};
use crate::model::{ApplicationName, HomeName, Receipt, Subject, Uplink};
use crate::network::{Arrival, Content};

pub use config::RepairConfig;
pub use decode::Decode;
use decode::Reading;
pub use feed::MOST_IN_FLIGHT;
pub use formatters::{Formatters, Wants};
pub use hearing::{Hearing, HearingParts};
pub use memory::{Memory, Noted, What};
pub use publish::Publish;
pub use receive::{Receive, forget};
pub use record::Record;
pub use repair::{BackfillError, BackfillOutcome, OpenGap, Repair, RepairHandle, RepairParts};
pub use roll::Roll;
pub use spool::{Spool, SpoolParts};
pub use tidy::Tidy;

/// Uplinks under way to or from their codecs: fewer than a codec lane holds, so that sending one never has to wait.
pub const MOST_IN_DECODING: usize = crate::codecs::LANE_CAPACITY - 16;
/// Arrivals taken at once.
const BATCH: usize = 64;
/// How often limits are looked at and states are saved.
const TICK: Duration = Duration::from_secs(1);
/// How long the end waits for a home broker that is away: what it would have got is on disk.
const AWAY: Duration = Duration::from_secs(2);

/// The uplink flow.
pub struct Uplinks {
    pub arrivals: mpsc::Receiver<Arrival>,
    pub crossed: mpsc::Receiver<Crossed>,
    pub record: Record,
    pub spool: Spool,
    pub receive: Receive,
    pub decode: Decode,
    pub publish: Publish,
    pub hearing: Hearing,
    pub tidy: Tidy,
    pub roll: Roll,
    pub home: HomePresence,
    /// The applications whose registries were read, and whether they told every device.
    pub listed: watch::Sender<BTreeMap<ApplicationName, bool>>,
    /// How long the end may take to deliver what was read, and half that time again for what is on its way by then; the
    /// rest is delivered after the next start.
    pub drain: Duration,
}

/// How far the flow is with its end, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing comes any more; what is on disk leaves.
    Emptying(Instant),
    /// What is on its way is waited for: what was delivered must not go again after the next start.
    Settling(Instant),
    Over,
}

/// Whether the home broker is there, and since when it is not.
pub struct HomePresence {
    connected: watch::Receiver<bool>,
    away_since: Option<Instant>,
    assistant: AssistantStarts,
}

impl Uplinks {
    /// Runs until the network side is gone and everything it told is delivered, or safe on disk and the home away or slow.
    pub async fn run(mut self) {
        let (mut batch, mut phase) = (Vec::with_capacity(BATCH), Phase::Open);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.is_finished(phase) {
            self.spool.read_back();
            let (is_open, limit) = (phase == Phase::Open, self.home.limit(phase));
            let can_feed = phase.feeds() && self.spool.has_next() && self.decode.under_way() < MOST_IN_DECODING;
            tokio::select! {
                biased;
                () = self.publish.state_due() => self.states_due(Instant::now()).await,
                came = self.home.changed() => self.home_changed(came).await,
                Some(crossed) = self.crossed.recv(), if self.decode.under_way() > 0 => self.leave(crossed).await,
                news = self.spool.news() => self.spool.take(news).await,
                _ = tick.tick() => self.tick().await,
                () = tokio::time::sleep_until(limit), if !is_open => phase = phase.next(self.drain),
                taken = self.arrivals.recv_many(&mut batch, BATCH), if is_open && self.spool.has_room(BATCH) => {
                    if taken == 0 {
                        phase = phase.next(self.drain);
                    }
                    self.enter(&mut batch).await;
                }
                () = ready(()), if can_feed => self.feed().await,
            }
        }
        self.states_due(Instant::now() + home::LONGEST_THROTTLE).await;
        self.publish.save_states(self.spool.store()).await;
        self.hearing.save(self.spool.store()).await;
        self.tidy.save(self.spool.store()).await;
        self.spool.keep_within_limits().await;
    }

    fn is_finished(&self, phase: Phase) -> bool {
        match phase {
            Phase::Open => false,
            Phase::Emptying(_) => self.spool.is_idle() || self.home.is_given_up(),
            Phase::Settling(_) => self.spool.is_quiet() || self.home.is_given_up(),
            Phase::Over => true,
        }
    }

    async fn enter(&mut self, batch: &mut Vec<Arrival>) {
        for arrival in batch.drain(..) {
            match arrival {
                Arrival::Message(raw, content) => {
                    if let Some((entry, changes)) = self.record.take(raw, &content, self.spool.next_seq()) {
                        self.hearing.hear(&content);
                        self.spool.record(entry, changes, content).await;
                    }
                }
                Arrival::Registered(device) => {
                    self.roll.list(&device.key);
                    self.receive.register(&device).await;
                    self.decode.prepare(&device);
                    self.hearing.attributes(&device.key, &device.attributes);
                    self.publish.renew_state(&device.key);
                }
                Arrival::Listed { application, wholly } => self.listed(application, wholly).await,
                // Whoever asked may have gone.
                Arrival::Fetched { application, span, reply } => {
                    reply.send(self.record.tally(&application, span)).ok();
                }
            }
        }
    }

    /// An application's registry was read. What it has no more is of no concern.
    async fn listed(&mut self, application: ApplicationName, wholly: bool) {
        for key in self.receive.gone(&mut self.roll, &application, wholly) {
            self.receive.forget(&key);
        }
        self.tidy.look_again();
        self.listed.send_if_modified(|listed| listed.insert(application, wholly) != Some(wholly));
    }

    async fn feed(&mut self) {
        let Some((seq, content)) = self.spool.take_next() else { return };
        match content {
            Content::Uplink(uplink) => self.feed_uplink(uplink, seq).await,
            Content::Join(join) => self.receive.join(join, Receipt::Uplink(seq)).await,
            Content::Location(location) => self.receive.location(*location, Receipt::Uplink(seq)).await,
            Content::Service(data) => self.receive.service(*data, Receipt::Uplink(seq)).await,
        }
    }

    async fn feed_uplink(&mut self, mut uplink: Box<Uplink>, seq: u64) {
        uplink.spooled = Some(seq);
        let missing = self.record.identify(&mut uplink);
        let name = self.receive.meet(&uplink).await;
        self.hearing.tell(Subject { key: &uplink.key, name: &name }).await;
        if missing > 0 && !uplink.backfilled {
            self.publish.lost_frames(&uplink, &name, missing).await;
        }
        if let Some((uplink, reading)) = self.decode.start(uplink) {
            self.publish(&uplink, &name, reading).await;
        }
    }

    async fn leave(&mut self, crossed: Crossed) {
        let name = self.receive.name_of(&crossed.uplink.key);
        let (uplink, reading) = self.decode.finish(crossed);
        self.publish(&uplink, &name, reading).await;
    }

    async fn publish(&mut self, uplink: &Uplink, name: &HomeName, reading: Reading) {
        self.publish.note_lost(&uplink.key, self.record.memory().lost(&uplink.key));
        self.publish.uplink(uplink, name, reading, self.spool.store()).await;
    }

    async fn states_due(&mut self, now: Instant) {
        while let Some((key, state)) = self.publish.take_due(now) {
            match self.receive.met(&key) {
                Some(name) => self.publish.state(Subject { key: &key, name: &name }, &state).await,
                // It was restored, and what its device is called now is not known yet.
                None => self.publish.hold_back(&key),
            }
        }
    }

    async fn home_changed(&mut self, came: bool) {
        if came {
            self.publish.renew_states();
            self.hearing.renew();
            self.spool.keep_within_limits().await;
        }
    }

    async fn tick(&mut self) {
        self.spool.keep_within_limits().await;
        if self.publish.saving_is_due(Instant::now()) {
            self.publish.save_states(self.spool.store()).await;
        }
        self.publish.begin_day();
        self.hearing.tick(self.spool.store()).await;
        self.look_after_topics().await;
    }

    /// What was told under topics that are not in use any more goes, and is told again under those that are.
    async fn look_after_topics(&mut self) {
        for key in self.tidy.take_removed() {
            self.publish.forget(&key);
            self.hearing.forget(&key);
            self.spool.store().forget_device(key).await;
        }
        if self.tidy.settings_changed() {
            self.publish.topics_changed();
        }
        if self.home.is_there() {
            let listed = self.listed.borrow().clone();
            for key in self.tidy.look(&listed).await {
                self.publish.renamed(&key);
            }
        }
        self.tidy.save(self.spool.store()).await;
    }
}

impl HomePresence {
    pub fn new(connected: watch::Receiver<bool>, assistant: AssistantStarts) -> Self {
        let away_since = (!*connected.borrow()).then(Instant::now);
        Self { connected, away_since, assistant }
    }

    /// Whether it came or went, when it did; that Home Assistant came is the same. May be dropped at any time.
    async fn changed(&mut self) -> bool {
        tokio::select! {
            Ok(()) = self.connected.changed() => {}
            () = self.assistant.settled() => return true,
            else => pending().await,
        }
        let connected = *self.connected.borrow_and_update();
        self.away_since = (!connected).then(Instant::now);
        connected
    }

    fn is_there(&self) -> bool {
        self.away_since.is_none()
    }

    /// Whether it has been away for so long that the end does not wait for it.
    fn is_given_up(&self) -> bool {
        self.away_since.is_some_and(|since| since.elapsed() >= AWAY)
    }

    /// When the phase is over, or the home is given up if it stays away.
    fn limit(&self, phase: Phase) -> Instant {
        let patience = self.away_since.map(|since| since + AWAY);
        match phase {
            Phase::Open | Phase::Over => Instant::now(),
            Phase::Emptying(until) | Phase::Settling(until) => patience.map_or(until, |patience| until.min(patience)),
        }
    }
}

impl Phase {
    fn feeds(self) -> bool {
        matches!(self, Self::Open | Self::Emptying(_))
    }

    fn next(self, drain: Duration) -> Self {
        match self {
            Self::Open => Self::Emptying(Instant::now() + drain),
            Self::Emptying(_) => Self::Settling(Instant::now() + drain / 2),
            Self::Settling(_) | Self::Over => Self::Over,
        }
    }
}
