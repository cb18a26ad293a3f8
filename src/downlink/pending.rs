//! What each device has yet to be told, as the home sees it: `downlink/pending`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{OpenDownlinks, track};
use crate::home::{AssistantStarts, Discovery, Home, LiveSettings};
use crate::model::{DeviceKey, Directory, HomeName, Subject};

/// New devices are looked at together.
const GATHER: Duration = Duration::from_millis(200);

/// Keeps the home's view of what is under way true. Told when it changes; where there is discovery, Home Assistant is
/// told of every device once, so that it waits for nothing.
pub struct Pending {
    home: Home,
    settings: LiveSettings,
    directory: Arc<Mutex<Directory>>,
    signals: Signals,
    /// What the home has, and under which name.
    told: HashMap<DeviceKey, (HomeName, Body)>,
    /// When all devices are looked at.
    due: Option<Instant>,
}

/// What makes all devices worth a look.
pub struct Signals {
    pub devices_changed: watch::Receiver<()>,
    pub home_connected: watch::Receiver<bool>,
    pub assistant: AssistantStarts,
}

/// The body of `downlink/pending`.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Body {
    /// Open downlinks.
    queue: usize,
    /// The fields they shall set.
    fields: Map<String, Value>,
}

impl Pending {
    pub fn new(home: Home, directory: Arc<Mutex<Directory>>, signals: Signals) -> Self {
        let settings = home.settings().clone();
        Self { home, settings, directory, signals, told: HashMap::new(), due: Some(Instant::now() + GATHER) }
    }

    /// Resolves when all devices are to be looked at. May be dropped at any time.
    pub async fn wanted(&mut self) {
        loop {
            let Signals { devices_changed, home_connected, assistant } = &mut self.signals;
            let due = self.due.unwrap_or_else(Instant::now);
            let is_lost = tokio::select! {
                biased;
                () = sleep_until(due), if self.due.is_some() => {
                    self.due = None;
                    return;
                }
                Ok(()) = devices_changed.changed() => false,
                Ok(()) = home_connected.changed() => *home_connected.borrow_and_update(),
                () = assistant.settled() => true,
                () = self.settings.changed() => true,
            };
            if is_lost {
                self.told.clear();
            }
            self.due = self.due.or(Some(Instant::now() + GATHER));
        }
    }

    /// Tells what the home does not have, of every device.
    pub async fn tell_all(&mut self, queue: &OpenDownlinks) {
        let mut devices: HashSet<_> = self.told.keys().cloned().collect();
        devices.extend(queue.busy());
        if self.settings.now().home_assistant.discovery != Discovery::Off {
            devices.extend(Directory::lock(&self.directory).all().into_iter().map(|device| device.key.clone()));
        }
        for key in devices {
            self.tell(&key, queue).await;
        }
    }

    /// The same of one device.
    pub async fn tell(&mut self, key: &DeviceKey, queue: &OpenDownlinks) {
        let Some(name) = track::name(&self.directory, key) else {
            // What was told of it was taken away.
            self.told.remove(key);
            return;
        };
        let (queue, fields) = queue.pending(key);
        let body = Body { queue, fields };
        if self.told.get(key).is_none_or(|(old_name, old)| *old_name != name || *old != body) {
            self.home.pending(Subject { key, name: &name }, &body).await;
            self.told.insert(key.clone(), (name, body));
        }
    }
}
