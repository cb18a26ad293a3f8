//! What a table's fields mean, in the terms that all devices share.

use serde_json::{Map, Value};

use super::{Data, Field, Table};

impl Table {
    /// The measurements that decoded data hold, by the `normalized` paths of the uplinks' fields: one, and one more for
    /// each repetition of a group that has such fields. `None` if there are none.
    pub fn normalize(&self, data: &Data) -> Option<Value> {
        let (mut own, mut repeated) = (Map::new(), Vec::new());
        for message in &self.uplink {
            for fields in message.parts.iter().map(|part| &part.fields).chain([&message.fields]) {
                collect(fields, data, &mut own, &mut repeated);
            }
        }
        let own = (!own.is_empty()).then_some(Value::Object(own));
        let list: Vec<_> = own.into_iter().chain(repeated).collect();
        (!list.is_empty()).then_some(Value::Array(list))
    }

    /// Whether any field of an uplink has a place in a measurement.
    pub(super) fn normalizes(&self) -> bool {
        fn any(fields: &[Field]) -> bool {
            fields.iter().any(|field| field.normalized_keys().next().is_some() || any(&field.fields))
        }
        self.uplink.iter().any(|message| any(&message.fields) || message.parts.iter().any(|part| any(&part.fields)))
    }
}

fn collect(fields: &[Field], data: &Data, own: &mut Data, repeated: &mut Vec<Value>) {
    for field in fields {
        for (name, path) in field.normalized_keys() {
            if let Some(value) = data.get(name).filter(|value| !value.is_null()) {
                put(own, path, value.clone());
            }
        }
        match field.name.as_ref().and_then(|name| data.get(name)) {
            Some(Value::Object(group)) => collect(&field.fields, group, own, repeated),
            Some(Value::Array(list)) => {
                for group in list.iter().filter_map(Value::as_object) {
                    let mut measurement = Map::new();
                    collect(&field.fields, group, &mut measurement, repeated);
                    repeated.extend((!measurement.is_empty()).then_some(Value::Object(measurement)));
                }
            }
            _ => {}
        }
    }
}

impl Field {
    /// The keys it shows that have a place in a measurement, with that place.
    fn normalized_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.name.iter().zip(&self.normalized);
        let flags = self.flags.iter().flatten().filter_map(|flag| Some((&flag.name, flag.normalized.as_ref()?)));
        let found = self.find.iter().flatten().filter_map(|find| Some((&find.name, find.normalized.as_ref()?)));
        own.chain(flags).chain(found).map(|(name, path)| (name.as_str(), path.as_str()))
    }
}

/// Puts a value at a path such as `air.temperature`.
fn put(measurement: &mut Data, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(measurement.insert(path.to_owned(), value)),
        Some((group, rest)) => {
            let group = measurement.entry(group).or_insert_with(|| Map::new().into());
            if let Value::Object(group) = group {
                put(group, rest, value);
            }
        }
    }
}
