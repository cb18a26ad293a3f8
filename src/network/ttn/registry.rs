//! What the HTTP API says of an application: what the key may do, and which devices there are.
//!
//! Uplinks flow without any of it. What is missing is said once, shown on `bridge/info`, and looked for again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiError, ListedDevice};
use super::health::Health;
use super::rights::{self, DEVICES, READ, WRITE};
use crate::model::{ApplicationName, DeviceKey, RegisteredDevice};
use crate::mqtt::Backoff;
use crate::network::Arrival;
use crate::telemetry::{Notices, with_causes};

/// Between two looks while the API is out of reach.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Between two looks otherwise: new devices and a changed key are noticed.
const REGULAR: Duration = Duration::from_secs(3600);

/// What a right is for, and what its lack means.
const NEEDED: [(&str, &str, &str); 3] = [
    (
        READ,
        "the key may not read traffic: no uplink will come",
        "add the right to read application traffic to the key, then restart the bridge",
    ),
    (
        WRITE,
        "the key may not write downlinks: commands will fail",
        "add the right to write downlink traffic to the key",
    ),
    (
        DEVICES,
        "the key may not list devices: names and codecs from attributes are known only once a device sends",
        "add the right to view devices to the key",
    ),
];
const API: &str = "api";
const STORAGE: &str = "storage";
const NOT_STORED: &str = "the network stores no messages of this application: uplinks sent while the bridge cannot hear \
                          them are lost, but for those in its short event history";
const STORE: &str = "activate it: console → application → Integrations → Storage Integration → Activate (a stack of \
                     the open source edition has none)";
const KEYS: &str = "console → application → API keys";

/// Looks at one application's registry for as long as the bridge runs.
pub struct Registry {
    pub application: ApplicationName,
    /// `None` for a plain broker that only carries the topics.
    pub api: Option<Api>,
    pub health: Arc<Health>,
    pub arrivals: mpsc::Sender<Arrival>,
    pub notices: Notices,
}

impl Registry {
    pub async fn run(self, stop: CancellationToken) {
        let looking = async {
            match &self.api {
                Some(api) => self.look_again_and_again(api).await,
                None => {
                    self.health.degrade(API, "no `api_url`: commands cannot be sent");
                    self.listed(false).await;
                    std::future::pending().await
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = looking => {}
        }
    }

    async fn look_again_and_again(&self, api: &Api) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        loop {
            let wait = match self.look(api).await {
                Ok(wholly) => {
                    self.restore(API);
                    self.listed(wholly).await;
                    backoff.reset();
                    REGULAR
                }
                Err(error) => {
                    let what = format!(
                        "the HTTP API does not answer as it should, commands may fail: {}",
                        with_causes(&error)
                    );
                    self.degrade(API, &what, hint(&error));
                    backoff.next_wait()
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn listed(&self, wholly: bool) {
        // Fails only when the uplink flow is gone: the process is past its drain.
        self.arrivals.send(Arrival::Listed { application: self.application.clone(), wholly }).await.ok();
    }

    /// Whether every device was told.
    async fn look(&self, api: &Api) -> Result<bool, ApiError> {
        let held = api.rights().await?;
        for (right, lack, mend) in NEEDED {
            match rights::includes(&held, right) {
                true => self.restore(right),
                false => self.degrade(right, lack, &format!("{mend} ({KEYS})")),
            }
        }
        self.look_for_storage(api).await;
        let may_list = rights::includes(&held, DEVICES);
        if may_list {
            for device in api.devices().await? {
                // Fails only when the uplink flow is gone: the process is past its drain.
                self.arrivals.send(Arrival::Registered(Box::new(self.registered(device)))).await.ok();
            }
        }
        Ok(may_list)
    }

    /// Whether the network stores what the bridge may miss. Not being told so is no trouble: most keys have no right to
    /// see it, and it can be there all the same.
    async fn look_for_storage(&self, api: &Api) {
        match api.stores_messages().await {
            Ok(true) => self.restore(STORAGE),
            Ok(false) => self.degrade(STORAGE, NOT_STORED, STORE),
            Err(error) => tracing::debug!(
                application = %self.application,
                error = with_causes(&error),
                "Whether the Storage Integration is activated cannot be seen: a right may be missing."
            ),
        }
    }

    fn registered(&self, device: ListedDevice) -> RegisteredDevice {
        RegisteredDevice {
            key: DeviceKey::new(&self.application, device.id),
            ids: device.ids,
            attributes: device.attributes,
            version_ids: device.version_ids,
        }
    }

    fn restore(&self, about: &'static str) {
        let news = self.health.restored(&self.application, about);
        news.into_iter().for_each(|notice| self.notices.tell(notice));
    }

    /// Says it once, not at every look.
    fn degrade(&self, about: &'static str, what: &str, hint: &str) {
        let news = self.health.degraded(&self.application, about, what, hint);
        news.into_iter().for_each(|notice| self.notices.tell(notice));
    }
}

fn hint(error: &ApiError) -> &'static str {
    match error {
        ApiError::Refused(refusal) if matches!(refusal.status, 400 | 401 | 403) => {
            "is the API key complete, of this application and not expired? `ttn-ferry check --connect` tells"
        }
        ApiError::NoAnswer(_) => "uplinks go on; the bridge keeps trying. Is `api_url` or `cluster` right?",
        _ => "uplinks go on; the bridge keeps trying",
    }
}
