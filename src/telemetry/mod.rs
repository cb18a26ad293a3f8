//! What the bridge says about itself: logs, counters, notices, the service manager.

mod causes;
mod counters;
mod log;
mod lost;
mod notice;
mod process;
mod systemd;

pub use causes::with_causes;
pub use counters::{Count, Counters, Snapshot};
pub use log::{LogError, LogLevel};
pub use lost::{DeviceLoss, LostFrames};
pub use notice::{ConfigurationProblem, Notice, Notices, WeakNotices};
pub use process::memory_bytes;
pub use systemd::Systemd;
