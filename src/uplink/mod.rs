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
//! and stays on disk until the home broker acknowledged the last message it gave rise to.

mod config;
mod decode;
mod feed;
mod gaps;
mod memory;
mod publish;
mod receive;
mod record;
mod repair;
mod spool;

use std::future::{pending, ready};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::codecs::Crossed;
use crate::home;
use crate::network::{Arrival, Content};

pub use config::RepairConfig;
pub use decode::Decode;
pub use feed::MOST_IN_FLIGHT;
pub use memory::{Memory, Noted, What};
pub use publish::Publish;
pub use receive::Receive;
pub use record::Record;
pub use repair::{BackfillError, BackfillOutcome, Repair, RepairHandle, RepairParts};
pub use spool::{Spool, SpoolParts};

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
    pub home: HomePresence,
    /// How long the end may take to deliver what was read; the rest is delivered after the next start.
    pub drain: Duration,
}

/// Whether the home broker is there, and since when it is not.
pub struct HomePresence {
    connected: watch::Receiver<bool>,
    away_since: Option<Instant>,
}

impl Uplinks {
    /// Runs until the network side is gone and everything it told is delivered, or safe on disk and the home away.
    pub async fn run(mut self) {
        let (mut batch, mut open, mut drained_by) = (Vec::with_capacity(BATCH), true, Instant::now());
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while open || !self.spool.is_idle() {
            self.spool.read_back();
            let can_feed = self.spool.has_next() && self.decode.under_way() < MOST_IN_DECODING;
            let end = self.home.limit(drained_by);
            tokio::select! {
                biased;
                () = self.publish.state_due() => self.states_due(Instant::now()).await,
                came = self.home.changed() => self.home_changed(came).await,
                Some(crossed) = self.crossed.recv(), if self.decode.under_way() > 0 => self.leave(crossed).await,
                news = self.spool.news() => self.spool.take(news).await,
                _ = tick.tick() => self.tick().await,
                () = tokio::time::sleep_until(end), if !open => break,
                taken = self.arrivals.recv_many(&mut batch, BATCH), if open => {
                    (open, drained_by) = (taken > 0, Instant::now() + self.drain);
                    self.enter(&mut batch).await;
                }
                () = ready(()), if can_feed => self.feed().await,
            }
        }
        self.states_due(Instant::now() + home::HOLD).await;
        self.publish.save_states(self.spool.store()).await;
        self.spool.keep_within_limits().await;
    }

    async fn enter(&mut self, batch: &mut Vec<Arrival>) {
        for arrival in batch.drain(..) {
            match arrival {
                Arrival::Message(raw, content) => {
                    if let Some((entry, changes)) = self.record.take(raw, &content, self.spool.next_seq()) {
                        self.spool.record(entry, changes, content).await;
                    }
                }
                Arrival::Registered(device) => {
                    self.receive.register(&device).await;
                    self.decode.prepare(&device);
                    self.publish.renew_state(&device.key);
                }
                // Whoever asked may have gone.
                Arrival::Fetched { application, span, reply } => {
                    reply.send(self.record.tally(&application, span)).ok();
                }
            }
        }
    }

    async fn feed(&mut self) {
        let Some((seq, content)) = self.spool.take_next() else { return };
        let mut uplink = match content {
            Content::Uplink(uplink) => uplink,
            other => return self.receive.tell(other, seq).await,
        };
        uplink.spooled = Some(seq);
        let missing = self.record.identify(&mut uplink);
        let name = self.receive.meet(&uplink).await;
        if missing > 0 && !uplink.backfilled {
            self.publish.lost_frames(&uplink, &name, missing).await;
        }
        if let Some((uplink, reading)) = self.decode.start(uplink) {
            self.publish.uplink(&uplink, &name, reading, self.spool.store()).await;
        }
    }

    async fn leave(&mut self, crossed: Crossed) {
        let name = self.receive.name_of(&crossed.uplink.key);
        let (uplink, reading) = self.decode.finish(crossed);
        self.publish.uplink(&uplink, &name, reading, self.spool.store()).await;
    }

    async fn states_due(&mut self, now: Instant) {
        while let Some((key, state)) = self.publish.take_due(now) {
            match self.receive.met(&key) {
                Some(name) => self.publish.state(&name, state).await,
                // It was restored, and what its device is called now is not known yet.
                None => self.publish.hold_back(&key),
            }
        }
    }

    async fn home_changed(&mut self, came: bool) {
        if came {
            self.publish.renew_states();
            self.spool.keep_within_limits().await;
        }
    }

    async fn tick(&mut self) {
        self.spool.keep_within_limits().await;
        if self.publish.saving_is_due(Instant::now()) {
            self.publish.save_states(self.spool.store()).await;
        }
    }
}

impl HomePresence {
    pub fn new(connected: watch::Receiver<bool>) -> Self {
        let away_since = (!*connected.borrow()).then(Instant::now);
        Self { connected, away_since }
    }

    /// Whether it came or went, when it did. May be dropped at any time.
    async fn changed(&mut self) -> bool {
        if self.connected.changed().await.is_err() {
            pending::<()>().await;
        }
        let connected = *self.connected.borrow_and_update();
        self.away_since = (!connected).then(Instant::now);
        connected
    }

    /// Until when the end waits.
    fn limit(&self, drained_by: Instant) -> Instant {
        let patience = self.away_since.map_or(drained_by, |since| since + AWAY);
        drained_by.min(patience)
    }
}
