//! What one listener wants to hear of.

use super::frame::{Frame, Kind, Whom};

/// Which frames somebody wants: all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// None of them: every kind.
    pub kinds: Vec<Kind>,
    /// By name at home, id at the network, or `<application>/<id>`. None of them: every device. What is about no device
    /// passes; leave out its kinds to be rid of it.
    pub devices: Vec<String>,
}

impl Filter {
    /// Whether the frame is wanted.
    pub fn lets_pass(&self, frame: &Frame) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.contains(&frame.kind);
        let is_own = || self.devices.iter().any(|device| frame.is_about(device));
        kind && (self.devices.is_empty() || frame.whom == Whom::Bridge || is_own())
    }
}
