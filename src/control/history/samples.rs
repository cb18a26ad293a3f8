//! What one uplink tells: values by the paths of their fields.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::model::UplinkRecord;

/// Levels that are looked into, and bytes of a path: as many as a device's fields have.
const MOST_LEVELS: usize = 8;
const LONGEST_PATH: usize = 200;

/// One value of one field.
#[derive(Debug, PartialEq)]
pub enum Sample {
    Number(f64),
    Flag(bool),
    /// A text; a list as JSON.
    Text(String),
}

/// Which fields are asked for.
#[derive(Debug, Default)]
pub struct Fields(Option<BTreeSet<String>>);

impl Fields {
    /// These; without any, every number.
    pub fn new(wanted: Option<Vec<String>>) -> Self {
        Self(wanted.filter(|wanted| !wanted.is_empty()).map(|wanted| wanted.into_iter().collect()))
    }

    /// Shows what an uplink tells of these fields, each with its time in milliseconds since 1970.
    pub fn read(&self, uplink: &UplinkRecord, mut found: impl FnMut(&str, i64, Sample)) {
        let at = uplink.at.as_millisecond();
        let mut walk = Walk { fields: self, path: String::new(), found: &mut found };
        if let Some(Value::Object(fields)) = parsed(uplink.fields.as_deref()) {
            // The device's own fields of these names give way to ours, as in its state.
            walk.members(&fields, at, |name| !matches!(name, "link" | "normalized"));
        }
        if let Some(Value::Array(measurements)) = parsed(uplink.normalized.as_deref()) {
            for measurement in measurements.iter().filter_map(Value::as_object) {
                let time = measurement.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok());
                let at = time.map_or(at, |time: Timestamp| time.as_millisecond());
                walk.below("normalized", |walk| walk.members(measurement, at, |name| name != "time"));
            }
        }
        walk.link(uplink, at);
    }

    fn wants(&self, path: &str, is_number: bool) -> bool {
        self.0.as_ref().map_or(is_number, |wanted| wanted.contains(path))
    }
}

/// The unit of a value that the bridge itself knows.
pub fn unit(path: &str) -> Option<&'static str> {
    match path {
        "link.rssi" => Some("dBm"),
        "link.snr" => Some("dB"),
        "link.frequency" => Some("Hz"),
        "link.airtime" => Some("s"),
        "battery_percentage" => Some("%"),
        _ => None,
    }
}

/// A walk through what one uplink tells.
struct Walk<'a> {
    fields: &'a Fields,
    path: String,
    found: &'a mut dyn FnMut(&str, i64, Sample),
}

impl Walk<'_> {
    fn members(&mut self, members: &Map<String, Value>, at: i64, is_theirs: impl Fn(&str) -> bool) {
        for (name, value) in members.iter().filter(|(name, _)| is_theirs(name)) {
            self.below(name, |walk| walk.value(value, at));
        }
    }

    fn value(&mut self, value: &Value, at: i64) {
        match value {
            Value::Object(members) if self.path.matches('.').count() + 1 < MOST_LEVELS => {
                self.members(members, at, |_| true);
            }
            Value::Number(number) => {
                number.as_f64().into_iter().for_each(|number| self.tell(at, || Sample::Number(number), true))
            }
            Value::Bool(flag) => self.tell(at, || Sample::Flag(*flag), false),
            Value::String(text) => self.tell(at, || Sample::Text(text.clone()), false),
            Value::Array(_) => self.tell(at, || Sample::Text(value.to_string()), false),
            Value::Object(_) | Value::Null => {}
        }
    }

    /// How the uplink was heard, and what the network says of the battery: a field of that name has the last word.
    fn link(&mut self, uplink: &UplinkRecord, at: i64) {
        let (radio, best) = (&uplink.radio, uplink.radio.best());
        let told = [
            ("rssi", best.map(|gateway| gateway.rssi.into())),
            ("snr", best.map(|gateway| gateway.snr.into())),
            ("spreading_factor", radio.data_rate.spreading_factor.map(f64::from)),
            ("frequency", radio.frequency.map(|hertz| hertz as f64)),
            ("airtime", radio.airtime),
        ];
        for (name, number) in told {
            let tell = |walk: &mut Self| {
                number.into_iter().for_each(|number| walk.tell(at, || Sample::Number(number), true));
            };
            self.below("link", |walk| walk.below(name, tell));
        }
        let is_own =
            || matches!(parsed(uplink.fields.as_deref()), Some(fields) if !fields["battery_percentage"].is_null());
        if let Some(percent) = uplink.battery_percentage.filter(|_| !is_own()) {
            self.below("battery_percentage", |walk| walk.tell(at, || Sample::Number(percent), true));
        }
    }

    /// Does something one level further down; not below a name that cannot stand in a path.
    fn below(&mut self, name: &str, work: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if name.is_empty() || name.contains('.') || length + name.len() >= LONGEST_PATH {
            return;
        }
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        work(self);
        self.path.truncate(length);
    }

    fn tell(&mut self, at: i64, sample: impl FnOnce() -> Sample, is_number: bool) {
        if self.fields.wants(&self.path, is_number) {
            (self.found)(&self.path, at, sample());
        }
    }
}

fn parsed(json: Option<&serde_json::value::RawValue>) -> Option<Value> {
    json.and_then(|json| serde_json::from_str(json.get()).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::{DataRate, Gateway};

    fn uplink() -> UplinkRecord {
        let raw = |text: &str| RawValue::from_string(text.into()).ok();
        let mut uplink = UplinkRecord {
            fields: raw(
                r#"{"t": 21.5, "on": true, "s": "x", "l": [1, 2], "n": null, "a": {"b": {"c": 1}, "d.e": 5}, "link": 1}"#,
            ),
            normalized: raw(
                r#"[{"time": "1970-01-01T00:00:03Z", "air": {"temperature": 20}}, {"air": {"temperature": 21}}]"#,
            ),
            battery_percentage: Some(80.0),
            ..UplinkRecord::sample("node", 1, 5)
        };
        uplink.radio.gateways = vec![Gateway { id: "g".into(), rssi: -70.0, snr: 5.5, ..Gateway::default() }];
        uplink.radio.data_rate = DataRate { spreading_factor: Some(9), ..DataRate::default() };
        uplink
    }

    fn read(wanted: &[&str], uplink: &UplinkRecord) -> Vec<String> {
        let mut found = Vec::new();
        let fields = Fields::new(Some(wanted.iter().map(|&path| path.to_owned()).collect()));
        fields.read(uplink, |path, at, sample| found.push(format!("{path} {at} {sample:?}")));
        found
    }

    #[test]
    fn without_a_wish_every_number_is_told() {
        let expected = [
            "a.b.c 5000 Number(1.0)",
            "t 5000 Number(21.5)",
            "normalized.air.temperature 3000 Number(20.0)",
            "normalized.air.temperature 5000 Number(21.0)",
            "link.rssi 5000 Number(-70.0)",
            "link.snr 5000 Number(5.5)",
            "link.spreading_factor 5000 Number(9.0)",
            "battery_percentage 5000 Number(80.0)",
        ];
        assert_eq!(read(&[], &uplink()), expected);
    }

    #[test]
    fn a_wish_is_a_path_of_whatever_kind() {
        assert_eq!(
            read(&["on", "s", "l", "n", "a.b", "nope"], &uplink()),
            [r#"l 5000 Text("[1,2]")"#, "on 5000 Flag(true)", r#"s 5000 Text("x")"#]
        );
    }

    #[test]
    fn a_field_for_the_battery_has_the_last_word() {
        let fields = RawValue::from_string(r#"{"battery_percentage": 7}"#.into()).ok();
        let uplink = UplinkRecord { fields, ..uplink() };
        assert_eq!(read(&["battery_percentage"], &uplink), ["battery_percentage 5000 Number(7.0)"]);
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for odd in ["[1]", "5", "null"] {
            let fields = RawValue::from_string(odd.into()).ok();
            assert!(read(&["t"], &UplinkRecord { fields, ..uplink() }).is_empty());
        }
    }
}
