//! What is told at home, for those who listen here and now: the page, `ttn-ferry tail`, whoever opens the WebSocket.
//!
//! ```text
//! Home ──tells──▶ Live ─▶ ring of the newest frames ◀──reads at his own pace── Follower ─▶ a client
//!                      └▶ the newest state, availability and pending of each device
//! ```
//!
//! Telling never waits: a frame is put into the ring, which is all that there is to queue. One who is slower than the
//! ring is long is told what he missed. Numbers only rise, also over restarts.

mod filter;
mod frame;
#[cfg(test)]
mod properties;
mod ring;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::model::{DeviceKey, HomeName, Subject};

pub use self::ring::Piece;
use self::ring::Ring;
pub use filter::Filter;
pub use frame::{Frame, Kind, Whom};

/// The hub. Cheap to clone; every clone is the same one.
#[derive(Debug, Clone)]
pub struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    hub: Mutex<Hub>,
    /// Marked when there is another frame.
    told: watch::Sender<()>,
}

#[derive(Debug)]
struct Hub {
    ring: Ring,
    newest: HashMap<DeviceKey, Newest>,
}

/// The last word on a device: JSON, as it was told.
#[derive(Debug, Clone, Default)]
pub struct Newest {
    pub state: Option<Bytes>,
    pub availability: Option<Bytes>,
    pub pending: Option<Bytes>,
    /// What it was called when that was told, in the same order.
    names: [Option<HomeName>; 3],
}

/// One who listens, at his own pace.
#[derive(Debug)]
pub struct Follower {
    live: Live,
    filter: Filter,
    /// The number of the frame to look at next.
    next: u64,
    told: watch::Receiver<()>,
}

impl Default for Live {
    fn default() -> Self {
        Self::starting_at(1)
    }
}

impl Live {
    /// One whose first frame will have the number `first`.
    pub fn starting_at(first: u64) -> Self {
        let hub = Mutex::new(Hub { ring: Ring::starting_at(first), newest: HashMap::new() });
        Self(Arc::new(Shared { hub, told: watch::Sender::new(()) }))
    }

    /// The number for the first frame of a process: the time, in microseconds since 1970, so that numbers rise over
    /// restarts. `above`: the highest that is remembered of earlier ones.
    pub fn first_number(now: Timestamp, above: u64) -> u64 {
        u64::try_from(now.as_microsecond()).unwrap_or_default().max(above + 1)
    }

    /// Tells something. Returns its number.
    pub fn tell(&self, kind: Kind, whom: impl Into<Whom>, data: Option<Bytes>) -> u64 {
        let (whom, at) = (whom.into(), Timestamp::now());
        let number = self.hub().ring.push(|number| Frame::new(number, (kind, whom), at, data));
        self.0.told.send_replace(());
        number
    }

    /// Tells the last word on a device, if it is another one than before: what only a broker needs again is no news.
    pub fn tell_newest(&self, kind: Kind, device: Subject<'_>, body: &Bytes) {
        if self.hub().newest.entry(device.key.clone()).or_default().take(kind, device.name, body) {
            self.tell(kind, device, Some(body.clone()));
        }
    }

    /// Takes back a state that was told before the last start, under whichever name that was.
    pub fn restore(&self, key: DeviceKey, state: Bytes) {
        self.hub().newest.entry(key).or_default().state = Some(state);
    }

    /// A device is gone: nothing is remembered of it.
    pub fn forget(&self, key: &DeviceKey) {
        self.hub().newest.remove(key);
    }

    /// The last word on each of these devices.
    pub fn newest_of<'a>(&self, keys: impl IntoIterator<Item = &'a DeviceKey>) -> Vec<Newest> {
        let hub = self.hub();
        keys.into_iter().map(|key| hub.newest.get(key).cloned().unwrap_or_default()).collect()
    }

    /// The number of the last frame told, and of the oldest that can still be had.
    pub fn window(&self) -> (u64, u64) {
        let hub = self.hub();
        (hub.ring.newest(), hub.ring.oldest())
    }

    /// The frames that can still be had and are wanted, oldest first.
    pub fn recent(&self, wanted: impl Fn(&Frame) -> bool) -> Vec<Arc<Frame>> {
        self.hub().ring.frames().filter(|frame| wanted(frame)).cloned().collect()
    }

    /// Listens from now on, or to what comes after the frame of this number.
    pub fn follow(&self, filter: Filter, after: Option<u64>) -> Follower {
        let after = after.unwrap_or_else(|| self.window().0);
        Follower { live: self.clone(), filter, next: after.saturating_add(1), told: self.0.told.subscribe() }
    }

    /// Whoever panicked while he held the lock left nothing half-done.
    fn hub(&self) -> MutexGuard<'_, Hub> {
        self.0.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newest {
    /// Returns whether that is news.
    fn take(&mut self, kind: Kind, name: &HomeName, body: &Bytes) -> bool {
        let (place, known) = match kind {
            Kind::State => (&mut self.state, &mut self.names[0]),
            Kind::Availability => (&mut self.availability, &mut self.names[1]),
            Kind::Pending => (&mut self.pending, &mut self.names[2]),
            _ => return true,
        };
        let is_news = place.as_ref() != Some(body) || known.as_ref() != Some(name);
        (*place, *known) = (Some(body.clone()), Some(name.clone()));
        is_news
    }
}

impl Follower {
    /// Wants something else from now on.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
    }

    /// What there is to hear already.
    pub fn take(&mut self) -> Option<Piece> {
        self.live.hub().ring.read(&mut self.next, &self.filter)
    }

    /// The next thing to hear. May be dropped at any time: nothing is lost by that.
    pub async fn next(&mut self) -> Piece {
        loop {
            self.told.mark_unchanged();
            if let Some(piece) = self.take() {
                return piece;
            }
            // It cannot end: this follower holds the hub.
            self.told.changed().await.ok();
        }
    }
}
