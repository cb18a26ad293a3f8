//! Answers questions about the bridge, and keeps its retained topics true.
//!
//! One handler per request, by its name in [`requests`]. They know nothing of who asks: [`crate::web`] serves them over HTTP,
//! [`serving`] those that come over MQTT. The task here publishes `bridge/info`, `bridge/devices`, `bridge/health` and
//! `bridge/event` from the same handlers.
//!
//! | to learn about | open |
//! |---|---|
//! | what the bridge knows of itself | [`answers`], [`applications`], [`readiness`], [`metrics`] |
//! | the newest of each device; one device as a whole | [`states`], [`device`] |
//! | what was told before; what happened | [`history`], [`events`], [`gaps`] |
//! | what can be asked of the flows | [`downlinks`], [`backfill`], [`codecs`] |
//! | the store as one file | [`backups`] |
//! | what can be said of devices, configuration, log | [`devices`], [`configuration`], [`log`] |

mod answers;
mod applications;
mod backfill;
mod backups;
mod body;
mod codecs;
mod configuration;
mod device;
mod devices;
mod downlinks;
mod events;
mod gaps;
mod history;
mod log;
mod metrics;
mod problem;
mod readiness;
mod requests;
mod serving;
mod states;
mod told;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::home::{AssistantStarts, Home, HomeRequest};
use crate::telemetry::{Notice, Systemd};

pub use answers::Answers;
pub use backfill::{Backfill, Backfilled};
pub use backups::{Backups, LONGEST_BACKUP, Restoring};
pub use body::Body;
pub use codecs::{CodecParts, Codecs};
pub use configuration::{Ask, Asked, Checked, Configuration, InUse, OptionsSet, Reloaded, Removed, Renamed};
pub use devices::Devices;
pub use downlinks::{Downlinks, Whose};
pub use events::{Chronicle, Events};
pub use gaps::Gaps;
pub use history::History;
pub use log::Log;
pub use problem::{Kind, Problem};
pub use readiness::{Readiness, Ready};
pub use requests::{Answer, FETCH, QUICK, REQUESTS, Request, find, late};
use serving::Serving;
pub use told::Told;

/// Changes are gathered this long before they are published: a hundred new devices make one message, not a hundred.
const GATHER: Duration = Duration::from_millis(200);

/// Serves requests and reports.
pub struct Control {
    pub answers: Arc<Answers>,
    pub chronicle: Chronicle,
    pub home: Home,
    pub requests: mpsc::Receiver<HomeRequest>,
    pub notices: mpsc::Receiver<Notice>,
    /// Marked when the list of devices reads differently.
    pub devices_changed: watch::Receiver<()>,
    pub home_connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
    pub health_interval: watch::Receiver<Duration>,
    pub systemd: Systemd,
}

impl Control {
    pub async fn run(mut self, stop: CancellationToken) {
        let mut health = ticks(*self.health_interval.borrow_and_update());
        let mut serving = Serving {
            answers: self.answers.clone(),
            home: self.home.clone(),
            stop: stop.clone(),
            running: JoinSet::new(),
        };
        let mut listing = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.finish(serving).await,
                Some(request) = self.requests.recv() => serving.take(request).await,
                Some(notice) = self.notices.recv() => self.tell(notice).await,
                piece = self.chronicle.next() => self.chronicle.keep(piece).await,
                Ok(()) = self.devices_changed.changed(), if listing.is_none() => listing = Some(Instant::now() + GATHER),
                () = due(listing) => {
                    listing = None;
                    self.home.bridge_status("devices", &self.answers.devices()).await;
                }
                Ok(()) = self.health_interval.changed() => {
                    health = ticks(*self.health_interval.borrow_and_update());
                }
                Ok(()) = self.home_connected.changed() => self.greet_home().await,
                () = self.assistant.settled() => self.greet_home().await,
                _ = health.tick() => {
                    self.systemd.status(&self.answers.status_line());
                    self.home.bridge_status("health", &self.answers.health()).await;
                    self.home.bridge_status("devices", &self.answers.devices()).await;
                }
            }
        }
    }

    /// Answers what was asked before the stop, and passes on what the flows have to tell while they finish.
    async fn finish(mut self, mut serving: Serving) {
        while let Ok(request) = self.requests.try_recv() {
            serving.take(request).await;
        }
        loop {
            // More may happen meanwhile than the hub remembers.
            tokio::select! {
                notice = self.notices.recv() => match notice {
                    Some(notice) => self.tell(notice).await,
                    None => break,
                },
                piece = self.chronicle.next() => self.chronicle.keep(piece).await,
            }
        }
        self.chronicle.finish().await;
        serving.finish().await;
    }

    /// A broker that has just come, or come back without its memory, gets everything retained.
    async fn greet_home(&mut self) {
        if *self.home_connected.borrow_and_update() {
            self.home.bridge_status("info", &self.answers.info()).await;
            self.home.bridge_status("devices", &self.answers.devices()).await;
            self.home.bridge_status("health", &self.answers.health()).await;
        }
    }

    async fn tell(&self, notice: Notice) {
        self.home.bridge_event(&notice).await;
        if notice.changes_info() {
            self.systemd.status(&self.answers.status_line());
            self.home.bridge_status("info", &self.answers.info()).await;
            self.home.bridge_status("health", &self.answers.health()).await;
        }
    }
}

/// Resolves at that time; never without one.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn ticks(interval: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}
