//! What is shown of each device, if that is wanted: it costs a line for each of its fields.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::registry::Unit;
use serde_json::Value;

use super::page::Page;
use super::seconds;

/// How deep fields are looked for in objects.
const DEEPEST: usize = 8;
/// How well it is heard: told by names of their own.
const LINK: &str = "link";
const BATTERY: &str = "battery_percentage";

/// The newest that is known of a device.
#[derive(Debug)]
pub struct DeviceReading {
    /// Its name at home.
    pub device: String,
    pub application: String,
    pub last_seen: Option<Timestamp>,
    /// Its merged state, as the home has it.
    pub state: Value,
}

pub fn write(devices: &[DeviceReading], page: &mut Page<'_>) -> fmt::Result {
    let seen = devices.iter().filter_map(|it| Some((it.labels(), seconds(it.last_seen?))));
    let help = "When the network had its last uplink";
    page.gauges("ttn_ferry_device_last_seen_timestamp", help, Some(Unit::Seconds), seen)?;
    let unit = |name: &str| Some(Unit::Other(name.into()));
    let rssi = devices.iter().filter_map(|it| Some((it.labels(), it.link("rssi")?)));
    page.gauges("ttn_ferry_device_rssi", "Strength at the gateway that heard it best", unit("dbm"), rssi)?;
    let snr = devices.iter().filter_map(|it| Some((it.labels(), it.link("snr")?)));
    page.gauges("ttn_ferry_device_snr", "Signal to noise at the same gateway", unit("decibels"), snr)?;
    let battery = devices.iter().filter_map(|it| Some((it.labels(), it.state.get(BATTERY)?.as_f64()? / 100.0)));
    page.gauges("ttn_ferry_device_battery", "Its battery, from 0 to 1", unit("ratio"), battery)?;
    let fields: Vec<_> = devices.iter().map(|it| (it, it.fields())).collect();
    let fields = fields.iter().flat_map(|(it, fields)| fields.iter().map(|(name, value)| (it.field(name), *value)));
    page.gauges("ttn_ferry_device_field", "Its decoded fields that are numbers, in their own units", None, fields)
}

impl DeviceReading {
    fn labels(&self) -> [(&str, &str); 2] {
        [("application", &self.application), ("device", &self.device)]
    }

    fn field<'a>(&'a self, field: &'a str) -> [(&'a str, &'a str); 3] {
        [("application", &self.application), ("device", &self.device), ("field", field)]
    }

    fn link(&self, what: &str) -> Option<f64> {
        self.state.get(LINK)?.get(what)?.as_f64()
    }

    /// Numbers, and what is true or false, by their dotted paths.
    fn fields(&self) -> Vec<(String, f64)> {
        let mut fields = Vec::new();
        let members = self.state.as_object().into_iter().flatten();
        for (name, value) in members.filter(|(name, _)| !matches!(name.as_str(), LINK | BATTERY)) {
            collect(name, value, DEEPEST, &mut fields);
        }
        fields
    }
}

fn collect(path: &str, value: &Value, deep: usize, fields: &mut Vec<(String, f64)>) {
    match value {
        Value::Number(number) => fields.extend(number.as_f64().map(|number| (path.to_owned(), number))),
        Value::Bool(yes) => fields.push((path.to_owned(), f64::from(u8::from(*yes)))),
        Value::Object(members) if deep > 0 => {
            members.iter().for_each(|(name, value)| collect(&format!("{path}.{name}"), value, deep - 1, fields));
        }
        _ => {}
    }
}
