//! What a test asked the proxy to do. Links watch these settings and act on every change.

use std::net::SocketAddr;
use std::time::Duration;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Direction {
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];
}

/// How a connection is ended, on both of its sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// RST: either side gets an error, at once.
    Reset,
    /// FIN: either side sees an orderly end.
    Close,
}

/// Everything that can be chosen.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: SocketAddr,
    pub refuse: bool,
    /// Delay and stall of each direction.
    pub up: Way,
    pub down: Way,
    /// Bytes a second, of each direction of each connection.
    pub throttle: Option<u32>,
    /// Cuts so far, and how the last one was meant: a link that began with another number ends.
    pub cuts: u64,
    pub last_cut: Cut,
}

/// How one direction is treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Way {
    pub held: bool,
    pub delay: Duration,
    /// Half-closes so far: a pump that began with another number ends its direction.
    pub half_closes: u64,
    /// Bytes that may still pass, and how all connections end then.
    pub budget: Option<(u64, Cut)>,
}

impl Settings {
    /// Nothing is interfered with.
    pub fn to(server: SocketAddr) -> Self {
        let (up, down) = (Way::default(), Way::default());
        Self { server, refuse: false, up, down, throttle: None, cuts: 0, last_cut: Cut::Close }
    }

    pub fn way(&self, direction: Direction) -> &Way {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    pub fn way_mut(&mut self, direction: Direction) -> &mut Way {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Ends every connection there is.
    pub fn cut(&mut self, how: Cut) {
        self.cuts += 1;
        self.last_cut = how;
    }

    /// Takes up to `wanted` bytes out of a direction's budget.
    pub fn spend(&mut self, direction: Direction, wanted: usize) -> usize {
        let Some((left, _)) = &mut self.way_mut(direction).budget else { return wanted };
        let granted = usize::try_from(*left).unwrap_or(usize::MAX).min(wanted);
        *left -= granted as u64;
        granted
    }

    /// Cuts if a direction's budget is used up; the budget is gone with it. True if it was.
    pub fn cut_if_spent(&mut self, direction: Direction) -> bool {
        let Some((0, how)) = self.way(direction).budget else { return false };
        self.way_mut(direction).budget = None;
        self.cut(how);
        true
    }
}
