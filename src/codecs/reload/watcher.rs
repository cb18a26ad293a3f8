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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;

    fn place(folder: &Path, deep: bool) -> BTreeSet<Place> {
        BTreeSet::from([Place { folder: folder.into(), deep }])
    }

    async fn rings(changed: &Notify) {
        tokio::time::timeout(Duration::from_secs(20), changed.notified()).await.expect("the system tells of changes");
    }

    #[tokio::test]
    async fn what_is_written_below_a_folder_rings_and_what_is_read_does_not() {
        let (folder, changed) = (tempfile::tempdir().unwrap(), Arc::new(Notify::new()));
        std::fs::create_dir(folder.path().join("node")).unwrap();
        let mut watcher = Watcher::new(changed.clone());
        assert!(watcher.follow(place(folder.path(), true)) && !watcher.follow(place(folder.path(), true)));
        assert!(watcher.sees_all());
        std::fs::write(folder.path().join("node/codec.js"), "text").unwrap();
        rings(&changed).await;
        let reading = EventKind::Access(AccessKind::Open(AccessMode::Read));
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(!is_change(&reading) && is_change(&written));
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_watched_once_it_is() {
        let (folder, changed) = (tempfile::tempdir().unwrap(), Arc::new(Notify::new()));
        let later = folder.path().join("later");
        let mut watcher = Watcher::new(changed.clone());
        assert!(watcher.follow(place(&later, true)) && !watcher.sees_all());
        std::fs::create_dir(&later).unwrap();
        assert!(!watcher.follow(place(&later, true)) && watcher.sees_all());
        std::fs::write(later.join("node.js"), "text").unwrap();
        rings(&changed).await;
    }
}
