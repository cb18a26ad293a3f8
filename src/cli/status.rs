//! `ttn-ferry status`: how the running bridge fares, on one screen.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::moment::whole_seconds;
use super::service::{Reach, Service, ServiceError};
use super::table::aligned;
use super::terminal::{Paint, harmless};
use super::{Exit, Terminal};
use crate::config::Environment;

/// Show how the running bridge fares
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 all is well, 1 something does not work, 69 no bridge can be reached")]
pub struct Status {
    #[command(flatten)]
    reach: Reach,
}

/// All that is told, and that `--json` shows.
#[derive(Debug, Serialize)]
struct Shown {
    /// Everything is connected, and nothing is degraded.
    well: bool,
    version: String,
    uptime_s: u64,
    memory_bytes: Option<u64>,
    home_connected: bool,
    store_failing: Option<String>,
    applications: Vec<Application>,
    /// Messages that wait for the home broker.
    backlog: u64,
    downlinks_open: u64,
    devices: Devices,
}

/// The parts of `info` and `health` that are told.
#[derive(Deserialize)]
struct Info {
    version: String,
}

#[derive(Deserialize)]
struct Health {
    uptime_s: u64,
    memory_bytes: Option<u64>,
    queue: u64,
    home_connected: bool,
    store_failing: Option<String>,
}

#[derive(Deserialize)]
struct Applications {
    applications: Vec<Application>,
    backlog: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Application {
    name: String,
    connected: bool,
    last_message: Option<Timestamp>,
    degraded: Vec<String>,
    backlog: u64,
    gaps_open: u64,
    devices: u64,
}

#[derive(Deserialize)]
struct Device {
    availability: Option<String>,
}

#[derive(Debug, Default, Serialize)]
struct Devices {
    online: usize,
    offline: usize,
    /// Not heard since the bridge knows them.
    unknown: usize,
}

impl Status {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let service = self.reach.service(config, environment)?;
        let shown = match Shown::ask(&service).await {
            Ok(shown) => shown,
            Err(error) => return self.reach.told(error, terminal),
        };
        if self.reach.json {
            terminal.line(&serde_json::to_string(&shown)?)?;
        } else {
            shown.lines(Timestamp::now(), terminal).iter().try_for_each(|line| terminal.line(line))?;
        }
        Ok(if shown.well { Exit::Success } else { Exit::Failure })
    }
}

impl Shown {
    async fn ask(service: &Service) -> Result<Self, ServiceError> {
        let Info { version } = ask(service, "info").await?;
        let Health { uptime_s, memory_bytes, queue: downlinks_open, home_connected, store_failing } =
            ask(service, "health").await?;
        let Applications { applications, backlog } = ask(service, "applications").await?;
        let mut devices = Devices::default();
        for Device { availability } in ask::<Vec<Device>>(service, "devices").await? {
            match availability.as_deref() {
                Some("online") => devices.online += 1,
                Some(_) => devices.offline += 1,
                None => devices.unknown += 1,
            }
        }
        let fares = |it: &Application| it.connected && it.degraded.is_empty();
        let well = home_connected && store_failing.is_none() && applications.iter().all(fares);
        Ok(Self {
            well,
            version,
            uptime_s,
            memory_bytes,
            home_connected,
            store_failing,
            applications,
            backlog,
            downlinks_open,
            devices,
        })
    }

    fn lines(&self, now: Timestamp, terminal: &Terminal) -> Vec<String> {
        let (word, paint) = if self.well { ("all is well", Paint::Green) } else { ("degraded", Paint::Red) };
        let up = whole_seconds(now.saturating_sub(SignedDuration::from_secs(self.uptime_s as i64)).unwrap_or(now));
        let memory = self.memory_bytes.map(|bytes| format!(", {} MiB of memory", bytes >> 20)).unwrap_or_default();
        let Devices { online, offline, unknown } = self.devices;
        let mut lines = vec![
            format!("ttn-ferry {}: {}, since {up}{memory}", self.version, terminal.paint(paint, word)),
            format!("devices: {online} online, {offline} offline, {unknown} not heard yet"),
            format!(
                "downlinks open: {}; messages that wait for the home broker: {}",
                self.downlinks_open, self.backlog
            ),
        ];
        if !self.home_connected {
            lines.push(terminal.paint(Paint::Red, "the home broker is not connected"));
        }
        let failing = self.store_failing.iter().map(|why| format!("nothing can be stored: {}", harmless(why)));
        lines.extend(failing.map(|line| terminal.paint(Paint::Red, &line)));
        let rows: Vec<_> = self.applications.iter().map(|application| application.row(terminal)).collect();
        lines.extend(aligned(&rows));
        let degraded = self.applications.iter().flat_map(|it| it.degraded.iter().map(move |what| (&it.name, what)));
        lines.extend(degraded.map(|(name, what)| format!("{}: {}", terminal.paint(Paint::Red, name), harmless(what))));
        lines
    }
}

impl Application {
    fn row(&self, terminal: &Terminal) -> [String; 5] {
        let connected = match self.connected {
            true => terminal.paint(Paint::Green, "connected"),
            false => terminal.paint(Paint::Red, "not connected"),
        };
        let heard =
            self.last_message.map_or("nothing heard yet".to_owned(), |at| format!("heard {}", whole_seconds(at)));
        let gaps = match self.gaps_open {
            0 => "no open gap".to_owned(),
            1 => "1 open gap".to_owned(),
            many => format!("{many} open gaps"),
        };
        let waiting = if self.backlog > 0 { format!(", {} waiting", self.backlog) } else { String::new() };
        [self.name.clone(), connected, heard, format!("{} devices", self.devices), gaps + &waiting]
    }
}

async fn ask<T: DeserializeOwned>(service: &Service, what: &str) -> Result<T, ServiceError> {
    let text = service.get(&[what], &[], Duration::ZERO).await?;
    serde_json::from_str(&text).map_err(ServiceError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_degraded_is_said_and_colours_only_where_they_are_seen() {
        let application = Application {
            name: "garden".into(),
            connected: false,
            last_message: None,
            degraded: vec!["the storage cannot be read".into()],
            backlog: 2,
            gaps_open: 1,
            devices: 7,
        };
        let devices = Devices { online: 5, offline: 1, unknown: 1 };
        let (version, memory_bytes) = ("0.1.0".into(), Some(40 << 20));
        let applications = vec![application];
        let shown = Shown {
            well: false,
            version,
            uptime_s: 60,
            memory_bytes,
            home_connected: false,
            store_failing: Some("the disk is full".into()),
            applications,
            backlog: 3,
            downlinks_open: 2,
            devices,
        };
        let terminal = Terminal::of(std::io::empty(), Vec::new(), Vec::new());
        let lines = shown.lines("2026-11-21T06:01:00Z".parse().unwrap(), &terminal);
        let expected = [
            "ttn-ferry 0.1.0: degraded, since 2026-11-21T06:00:00Z, 40 MiB of memory",
            "devices: 5 online, 1 offline, 1 not heard yet",
            "downlinks open: 2; messages that wait for the home broker: 3",
            "the home broker is not connected",
            "nothing can be stored: the disk is full",
            "garden  not connected  nothing heard yet  7 devices  1 open gap, 2 waiting",
            "garden: the storage cannot be read",
        ];
        assert_eq!(lines, expected);
        let painted = shown.lines(Timestamp::UNIX_EPOCH, &terminal.coloured());
        assert!(painted[0].contains("\x1b[31mdegraded\x1b[0m"), "{painted:?}");
    }
}
