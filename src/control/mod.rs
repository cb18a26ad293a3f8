//! Answers questions about the bridge, and keeps its retained topics true.
//!
//! One handler per request: in [`answers`] what the bridge knows of itself, in [`downlinks`] and [`backfill`] what can be asked of the flows. They
//! know nothing of who asks: [`crate::web`] serves them over HTTP, the task here those that come over MQTT. It
//! publishes `bridge/info`, `bridge/devices`, `bridge/health` and `bridge/event` from the same handlers.

mod answers;
mod backfill;
mod downlinks;
mod problem;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::home::{AssistantStarts, Home, HomeRequest};
use crate::telemetry::{Notice, Systemd};

pub use answers::Answers;
pub use backfill::{Backfill, Backfilled};
pub use downlinks::{Downlinks, LONGEST_WAIT, Listed, Patience, Wanted};
pub use problem::{Kind, Problem};

/// Changes are gathered this long before they are published: a hundred new devices make one message, not a hundred.
const GATHER: Duration = Duration::from_millis(200);

/// Serves requests and reports.
pub struct Control {
    pub answers: Arc<Answers>,
    pub home: Home,
    pub requests: mpsc::Receiver<HomeRequest>,
    pub notices: mpsc::Receiver<Notice>,
    /// Marked when the list of devices reads differently.
    pub devices_changed: watch::Receiver<()>,
    pub home_connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
    pub health_interval: Duration,
    pub systemd: Systemd,
}

impl Control {
    pub async fn run(mut self, stop: CancellationToken) {
        let mut health = tokio::time::interval(self.health_interval);
        health.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.finish().await,
                Some(request) = self.requests.recv() => self.serve(request).await,
                Some(notice) = self.notices.recv() => self.tell(notice).await,
                Ok(()) = self.devices_changed.changed() => {
                    tokio::time::sleep(GATHER).await;
                    self.home.bridge_status("devices", &self.answers.devices()).await;
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
    async fn finish(mut self) {
        while let Ok(request) = self.requests.try_recv() {
            self.serve(request).await;
        }
        while let Some(notice) = self.notices.recv().await {
            self.tell(notice).await;
        }
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

    async fn serve(&self, request: HomeRequest) {
        let body: Result<Value, _> = match request.payload.is_empty() {
            true => Ok(Value::Null),
            false => serde_json::from_slice(&request.payload),
        };
        let (answer, transaction) = match &body {
            Ok(body) => (self.answers.answer(&request.command), body.get("transaction").cloned()),
            Err(error) => (Err(format!("the request is no JSON: {error}")), None),
        };
        let mut response = match answer {
            Ok(data) => json!({ "status": "ok", "data": data }),
            Err(error) => json!({ "status": "error", "error": error }),
        };
        if let Some(transaction) = transaction {
            response["transaction"] = transaction;
        }
        self.home.respond(&request.command, request.answering, &response).await;
    }
}
