//! `/metrics`: what a scrape shows, in the OpenMetrics text format and in the older one of Prometheus.
//!
//! Nothing is kept between scrapes and nothing is registered: a [`Scrape`] is read when it is asked for, and written down.
//! Names follow the conventions of Prometheus: base units, `_total` for counters, one name for one thing.

mod device;
mod page;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::{Registry, Unit};

use super::counters::{Count, Counters};
use super::process::Usage;
pub use device::DeviceReading;
use page::Page;

/// What a scrape shows.
#[derive(Debug)]
pub struct Scrape {
    pub version: &'static str,
    pub counters: Counters,
    pub applications: Vec<ApplicationReading>,
    pub home_connected: bool,
    /// Downlinks that have not reached their end.
    pub open_downlinks: usize,
    pub store_failing: bool,
    pub uptime: Duration,
    /// None unless metrics of each device are wanted.
    pub devices: Vec<DeviceReading>,
}

/// How an application stands.
#[derive(Debug)]
pub struct ApplicationReading {
    pub name: String,
    pub connected: bool,
    pub last_message: Option<Timestamp>,
    /// Messages that the read loop had to drop.
    pub dropped: u64,
    /// How many things do not work.
    pub degraded: usize,
}

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus, which every reader understands.
    Text,
}

/// Counters of each application: name, what it is, what is counted.
const OF_APPLICATIONS: [(&str, &str, Count); 10] = [
    ("ttn_ferry_uplinks", "Uplinks received, copies not counted", Count::Uplink),
    ("ttn_ferry_uplinks_decoded", "Uplinks that a codec of the bridge decoded", Count::Decoded),
    ("ttn_ferry_uplinks_duplicate", "Copies of uplinks received before", Count::Duplicate),
    ("ttn_ferry_uplinks_backfilled", "Uplinks fetched from the network's history", Count::Backfilled),
    ("ttn_ferry_codec_errors", "Uplinks that went on raw because their codec failed", Count::CodecError),
    ("ttn_ferry_messages_unreadable", "Messages of the network that were not understood", Count::Unreadable),
    (
        "ttn_ferry_messages_shed",
        "Messages given up on disk: too many, too old or not readable any more",
        Count::Dropped,
    ),
    ("ttn_ferry_readings_unkept", "Uplinks missing in the history: the disk failed for too long", Count::Unkept),
    ("ttn_ferry_frames_missed", "Frames missing before an uplink when it came; some of them come later", Count::Missed),
    ("ttn_ferry_frames_lost", "Frames of gaps that could not be repaired", Count::Lost),
];

impl Exposition {
    /// What whoever sends this `Accept` wants to read.
    pub fn accepted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

impl Scrape {
    pub fn written_as(self, exposition: Exposition) -> String {
        let (mut registry, mut written) = (Registry::default(), String::new());
        registry.register_collector(Box::new(self));
        text::encode(&mut written, &registry).expect("a string takes whatever is written to it");
        match exposition {
            Exposition::OpenMetrics => written,
            Exposition::Text => page::as_text(&written),
        }
    }

    fn bridge(&self, page: &mut Page<'_>) -> fmt::Result {
        page.info("ttn_ferry_build", "The release that runs", &[("version", self.version)])?;
        page.gauge(
            "ttn_ferry_uptime",
            "Time since the bridge started",
            Some(Unit::Seconds),
            self.uptime.as_secs_f64(),
        )?;
        let counts = self.counters.snapshot();
        page.gauge("ttn_ferry_home_connected", "Whether the home broker is connected", None, self.home_connected)?;
        page.gauge("ttn_ferry_home_waiting", "Messages that wait for the home broker", None, counts.waiting_at_home)?;
        let size = "Length of the messages on disk until the home has them";
        page.gauge("ttn_ferry_spool_size", size, Some(Unit::Bytes), counts.spooled_bytes)?;
        page.gauge("ttn_ferry_downlinks_open", "Downlinks that did not reach their end", None, self.open_downlinks)?;
        page.gauge("ttn_ferry_store_failing", "Whether nothing can be written to the disk", None, self.store_failing)?;
        page.counter("ttn_ferry_commands", "Commands that came over MQTT", self.counters.own(Count::Command))?;
        let delivered = self.counters.own(Count::Delivered);
        page.counter("ttn_ferry_home_delivered", "Messages that the home broker acknowledged", delivered)?;
        let dropped = self.counters.own(Count::Dropped);
        page.counter("ttn_ferry_home_dropped", "Messages given up on the way to the home broker", dropped)?;
        let runs = self.counters.codec_runs();
        page.histogram("ttn_ferry_codec_run", "Time a codec took for an uplink", Unit::Seconds, runs)
    }

    fn applications(&self, page: &mut Page<'_>) -> fmt::Result {
        let all = &self.applications;
        let of_each = |value: fn(&ApplicationReading) -> f64| {
            all.iter().map(move |application| ([("application", application.name.as_str())], value(application)))
        };
        let connected = of_each(|it| f64::from(u8::from(it.connected)));
        page.gauges("ttn_ferry_application_connected", "Whether its network is connected", None, connected)?;
        let degraded = of_each(|it| it.degraded as f64);
        page.gauges("ttn_ferry_application_problems", "Things that do not work", None, degraded)?;
        let heard = all.iter().filter_map(|it| Some(([("application", it.name.as_str())], seconds(it.last_message?))));
        let help = "When the network's last message came";
        page.gauges("ttn_ferry_application_last_message_timestamp", help, Some(Unit::Seconds), heard)?;
        let spooled = self.counters.spooled().map(|(name, number)| ([("application", name)], number as f64));
        page.gauges("ttn_ferry_spool_messages", "Messages on disk until the home has them", None, spooled)?;
        let dropped = all.iter().map(|it| ([("application", it.name.as_str())], it.dropped));
        page.counters("ttn_ferry_messages_overrun", "Messages dropped: the bridge was too far behind", dropped)?;
        for (name, help, what) in OF_APPLICATIONS {
            let counts = self.counters.of_each(what);
            page.counters(name, help, counts.map(|(name, number)| ([("application", name)], number)))?;
        }
        let ended = self.counters.downlinks();
        let ended = ended.map(|(name, state, number)| ([("application", name), ("state", state.as_str())], number));
        page.counters("ttn_ferry_downlinks", "Downlinks that reached their end, by their last state", ended)
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page::new(encoder);
        self.bridge(&mut page)?;
        self.applications(&mut page)?;
        device::write(&self.devices, &mut page)?;
        process(&Usage::now(), &mut page)
    }
}

/// The names that every exporter has for its process.
fn process(usage: &Usage, page: &mut Page<'_>) -> fmt::Result {
    let (bytes, seconds) = (Some(Unit::Bytes), Unit::Seconds);
    if let Some(memory) = usage.memory_bytes {
        page.gauge("process_resident_memory", "Resident memory", bytes, memory)?;
    }
    if let Some(cpu) = usage.cpu {
        page.seconds_counter("process_cpu", "Time on a processor", seconds, cpu)?;
    }
    if let Some(files) = usage.open_files {
        page.gauge("process_open_fds", "Open files", None, files)?;
    }
    Ok(())
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64()
}

#[cfg(test)]
mod tests;
