//! The bound on what is recorded and not written: callers wait at its door.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::rows::Entry;

/// What one permit of the room for unwritten entries stands for, in bytes.
const PERMIT: usize = 1024;
/// Room for unwritten entries: 10,000 permits of 1 KiB. An entry takes one and one more for each whole KiB.
const ROOM: usize = 10_000;

/// Room for entries that are not on the disk. It closes with the writer, so that nobody waits for ever.
pub struct Room(Arc<Semaphore>);

impl Room {
    pub fn new() -> (Self, Arc<Semaphore>) {
        let room = Arc::new(Semaphore::new(ROOM));
        (Self(room.clone()), room)
    }

    /// How much of it an entry takes.
    pub fn of(entry: &Entry) -> u32 {
        let permits = 1 + (entry.topic.len() + entry.payload.len()) / PERMIT;
        permits.min(ROOM) as u32
    }

    /// They are written, or need not be any more.
    pub fn leave<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        self.0.add_permits(entries.into_iter().map(|entry| Self::of(entry) as usize).sum());
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.close();
    }
}
