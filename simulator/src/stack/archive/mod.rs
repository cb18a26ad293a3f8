//! What the stack keeps of its messages after it handed them out, whether or not anybody heard them.
//!
//! `message` reads what was published; `storage` is the Storage Integration and `packages` says for whom it is activated;
//! `events` is the event history and `names` picks events out of it; `uplinks` counts for the tests.

mod events;
mod message;
mod names;
mod packages;
mod pattern;
mod storage;
mod uplinks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::broadcast;

pub use events::{Entity, Event, Events, Since, stream_start};
pub use message::Kind;
pub use names::Names;
pub use packages::Association;
pub use storage::{Page, Place, Query, Scope};
pub use uplinks::PublishedUplink;

use super::config::StackConfig;
use message::Message;
use packages::Packages;
use storage::Storage;
use uplinks::Uplinks;

/// Everything that is kept.
#[derive(Debug)]
pub struct Archive {
    packages: Mutex<Packages>,
    storage: Mutex<Storage>,
    events: Mutex<Events>,
    uplinks: Mutex<Uplinks>,
}

impl Archive {
    pub fn new(config: &StackConfig) -> Self {
        Self {
            packages: Mutex::new(Packages::new(&config.applications, config.storage.active)),
            storage: Mutex::new(Storage::new(config.storage)),
            events: Mutex::new(Events::new(config.events)),
            uplinks: Mutex::new(Uplinks::default()),
        }
    }

    /// Keeps a message that goes out under `topic`. What is none of the Application Server's messages is ignored.
    pub fn keep(&self, topic: &str, payload: &Bytes) {
        let Some(message) = Message::read(topic, payload).map(Arc::new) else { return };
        // An application with two associations has every message stored twice, as on the real one.
        let copies = self.packages().storage_integrations(&message.application);
        let mut storage = lock(&self.storage);
        (0..copies).for_each(|_| storage.store(message.clone()));
        drop(storage);
        lock(&self.uplinks).count(&message);
        if let Some(event) = Event::forwarded(&message) {
            self.events().publish(event);
        }
    }

    /// Which application packages are associated with which application.
    pub fn packages(&self) -> MutexGuard<'_, Packages> {
        lock(&self.packages)
    }

    /// The event history; see [`Events`].
    pub fn events(&self) -> MutexGuard<'_, Events> {
        lock(&self.events)
    }

    /// One page of stored messages; `None` where the Storage Integration is not activated.
    pub fn page(&self, scope: &Scope, query: &Query) -> Option<Page> {
        self.is_activated(scope).then(|| lock(&self.storage).page(scope, query))
    }

    /// How many messages of each device are stored; `None` where the Storage Integration is not activated.
    pub fn tally(&self, scope: &Scope, query: &Query) -> Option<std::collections::BTreeMap<String, usize>> {
        self.is_activated(scope).then(|| lock(&self.storage).tally(scope, query))
    }

    /// Makes everything stored so far visible.
    pub fn flush(&self) {
        lock(&self.storage).flush();
    }

    /// The distinct uplinks published so far.
    pub fn published_uplinks(&self, application: &str) -> Vec<PublishedUplink> {
        lock(&self.uplinks).of(application)
    }

    /// Past events and those to come, without a gap between them.
    pub fn follow(&self, entities: &[Entity], since: &Since) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let events = self.events();
        (events.past(entities, since), events.subscribe())
    }

    fn is_activated(&self, scope: &Scope) -> bool {
        self.packages().storage_integrations(&scope.application) > 0
    }
}

/// Every holder leaves whole data behind, so a lock poisoned by a panicking test is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
