//! What is kept of measurements, what is dropped, and what refuses them all.

use serde_json::json;

use super::*;
use crate::metadata::{Field, FieldKind};

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn checked(value: Value) -> (Value, Vec<String>) {
    let Checked { measurements, warnings } = check(&raw(&value)).unwrap();
    (serde_json::from_str(measurements.get()).unwrap(), warnings)
}

/// A measurement with one value, at the place that a path names.
fn at(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, level| json!({ level: value }))
}

#[test]
fn a_measurement_becomes_a_list_of_one_and_a_list_stays_one() {
    let one = json!({"air": {"temperature": 20.5, "location": "indoor"}, "time": "2026-01-01T00:00:00.5+01:00"});
    assert_eq!(checked(one.clone()), (json!([one.clone()]), Vec::new()));
    assert_eq!(checked(json!([one.clone(), {}])), (json!([one, {}]), Vec::new()));
    assert_eq!(checked(json!([])).0, json!([]));
}

#[test]
fn numbers_keep_their_digits_and_keys_come_in_order() {
    let data = RawValue::from_string(r#" { "battery": 3.30, "air": {"co2": 0.10000000000000000001} } "#.into());
    let checked = check(&serde_json::from_str::<Box<RawValue>>(data.unwrap().get()).unwrap()).unwrap();
    assert_eq!(checked.measurements.get(), r#"[{"air":{"co2":0.10000000000000000001},"battery":3.30}]"#);
}

#[test]
fn a_value_that_cannot_be_true_costs_itself_and_a_warning() {
    let (measurements, warnings) = checked(json!([
        {"battery": 3.3},
        {"air": {"relativeHumidity": 120, "temperature": 20}, "wind": {"direction": 360}, "battery": -0.1},
        {"action": {"contactState": "ajar"}, "position": {"latitude": -90.5, "longitude": 180}},
    ]));
    assert_eq!(measurements, json!([{"battery": 3.3}, {"air": {"temperature": 20}}, {"position": {"longitude": 180}}]));
    let expected = [
        "measurement 2: `air.relativeHumidity` should be equal or less than `100`",
        "measurement 2: `battery` should be equal or greater than `0`",
        "measurement 2: `wind.direction` should be less than `360`",
        "measurement 3: `action.contactState` should be one of `open`, `closed`",
        "measurement 3: `position.latitude` should be equal or greater than `-90`",
    ];
    assert_eq!(warnings, expected);
}

#[test]
fn every_quantity_refuses_another_type_and_everything_else_is_unknown() {
    for quantity in &QUANTITIES {
        for value in [json!(null), json!([1]), json!({}), json!({"x": 1})] {
            let refused = check(&raw(&at(quantity.path, value.clone()))).unwrap_err();
            let Refused::WrongType { path, .. } = &refused else { panic!("{refused} for {value}") };
            assert_eq!(path, quantity.path);
        }
    }
    for path in ["temperature", "air.temp", "air.temperature2", "soil.ph", "water.temperature.mean", "airs", ""] {
        let refused = check(&raw(&at(path, json!(1)))).unwrap_err();
        assert_eq!(refused, Refused::UnknownField { path: path.into() });
    }
    let refused = |value: Value| check(&raw(&value)).unwrap_err().to_string();
    assert_eq!(refused(json!({"air": 5})), "`air` must be an object, not a number");
    assert_eq!(refused(json!("warm")), "`data` must be an object, not this text");
    assert_eq!(refused(json!([[{}]])), "`data` must be an object, not a list");
    assert_eq!(refused(json!({"time": "yesterday"})), "`time` must be a time in RFC 3339, not this text");
}

#[test]
fn ranges_include_their_ends() {
    let (mut tried, epsilon) = (0, 1e-6);
    for quantity in &QUANTITIES {
        let Kind::Number(least, most) = &quantity.kind else { continue };
        let warns = |value: f64| !checked(at(quantity.path, json!(value))).1.is_empty();
        let Included(least) = least else { panic!("{} has no least value", quantity.path) };
        assert_eq!((warns(*least), warns(least - epsilon)), (false, true), "{}", quantity.path);
        match most {
            Included(most) => assert_eq!((warns(*most), warns(most + epsilon)), (false, true), "{}", quantity.path),
            Excluded(most) => assert_eq!((warns(*most), warns(most - epsilon)), (true, false), "{}", quantity.path),
            _ => assert!(!warns(1e9), "{}", quantity.path),
        }
        tried += 1;
    }
    assert_eq!(tried, 26);
}

#[test]
fn decoded_data_is_a_measurement_only_if_nothing_else_is_in_it() {
    let implied = |value: Value| implied(&raw(&value)).map(|checked| checked.measurements.get().to_owned());
    assert_eq!(implied(json!({"air": {"temperature": 20}})).as_deref(), Some(r#"[{"air":{"temperature":20}}]"#));
    for none in [json!({"air": {"temperature": 20}, "led": true}), json!({}), json!({"battery": -1}), json!(3)] {
        assert_eq!(implied(none), None);
    }
}

#[test]
fn what_was_measured_is_found_again() {
    let measurements = json!([{"air": {"temperature": 20}}, {"position": {"latitude": 1}, "battery": 3}, {"odd": 1}]);
    let found: Vec<_> = found_in(&measurements).iter().map(|quantity| quantity.path).collect();
    assert_eq!(found, ["battery", "air.temperature", "position.latitude"]);
    assert_eq!(found_in(&measurements[0])[0].path, "air.temperature");
}

#[test]
fn a_quantity_is_a_field_of_the_home_unless_a_codecs_own_shows_it() {
    let field = |path: &str| find(path).unwrap().field();
    let warm = field("air.temperature").unwrap();
    assert_eq!((warm.name.as_str(), warm.unit.as_deref()), ("normalized.air.temperature", Some("°C")));
    let place = field("position.longitude").unwrap();
    assert_eq!((place.name.as_str(), place.kind), ("normalized.position", FieldKind::Tracker));
    assert_eq!(field("action.contactState").unwrap().kind, FieldKind::BinarySensor);
    assert_eq!((field("time"), field("soil.n").unwrap().device_class), (None, None));

    let own = |name: &str, class: Option<&str>| Field {
        name: name.into(),
        device_class: class.map(Into::into),
        ..warm.clone()
    };
    let shown = |path: &str, field: &Field| find(path).unwrap().is_shown_by(field);
    assert!(shown("air.temperature", &own("t", Some("temperature"))));
    assert!(!shown("battery", &own("battery", Some("battery"))), "percent are no volts");
    assert!(shown("soil.n", &own("npk.N", None)) && !shown("soil.p", &own("npk.N", None)));
}
