//! How one application stands, shared between its read loop, its API client and whoever asks.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::model::ApplicationName;
use crate::network::NetworkHealth;
use crate::telemetry::Notice;

/// The state of one application's two legs.
#[derive(Debug, Default)]
pub struct Health(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    connected: bool,
    was_connected: bool,
    last_message: Option<Timestamp>,
    dropped: u64,
    /// By what it is about, so that each thing is said once and can be taken back.
    degraded: BTreeMap<&'static str, String>,
}

impl Health {
    pub fn read(&self) -> NetworkHealth {
        let inner = self.lock();
        NetworkHealth {
            connected: inner.connected,
            was_connected: inner.was_connected,
            last_message: inner.last_message,
            dropped: inner.dropped,
            degraded: inner.degraded.values().cloned().collect(),
        }
    }

    pub fn set_connected(&self, connected: bool) {
        let mut inner = self.lock();
        inner.connected = connected;
        inner.was_connected |= connected;
    }

    pub fn heard(&self, at: Timestamp) {
        self.lock().last_message = Some(at);
    }

    pub fn count_dropped(&self) {
        self.lock().dropped += 1;
    }

    /// Notes that something does not work. Returns whether that is news.
    pub fn degrade(&self, about: &'static str, what: &str) -> bool {
        self.lock().degraded.insert(about, what.to_owned()).is_none_or(|before| before != what)
    }

    /// Notes that it works again. Returns what did not, if that is news.
    pub fn restore(&self, about: &'static str) -> Option<String> {
        self.lock().degraded.remove(about)
    }

    /// Notes that something does not work. Returns what to tell if that is news.
    pub fn degraded(
        &self,
        application: &ApplicationName,
        about: &'static str,
        what: &str,
        hint: &str,
    ) -> Option<Notice> {
        let (what, hint) = (what.to_owned(), hint.to_owned());
        let news = self.degrade(about, &what);
        news.then(|| Notice::Degraded { application: application.clone(), what, hint })
    }

    /// Notes that it works again. Returns what to tell if that is news.
    pub fn restored(&self, application: &ApplicationName, about: &'static str) -> Option<Notice> {
        self.restore(about).map(|what| Notice::Restored { application: application.clone(), what })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
