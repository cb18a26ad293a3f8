//! Learns the network's own formatters, for devices that have no better codec.
//!
//! ```text
//! decode ── has no better codec ──▶ schedule ──▶ network, one device after the other ──▶ codecs
//!                                      ▲                                            └──▶ cache ──▶ next start
//!                                      └──────────── again tomorrow ─────────────────┘
//! ```
//!
//! Nothing waits for it: until a formatter is there, the device's uplinks carry what the network made of them.

mod cache;
mod schedule;

#[cfg(test)]
mod flow_tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use payload_codecs::Source;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::codecs::{Codecs, Learned};
use crate::model::{ApplicationName, DeviceId, DeviceKey, VersionIds};
use crate::mqtt::Backoff;
use crate::network::{Formatter, FormatterError, NetworkServer, Script};

use cache::Cache;
use schedule::Schedule;

/// Devices of one application that wait to be noted. One too many is noted with its next uplink.
const CAPACITY: usize = 1024;
/// Between two devices: commands go with the same key, and have the first claim on what it may ask.
const PACE: Duration = Duration::from_secs(1);
/// Between two tries while the network does not answer as it should.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// A device that has no better codec.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    device: DeviceId,
    /// What it is said to be, if anybody said so.
    version_ids: Option<VersionIds>,
}

/// Where devices are named that have no better codec.
#[derive(Debug, Default)]
pub struct Wants(HashMap<ApplicationName, mpsc::Sender<Wanted>>);

/// Learns the formatters of one application's devices.
pub struct Formatters {
    server: Arc<dyn NetworkServer>,
    codecs: Codecs,
    cache: Cache,
    /// How long an answer holds.
    refresh: Duration,
    wanted: mpsc::Receiver<Wanted>,
    schedule: Schedule,
    backoff: Backoff,
}

impl Wants {
    /// Never waits.
    pub fn want(&self, key: &DeviceKey, version_ids: Option<&VersionIds>) {
        if let Some(wanted) = self.0.get(&key.application) {
            wanted.try_send(Wanted { device: key.device.clone(), version_ids: version_ids.cloned() }).ok();
        }
    }
}

impl Formatters {
    /// One for each server. What was kept below the folder `state` by an earlier run is learned at once; an answer of
    /// the network holds for `refresh`.
    pub fn of_all(
        servers: &[Arc<dyn NetworkServer>],
        codecs: &Codecs,
        state: &Path,
        refresh: Duration,
    ) -> (Wants, Vec<Self>) {
        let (cache, mut wants) = (Cache::below(state), Wants::default());
        let of_one = |server: &Arc<dyn NetworkServer>| {
            let (want, wanted) = mpsc::channel(CAPACITY);
            wants.0.insert(server.name().clone(), want);
            Self {
                server: server.clone(),
                codecs: codecs.clone(),
                cache: cache.clone(),
                refresh,
                wanted,
                schedule: Schedule::default(),
                backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            }
        };
        let all = servers.iter().map(of_one).collect();
        for (key, formatter) in cache.load() {
            if wants.0.contains_key(&key.application) {
                codecs.learn(&key, Some(learned(&formatter)));
            }
        }
        (wants, all)
    }

    /// Runs until `stop`. What was under way then is asked for again after the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.ask_again_and_again() => {}
        }
    }

    async fn ask_again_and_again(&mut self) {
        loop {
            let next = self.schedule.next_time();
            tokio::select! {
                Some(wanted) = self.wanted.recv() => self.schedule.want(wanted, Instant::now()),
                () = at(next) => self.ask_next().await,
            }
        }
    }

    async fn ask_next(&mut self) {
        let Some(wanted) = self.schedule.next(Instant::now()) else { return };
        let key = DeviceKey::new(self.server.name(), wanted.device.clone());
        if !self.codecs.lacks_codec(&key) {
            return self.schedule.forget(&wanted.device);
        }
        let (again, pause) = self.ask(&key, wanted.version_ids.as_ref()).await;
        let now = Instant::now();
        self.schedule.asked(&wanted, now + again);
        self.schedule.pause(now, pause);
    }

    /// Asks for one device. Returns when to ask for it again, and how long to ask for none.
    async fn ask(&mut self, key: &DeviceKey, version_ids: Option<&VersionIds>) -> (Duration, Duration) {
        match self.server.formatter(&key.device, version_ids).await {
            Ok(formatter) => {
                self.backoff.reset();
                self.codecs.learn(key, formatter.as_ref().map(learned));
                self.cache.keep(key, formatter.as_ref()).await;
                (self.refresh, PACE)
            }
            Err(FormatterError::RateLimited { retry_after }) => (retry_after, retry_after.max(PACE)),
            Err(FormatterError::Unknown(why)) => {
                let wait = self.backoff.next_wait();
                let wait_s = wait.as_secs();
                tracing::debug!(device = %key, why, wait_s, "The network's formatter is not known yet.");
                (wait, wait)
            }
            // The server has told it, once for all devices.
            Err(FormatterError::Forbidden(_)) => (self.refresh, PACE),
            Err(error @ FormatterError::Refused(_)) => {
                tracing::warn!(device = %key, %error, "The network does not tell its formatter.");
                (self.refresh, PACE)
            }
        }
    }
}

/// The codec that does what the network's formatters do.
fn learned(formatter: &Formatter) -> Learned {
    let Formatter { name, up, down } = formatter;
    let source = |script: &Script| match script {
        Script::JavaScript(script) => Source::JavaScript { name: name.as_str().into(), script: script.as_str().into() },
        Script::CayenneLpp => Source::CayenneLpp,
    };
    let half = |script: &Option<Script>| script.as_ref().map(source).map(Arc::new);
    let source = match (up, down) {
        (Some(up), Some(down)) if up == down => source(up),
        _ => Source::ByDirection { uplink: half(up), downlink: half(down) },
    };
    Learned { name: name.clone(), source }
}

/// At this time, if there is one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
