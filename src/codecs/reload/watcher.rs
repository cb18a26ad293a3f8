//! Says that something changed in folders, where the system tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _, recommended_watcher};
use tokio::sync::Notify;

use crate::codecs::library::Place;

/// The folders that are watched. What changes in them is not told, only that something did.
pub struct Watcher {
    /// `None` where the system does not tell: without inotify, or with too many watches already.
    inner: Option<RecommendedWatcher>,
    places: BTreeSet<Place>,
    unseen: BTreeSet<Place>,
}

impl Watcher {
    /// Rings `changed` when something did.
    pub fn new(changed: Arc<Notify>) -> Self {
        let tell = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_change(&event.kind)) {
                changed.notify_one();
            }
        };
        let inner = recommended_watcher(tell).map_err(|error| tracing::warn!(%error, "Files cannot be watched.")).ok();
        Self { inner, places: BTreeSet::new(), unseen: BTreeSet::new() }
    }

    /// Watches these places, too. Returns whether any was not among them before.
    pub fn follow(&mut self, places: BTreeSet<Place>) -> bool {
        let new: Vec<_> = places.difference(&self.places).cloned().collect();
        self.watch_all(new.iter().chain(&self.unseen.clone()));
        self.places = places;
        !new.is_empty()
    }

    /// Watches everything anew: a folder that was replaced is another one.
    pub fn follow_anew(&mut self) {
        let places = self.places.clone();
        self.watch_all(places.iter());
    }

    /// Whether changes are told of everywhere.
    pub fn sees_all(&self) -> bool {
        self.unseen.is_empty()
    }

    fn watch_all<'a>(&mut self, places: impl Iterator<Item = &'a Place>) {
        for place in places {
            if self.watch(place) {
                self.unseen.remove(place);
            } else if self.unseen.insert(place.clone()) {
                let folder = place.folder.display();
                tracing::warn!(%folder, "Codecs there cannot be watched; they are looked at from time to time.");
            }
        }
    }

    fn watch(&mut self, Place { folder, deep }: &Place) -> bool {
        let mode = if *deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
        self.inner.as_mut().is_some_and(|inner| inner.watch(folder, mode).is_ok())
    }
}

/// Our own reading must not ring.
fn is_change(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if *access != AccessKind::Close(AccessMode::Write))
}
