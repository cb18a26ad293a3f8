//! What is settled once the home broker acknowledged a message.

use super::DownlinkId;

/// Who waits for a message to be delivered. It travels with the message and comes back when the broker acknowledged it, or
/// when it was given up and that was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// The network message with this number in the spool.
    Uplink(u64),
    /// The step with this number of this downlink.
    Step(DownlinkId, u32),
}
