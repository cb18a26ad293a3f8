//! From the network to home, as a list of steps.
//!
//! ```text
//! arrival ─▶ receive ─▶ record ─▶ decode ─▶ publish ─▶ home
//!            which       seen      its       uplink, state,
//!            device?     before?   codec     events
//! ```
//!
//! Uplinks of one device keep their order: one task receives them, one lane decodes them, and they come back from it
//! in order. An uplink is published whatever its codec does.

mod config;
mod decode;
pub mod gaps;
mod publish;
mod receive;
mod record;
mod repair;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::codecs::Crossed;
use crate::home;
use crate::network::Arrival;
use crate::telemetry::{Count, Counters};

pub use config::RepairConfig;
pub use decode::Decode;
pub use publish::Publish;
pub use receive::{Receive, Received};
pub use record::{Memory, Record};
pub use repair::{BackfillError, BackfillOutcome, Repair, RepairHandle, RepairParts};

/// Uplinks under way to or from their codecs: fewer than a codec lane holds, so that sending one never has to wait.
pub const MOST_IN_DECODING: usize = crate::codecs::LANE_CAPACITY - 16;

/// The uplink flow.
pub struct Uplinks {
    pub arrivals: mpsc::Receiver<Arrival>,
    pub crossed: mpsc::Receiver<Crossed>,
    pub receive: Receive,
    pub record: Record,
    pub decode: Decode,
    pub publish: Publish,
    /// Whether the home broker is there.
    pub home_connected: watch::Receiver<bool>,
    pub counters: Counters,
}

impl Uplinks {
    /// Runs until the network side is gone and everything it told is published.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.publish.state_due() => self.states_due(Instant::now()).await,
                Ok(()) = self.home_connected.changed() => if *self.home_connected.borrow_and_update() {
                    self.publish.renew_states();
                },
                Some(crossed) = self.crossed.recv(), if self.decode.under_way() > 0 => self.leave(crossed).await,
                arrival = self.arrivals.recv(), if self.decode.under_way() < MOST_IN_DECODING => match arrival {
                    Some(arrival) => self.enter(arrival).await,
                    None => break,
                },
            }
        }
        while self.decode.under_way() > 0 {
            let Some(crossed) = self.crossed.recv().await else { return };
            self.leave(crossed).await;
        }
        self.states_due(Instant::now() + home::HOLD).await;
    }

    async fn states_due(&mut self, now: Instant) {
        while let Some((key, state)) = self.publish.take_due(now) {
            let name = self.receive.name_of(&key);
            self.publish.state(&name, state).await;
        }
    }

    async fn enter(&mut self, arrival: Arrival) {
        let (uplink, name) = match self.receive.take(arrival).await {
            Received::Uplink(uplink, name) => (uplink, name),
            Received::Registered(device) => return self.decode.prepare(&device),
            Received::Told => return,
        };
        match self.record.note(&uplink) {
            Memory::Duplicate => return self.counters.count(Count::Duplicate),
            Memory::NewAfterGap { missing } => self.publish.lost_frames(&uplink, &name, missing).await,
            Memory::New => {}
        }
        self.counters.count(Count::Uplink);
        if let Some((uplink, reading)) = self.decode.start(uplink) {
            self.publish.uplink(&uplink, &name, reading).await;
        }
    }

    async fn leave(&mut self, crossed: Crossed) {
        let name = self.receive.name_of(&crossed.uplink.key);
        let (uplink, reading) = self.decode.finish(crossed);
        self.publish.uplink(&uplink, &name, reading).await;
    }
}
