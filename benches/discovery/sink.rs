//! Somebody at home who counts what comes on some topics.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::wire;

/// Counts messages, and the different ones of them.
pub struct Sink(Arc<Mutex<Seen>>);

/// How much came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    pub messages: usize,
    pub bytes: usize,
}

#[derive(Default)]
struct Seen {
    counted: Counted,
    /// What tells one device's message from another's.
    devices: HashSet<Vec<u8>>,
}

impl Sink {
    /// Listens until its broker ends. `device` finds in a message whose it is.
    pub fn start(port: u16, filter: &str, device: fn(&[u8]) -> Option<Vec<u8>>) -> io::Result<Self> {
        let mut socket = wire::connect(port, &format!("sink {filter}"))?;
        wire::subscribe(&mut socket, filter)?;
        let seen = Arc::<Mutex<Seen>>::default();
        let sink = Self(seen.clone());
        thread::spawn(move || {
            let mut pending = Vec::new();
            let take = |message: &[u8]| lock(&seen).take(message, device);
            while wire::receive(&mut socket, &mut pending, take).is_ok() {}
        });
        Ok(sink)
    }

    pub fn counted(&self) -> Counted {
        lock(&self.0).counted
    }

    /// Devices of which something came.
    pub fn topics(&self) -> usize {
        lock(&self.0).devices.len()
    }

    pub fn forget(&self) {
        *lock(&self.0) = Seen::default();
    }
}

impl Seen {
    fn take(&mut self, message: &[u8], device: fn(&[u8]) -> Option<Vec<u8>>) {
        let Some(device) = device(message) else { return };
        self.counted.messages += 1;
        self.counted.bytes += message.len();
        self.devices.insert(device);
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
