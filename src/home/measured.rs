//! The newest of every quantity that a device measured, as one normalised measurement.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A measurement that grows: groups are merged, values replaced. Empty as long as nothing was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Measured(Map<String, Value>);

impl Measured {
    /// Merges measurements, the newest last. What is no list of objects holds none.
    pub fn take(&mut self, measurements: &RawValue) {
        let list: Vec<Map<String, Value>> = serde_json::from_str(measurements.get()).unwrap_or_default();
        for measurement in list {
            // It belongs to one measurement: the next may not tell its own.
            self.0.remove("time");
            merge(&mut self.0, measurement);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

/// The measurements' own depth bounds the recursion: JSON is read to 128 levels.
fn merge(known: &mut Map<String, Value>, newer: Map<String, Value>) {
    for (key, value) in newer {
        match (known.get_mut(&key), value) {
            (Some(Value::Object(group)), Value::Object(newer)) => merge(group, newer),
            (Some(known), value) => *known = value,
            (None, value) => drop(known.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(lists: &[Value]) -> Value {
        let mut measured = Measured::default();
        lists.iter().for_each(|list| measured.take(&serde_json::value::to_raw_value(list).unwrap()));
        measured.as_value()
    }

    #[test]
    fn groups_are_merged_and_the_last_of_a_list_is_the_newest() {
        let measured = after(&[
            json!([{"air": {"temperature": 20, "co2": 400}, "battery": 3.3}]),
            json!([{"air": {"temperature": 21}}, {"air": {"temperature": 22}, "soil": {"pH": 7}}]),
        ]);
        assert_eq!(measured, json!({"air": {"temperature": 22, "co2": 400}, "battery": 3.3, "soil": {"pH": 7}}));
    }

    #[test]
    fn the_time_of_a_measurement_goes_with_it() {
        let first = json!([{"time": "2026-01-01T00:00:00Z", "battery": 3}]);
        assert_eq!(after(std::slice::from_ref(&first))["time"], "2026-01-01T00:00:00Z");
        assert_eq!(after(&[first, json!([{"battery": 2}])]), json!({"battery": 2}));
    }

    #[test]
    fn what_is_no_list_of_measurements_changes_nothing() {
        assert_eq!(
            after(&[json!([{"battery": 3}]), json!(5), json!({"battery": 1}), json!([[]])]),
            json!({"battery": 3})
        );
    }
}
