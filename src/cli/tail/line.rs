//! One line for each thing that happened, for people.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::Frame;
use crate::cli::Terminal;
use crate::cli::moment::whole_seconds;
use crate::cli::service::{Service, ServiceError};
use crate::cli::terminal::{Paint, harmless};

/// Levels of objects that are taken apart; what lies deeper is shown as JSON.
const MOST_LEVELS: u8 = 8;

/// Makes lines.
pub struct Lines {
    /// By device and field.
    units: HashMap<(String, String), String>,
    /// Of the longest name of a device, in characters.
    width: usize,
}

/// The parts of a device that are wanted.
#[derive(Deserialize)]
struct Device {
    name: String,
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    unit: Option<String>,
}

/// The parts of an uplink that are shown.
#[derive(Deserialize)]
struct Uplink {
    at: Timestamp,
    f_port: Option<u8>,
    payload_hex: String,
    fields: Option<Box<RawValue>>,
    codec_error: Option<String>,
    #[serde(default)]
    backfilled: bool,
    radio: Radio,
}

#[derive(Deserialize)]
struct Radio {
    gateways: Vec<Gateway>,
    spreading_factor: Option<u8>,
}

#[derive(Deserialize)]
struct Gateway {
    rssi: f32,
    snr: f32,
}

impl Lines {
    /// Knows the units of the devices that are there now.
    pub async fn of(service: &Service) -> Result<Self, ServiceError> {
        let text = service.get(&["devices"], &[], Duration::ZERO).await?;
        serde_json::from_str(&text).map(Self::of_devices).map_err(ServiceError::Unreadable)
    }

    fn of_devices(devices: Vec<Device>) -> Self {
        let width = devices.iter().map(|device| device.name.chars().count()).max().unwrap_or(0);
        let unit = |Device { name, fields }: Device| {
            let named = fields.into_iter().filter_map(|field| Some((field.name, field.unit?)));
            named.map(|(field, unit)| ((name.clone(), field), unit)).collect::<Vec<_>>()
        };
        Self { units: devices.into_iter().flat_map(unit).collect(), width }
    }

    /// `2026-11-21T06:00:02Z  hall/lamp  brightness 40 %  SF7 -97 dBm 8.2 dB 2 gateways`.
    pub fn of_frame(&self, frame: &Frame, terminal: &Terminal) -> String {
        let device = harmless(frame.device.as_deref().unwrap_or("-"));
        let data = frame.data.as_ref().map_or("", |data| data.get());
        let uplink: Option<Uplink> = (frame.kind == "uplink").then(|| serde_json::from_str(data).ok()).flatten();
        let (at, rest) = match &uplink {
            Some(uplink) => (uplink.at, self.of_uplink(uplink, &device, terminal)),
            None => (frame.at, format!("{}  {}", terminal.paint(Paint::Dim, &frame.kind), harmless(data))),
        };
        let at = terminal.paint(Paint::Dim, &whole_seconds(at).to_string());
        let device = terminal.paint(Paint::Bold, &format!("{device:<width$}", width = self.width));
        format!("{at}  {device}  {rest}")
    }

    fn of_uplink(&self, uplink: &Uplink, device: &str, terminal: &Terminal) -> String {
        let mut parts = match &uplink.fields {
            Some(fields) => self.of_fields(fields, device),
            None => vec![uplink.raw()],
        };
        parts.extend(uplink.codec_error.iter().map(|error| terminal.paint(Paint::Red, &harmless(error))));
        parts.extend(uplink.backfilled.then(|| terminal.paint(Paint::Yellow, "fetched later")));
        parts.push(terminal.paint(Paint::Dim, &uplink.radio.told()));
        parts.join("  ")
    }

    fn of_fields(&self, fields: &RawValue, device: &str) -> Vec<String> {
        let mut found = Vec::new();
        flatten("", fields, MOST_LEVELS, &mut found);
        let field = |(path, value): (String, String)| {
            let unit = self.unit(device, &path).map(|unit| format!(" {unit}")).unwrap_or_default();
            harmless(&format!("{path} {value}{unit}")).replace('\n', " ")
        };
        found.into_iter().map(field).collect()
    }

    /// A codec may name a row of fields by what they begin with: `temperature_*`.
    fn unit(&self, device: &str, path: &str) -> Option<&String> {
        let of = |field: &str| self.units.get(&(device.to_owned(), field.to_owned()));
        of(path).or_else(|| of(&format!("{}*", path.trim_end_matches(|digit: char| digit.is_ascii_digit()))))
    }
}

impl Uplink {
    fn raw(&self) -> String {
        match self.f_port {
            Some(port) => format!("port {port}: {}", self.payload_hex),
            None => "no payload".to_owned(),
        }
    }
}

impl Radio {
    /// The strongest gateway is the first.
    fn told(&self) -> String {
        let factor = self.spreading_factor.map(|factor| format!("SF{factor}"));
        let signal = self.gateways.first().map(|best| format!("{} dBm {} dB", best.rssi, best.snr));
        let gateways = match self.gateways.len() {
            0 => None,
            1 => Some("1 gateway".to_owned()),
            many => Some(format!("{many} gateways")),
        };
        [factor, signal, gateways].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Values by their paths; numbers keep their digits.
fn flatten(path: &str, value: &RawValue, levels: u8, found: &mut Vec<(String, String)>) {
    let members = (levels > 0).then(|| serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok()).flatten();
    match members {
        Some(members) => members.into_iter().for_each(|(name, value)| {
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            flatten(&path, value, levels - 1, found);
        }),
        None => {
            let text = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned());
            found.push((path.to_owned(), text));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(kind: &str, data: serde_json::Value) -> String {
        let devices = json!([{"name": "hall/lamp", "fields": [
            {"name": "air.temperature", "unit": "°C"}, {"name": "volt_*", "unit": "V"}, {"name": "on"}]}]);
        let lines = Lines::of_devices(serde_json::from_value(devices).unwrap());
        let frame = json!({"kind": kind, "device": "hall/lamp", "at": "2026-11-21T06:00:09Z", "data": data});
        let terminal = Terminal::of(std::io::empty(), Vec::new(), Vec::new());
        lines.of_frame(&serde_json::from_str(&frame.to_string()).unwrap(), &terminal)
    }

    fn uplink(fields: serde_json::Value) -> serde_json::Value {
        json!({
            "at": "2026-11-21T06:00:02.5Z", "f_port": 2, "payload_hex": "0aff", "fields": fields,
            "radio": {"gateways": [{"id": "g", "rssi": -97.0, "snr": 8.25}], "spreading_factor": 7},
        })
    }

    #[test]
    fn a_reading_is_a_line_with_units_and_how_it_was_heard() {
        let fields = json!({"air": {"temperature": 21.5}, "volt_2": 3, "on": true, "note": "a\u{1b}[31m\nb"});
        assert_eq!(
            line("uplink", uplink(fields)),
            "2026-11-21T06:00:02Z  hall/lamp  air.temperature 21.5 °C  note a[31m b  on true  volt_2 3 V  \
             SF7 -97 dBm 8.25 dB 1 gateway"
        );
    }

    #[test]
    fn what_no_codec_decoded_is_shown_raw_and_other_kinds_as_they_came() {
        let told = line("uplink", uplink(json!(null)));
        assert!(told.contains("  port 2: 0aff  SF7"), "{told}");
        let told = line("availability", json!({"state": "offline"}));
        assert_eq!(told, r#"2026-11-21T06:00:09Z  hall/lamp  availability  {"state":"offline"}"#);
    }
}
