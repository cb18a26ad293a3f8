//! What passed through the proxy.

use super::settings::Direction;

/// Counters since the proxy started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections that were forwarded, or tried to be.
    pub accepted: u64,
    /// Connections that were reset because new ones are refused, or because the server could not be reached.
    pub refused: u64,
    /// Connections open now.
    pub open: u64,
    /// Connections ended by a cut.
    pub cut: u64,
    /// Bytes written to the server.
    pub up: u64,
    /// Bytes written to clients.
    pub down: u64,
}

impl Traffic {
    /// Bytes of one direction.
    pub fn bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.up,
            Direction::Down => self.down,
        }
    }

    pub(super) fn count(&mut self, direction: Direction, bytes: usize) {
        match direction {
            Direction::Up => self.up += bytes as u64,
            Direction::Down => self.down += bytes as u64,
        }
    }
}
