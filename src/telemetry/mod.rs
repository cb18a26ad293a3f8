//! What the bridge says about itself: logs, counters, metrics, notices, how its clock stands, the service manager.

mod causes;
mod clock;
mod counters;
mod durations;
mod log;
mod lost;
mod metrics;
mod notice;
mod process;
mod systemd;

pub use causes::with_causes;
pub use clock::NetworkClock;
pub use counters::{Count, Counters, Snapshot};
pub use log::{LogError, LogFormat, LogLevel};
pub use lost::{DeviceLoss, LostFrames};
pub use metrics::{ApplicationReading, DeviceReading, Exposition, Scrape};
pub use notice::{ConfigurationProblem, Notice, Notices, WeakNotices};
pub use process::memory_bytes;
pub use systemd::Systemd;
