//! What a test can do to a running proxy from outside. Every call takes effect without waiting for anything.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Shared;
use super::settings::{Cut, Direction, Settings};
use super::traffic::Traffic;

/// A cheap handle; clones speak to the same proxy.
#[derive(Debug, Clone)]
pub struct ProxyHandle {
    shared: Arc<Shared>,
}

impl ProxyHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Connections to come go to `server`; those that are open stay where they are.
    pub fn forward_to(&self, server: SocketAddr) {
        self.change(|settings| settings.server = server);
    }

    /// Ends every open connection on both sides. Bytes that are under way are lost.
    pub fn cut(&self, how: Cut) {
        self.change(|settings| settings.cut(how));
    }

    /// While `true`, new connections are reset as soon as they are accepted. Open ones go on.
    pub fn refuse(&self, refuse: bool) {
        self.change(|settings| settings.refuse = refuse);
    }

    /// Stops forwarding in this direction, while every connection stays up: the sender soon finds its buffers full.
    pub fn hold(&self, direction: Direction) {
        self.change(|settings| settings.way_mut(direction).held = true);
    }

    /// Goes on forwarding in both directions; what was held back arrives.
    pub fn release(&self) {
        self.change(|settings| Direction::BOTH.iter().for_each(|way| settings.way_mut(*way).held = false));
    }

    /// Ends one direction of every open connection: its receiver sees a FIN after what was under way, its sender is not
    /// told and is no longer read from. The other direction goes on.
    pub fn half_close(&self, direction: Direction) {
        self.change(|settings| settings.way_mut(direction).half_closes += 1);
    }

    /// Bytes of this direction arrive so much later than they were sent; zero for at once.
    pub fn delay(&self, direction: Direction, delay: Duration) {
        self.change(|settings| settings.way_mut(direction).delay = delay);
    }

    /// At most so many bytes a second in each direction of each connection; `None` for as fast as it goes.
    pub fn throttle(&self, bytes_per_second: Option<NonZeroU32>) {
        self.change(|settings| settings.throttle = bytes_per_second.map(NonZeroU32::get));
    }

    /// Lets exactly so many more bytes of this direction pass, of all connections together, then cuts every connection,
    /// once. A reset may overtake the last of these bytes; with [`Cut::Close`] they arrive.
    pub fn cut_after(&self, direction: Direction, bytes: u64, how: Cut) {
        self.change(|settings| {
            settings.way_mut(direction).budget = Some((bytes, how));
            settings.cut_if_spent(direction);
        });
    }

    /// The counters now and whenever they change: `wait_for` waits for connections, bytes and cuts.
    pub fn traffic(&self) -> watch::Receiver<Traffic> {
        self.shared.traffic.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.settings.send_modify(change);
    }
}
