//! Things worth telling at home that no single device is about: each is a log line and a message on `bridge/event`.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::mpsc;

use super::LostFrames;
use crate::model::{ApplicationName, DeviceId, DeviceKey, HomeName};

/// One thing that happened to the bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notice {
    DeviceSeenFirst {
        device: HomeName,
        application: ApplicationName,
        device_id: String,
    },
    /// A device joined the network: it has a new session.
    DeviceJoined {
        device: HomeName,
        application: ApplicationName,
        device_id: String,
    },
    /// A device got the name that its attribute asks for.
    DeviceRenamed {
        from: HomeName,
        to: HomeName,
        application: ApplicationName,
        device_id: String,
    },
    /// A device was silent for longer than it usually is.
    DeviceOffline {
        device: HomeName,
        application: ApplicationName,
        device_id: String,
        /// For how long the network was listened to and the device not heard, in seconds.
        silent_s: u64,
    },
    /// A device that was offline is heard again.
    DeviceOnline {
        device: HomeName,
        application: ApplicationName,
        device_id: String,
        /// From its last uplink until now, in seconds.
        silent_s: u64,
    },
    /// Somebody asked for a device to be forgotten.
    DeviceRemoved {
        device: HomeName,
        application: ApplicationName,
        device_id: String,
    },
    /// Two devices want one name; the second got another.
    NameTaken {
        wanted: HomeName,
        device: HomeName,
        key: String,
        holder: String,
    },
    NetworkConnected {
        application: ApplicationName,
    },
    NetworkLost {
        application: ApplicationName,
        reason: String,
    },
    /// Something does not work, in words, with what to do about it.
    Degraded {
        application: ApplicationName,
        what: String,
        hint: String,
    },
    /// Something of the bridge itself does not work, whatever the application.
    #[serde(rename = "degraded")]
    BridgeDegraded {
        what: String,
        hint: String,
    },
    /// What was told as degraded works again.
    Restored {
        application: ApplicationName,
        what: String,
    },
    #[serde(rename = "restored")]
    BridgeRestored {
        what: String,
    },
    /// Messages that the read loop had to drop.
    UplinksDropped {
        application: ApplicationName,
        count: u64,
    },
    Unreadable {
        application: ApplicationName,
        topic: String,
        reason: String,
    },
    /// A message that no broker will take.
    Undeliverable {
        topic: String,
        bytes: usize,
        reason: &'static str,
    },
    /// The home broker takes nothing on this topic. Told once, until it does.
    PublishRefused {
        topic: String,
        reason: String,
        hint: String,
    },
    /// A command that nobody looked at.
    CommandDropped {
        topic: String,
        reason: &'static str,
    },
    /// A device used up what it may use of the network in a day.
    FairUse {
        device: HomeName,
        application: ApplicationName,
        device_id: String,
        /// `downlinks` or `airtime`: what is used up.
        exceeded: &'static str,
        downlinks: u32,
        /// Of its uplinks, in seconds.
        airtime_s: u64,
        /// UTC.
        day: jiff::civil::Date,
    },
    /// Messages given up because too many waited for the home broker.
    HomeBacklogDropped {
        count: u64,
    },
    /// Messages may have gone by unheard; the network is asked for them. Ends in one of the next two with this id.
    GapFound {
        id: u64,
        application: ApplicationName,
        from: Timestamp,
        to: Timestamp,
        why: String,
    },
    /// Nothing is known to be missing of that time any more. Also told when frames were fetched that nobody had
    /// announced as a gap.
    GapRepaired {
        id: u64,
        application: ApplicationName,
        from: Timestamp,
        to: Timestamp,
        /// Uplinks that were fetched.
        repaired: u64,
        /// `storage`, `events`, or `none`: the network has no history to ask.
        source: &'static str,
    },
    /// Messages of that time will not come any more.
    GapLost {
        id: u64,
        application: ApplicationName,
        from: Timestamp,
        to: Timestamp,
        /// Uplinks that were fetched nevertheless.
        repaired: u64,
        reason: String,
        #[serde(flatten)]
        lost: LostFrames,
    },
    /// The network's messages given up before the home had them, because the spool is full or they waited too long.
    SpoolShed {
        application: ApplicationName,
        count: u64,
        /// When the first and the last of them came.
        oldest: Timestamp,
        newest: Timestamp,
    },
    /// Uplinks that the home has, and the history does not: nothing could be written for too long.
    ReadingsDropped {
        application: ApplicationName,
        count: u64,
        /// When the network had the first and the last of them.
        oldest: Timestamp,
        newest: Timestamp,
    },
    /// A codec that cannot be used. If there was one in its place before, that goes on.
    CodecBroken {
        codec: String,
        error: String,
        /// Where in its file, counted from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
    },
    /// A codec whose file is new or was changed is used from now on.
    CodecReloaded {
        codec: String,
    },
    /// The configuration was read again, and what could be applied is.
    ConfigurationReloaded {
        /// Keys, applied or not.
        changed: Vec<String>,
        /// Those among them that count after a restart only.
        needs_restart: Vec<String>,
    },
    /// What is in the configuration file now cannot be used: everything stays as it was.
    ConfigurationBroken {
        file: String,
        problems: Vec<ConfigurationProblem>,
    },
    /// Nothing can be written to the disk: what comes in is kept in memory only.
    StoreFailing {
        reason: String,
        hint: String,
    },
    StoreWorks,
    /// The clock here and the network's disagree.
    ClockWrong {
        /// How far the one here is ahead of the network's; below 0 if it is behind.
        ahead_s: i64,
        hint: String,
    },
    /// They agree again.
    ClockRight,
}

/// One thing wrong in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct ConfigurationProblem {
    /// If it is not the configuration's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1; none if the file as a whole is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// `home.url`; empty if no key is meant.
    pub key: String,
    pub message: String,
    pub hint: String,
}

impl fmt::Display for ConfigurationProblem {
    /// `devices.toml: line 3: device[0].qos: what is wrong`, without the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().map(|file| format!("{file}: ")).unwrap_or_default();
        let line = self.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let key = if self.key.is_empty() { String::new() } else { format!("{}: ", self.key) };
        write!(f, "{file}{line}{key}{}", self.message)
    }
}

/// Where notices go. Cheap to clone, never waits: more notices than anybody reads are dropped, their log lines are not.
#[derive(Debug, Clone)]
pub struct Notices(mpsc::Sender<Notice>);

/// The same for one who outlives those who listen: it does not keep them waiting.
#[derive(Debug, Clone)]
pub struct WeakNotices(mpsc::WeakSender<Notice>);

impl Notices {
    pub fn new(notices: mpsc::Sender<Notice>) -> Self {
        Self(notices)
    }

    pub fn tell(&self, notice: Notice) {
        notice.log();
        self.0.try_send(notice).ok();
    }

    pub fn downgrade(&self) -> WeakNotices {
        WeakNotices(self.0.downgrade())
    }
}

impl WeakNotices {
    pub fn tell(&self, notice: Notice) {
        match self.0.upgrade() {
            Some(notices) => Notices(notices).tell(notice),
            None => notice.log(),
        }
    }
}

impl Notice {
    /// Whether `bridge/info` reads differently after it.
    pub fn changes_info(&self) -> bool {
        use Notice::{ConfigurationBroken, ConfigurationReloaded, Degraded, NetworkConnected, NetworkLost, Restored};
        matches!(
            self,
            NetworkConnected { .. }
                | NetworkLost { .. }
                | Degraded { .. }
                | Restored { .. }
                | ConfigurationReloaded { .. }
                | ConfigurationBroken { .. }
        )
    }

    /// The device it is about, and what that is called now.
    pub fn device(&self) -> Option<(DeviceKey, &HomeName)> {
        use Notice::{
            DeviceJoined, DeviceOffline, DeviceOnline, DeviceRemoved, DeviceRenamed, DeviceSeenFirst, FairUse,
        };
        match self {
            DeviceSeenFirst { device, application, device_id }
            | DeviceJoined { device, application, device_id }
            | DeviceRenamed { to: device, application, device_id, .. }
            | DeviceOffline { device, application, device_id, .. }
            | DeviceOnline { device, application, device_id, .. }
            | DeviceRemoved { device, application, device_id }
            | FairUse { device, application, device_id, .. } => {
                let id = DeviceId::parse(device_id).ok()?;
                Some((DeviceKey::new(application, id), device))
            }
            _ => None,
        }
    }

    fn log(&self) {
        match self {
            Self::DeviceSeenFirst { device, application, .. } => {
                tracing::info!(%device, %application, "Device seen first.")
            }
            Self::DeviceJoined { device, application, .. } => tracing::info!(%device, %application, "Device joined."),
            Self::NameTaken { wanted, device, key, holder } => {
                tracing::warn!(%wanted, %device, key, holder, "Home name is taken; the device got another.");
            }
            Self::DeviceRemoved { device, .. } => tracing::info!(%device, "Device forgotten."),
            Self::NetworkConnected { application } => tracing::info!(%application, "Network connected."),
            Self::NetworkLost { application, reason } => {
                tracing::warn!(%application, reason, "Network connection lost.")
            }
            Self::Degraded { application, what, hint } => tracing::warn!(%application, what, hint, "Degraded."),
            Self::BridgeDegraded { what, hint } => tracing::error!(what, hint, "Degraded."),
            Self::BridgeRestored { what } => tracing::info!(what, "Works again."),
            Self::UplinksDropped { application, count } => {
                tracing::error!(%application, count, "Messages dropped: the bridge was too far behind.");
            }
            Self::Unreadable { application, topic, reason } => {
                tracing::warn!(%application, topic, reason, "Message cannot be understood.");
            }
            Self::Undeliverable { topic, bytes, reason } => {
                tracing::error!(topic, bytes, reason, "Message given up.");
            }
            Self::PublishRefused { topic, reason, hint } => {
                tracing::error!(topic, reason, hint, "The home broker refuses what is published.");
            }
            Self::CommandDropped { topic, reason } => tracing::error!(topic, reason, "Command dropped."),
            Self::DeviceRenamed { from, to, .. } => tracing::info!(%from, %to, "Device renamed."),
            Self::DeviceOffline { device, application, silent_s, .. } => {
                tracing::warn!(%device, %application, silent_s, "Device is offline.");
            }
            Self::DeviceOnline { device, application, silent_s, .. } => {
                tracing::info!(%device, %application, silent_s, "Device is online again.");
            }
            Self::Restored { application, what } => tracing::info!(%application, what, "Works again."),
            Self::FairUse { device, exceeded, downlinks, airtime_s, .. } => {
                tracing::warn!(%device, exceeded, downlinks, airtime_s, "Device used up its day of fair use.");
            }
            Self::SpoolShed { application, count, oldest, newest } => {
                tracing::error!(%application, count, %oldest, %newest, "Messages given up: the spool is full or they are too old.");
            }
            Self::HomeBacklogDropped { count } => {
                tracing::error!(count, "Messages given up: too many waited for the home broker.");
            }
            Self::GapFound { application, from, to, why, .. } => {
                tracing::warn!(%application, %from, %to, why, "Messages may have been missed; asking for them.");
            }
            Self::GapRepaired { application, from, to, source: "none", .. } => {
                tracing::info!(%application, %from, %to, "Nothing is known to be missing; the network keeps nothing to ask for.");
            }
            Self::GapRepaired { application, from, to, repaired, source, .. } => {
                tracing::info!(%application, %from, %to, repaired, source, "Gap repaired.");
            }
            Self::GapLost { application, from, to, repaired, reason, lost, .. } => {
                let (frames, devices) = (lost.frames(), lost.devices.len() + lost.more_devices);
                tracing::error!(%application, %from, %to, repaired, frames, devices, reason, "Messages are lost.");
            }
            Self::CodecBroken { codec, error, line } => tracing::warn!(codec, line, error, "Codec cannot be used."),
            Self::CodecReloaded { codec } => tracing::info!(codec, "Codec reloaded."),
            Self::ConfigurationReloaded { changed, needs_restart } => {
                let (changed, needs_restart) = (changed.join(", "), needs_restart.join(", "));
                tracing::info!(changed, needs_restart, "Configuration read again.");
            }
            Self::ConfigurationBroken { file, problems } => problems.iter().for_each(|each| {
                let ConfigurationProblem { file: other, line, key, message: problem, hint } = each;
                let file = other.as_ref().unwrap_or(file);
                tracing::error!(file, line, key, problem, hint, "Configuration cannot be used; going on as before.");
            }),
            Self::StoreFailing { .. }
            | Self::StoreWorks
            | Self::ReadingsDropped { .. }
            | Self::ClockWrong { .. }
            | Self::ClockRight => self.log_of_this_machine(),
        }
    }

    fn log_of_this_machine(&self) {
        match self {
            Self::StoreFailing { reason, hint } => {
                tracing::error!(reason, hint, "Nothing can be stored; going on in memory.");
            }
            Self::StoreWorks => tracing::info!("The store works again."),
            Self::ClockWrong { ahead_s, hint } => {
                tracing::warn!(ahead_s, hint, "The clock here and the network's disagree.");
            }
            Self::ClockRight => tracing::info!("The clock here and the network's agree again."),
            Self::ReadingsDropped { application, count, oldest, newest } => {
                tracing::warn!(%application, count, %oldest, %newest, "Readings are missing in the history: the disk failed for too long.");
            }
            _ => {}
        }
    }
}
