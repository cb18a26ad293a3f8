//! What tables tell a home: fields, commands, normalised measurements.

use payload_codecs::metadata::{CommandValue, FieldKind};
use serde_json::json;

use crate::{says, table, uplink};

#[test]
fn fields_are_described_once_and_lists_not_at_all() {
    let table = table(
        r#"
        [[uplink]]
        fields = [
            { name = "t", type = "i16", friendly_name = "Temperature", unit = "°C", device_class = "temperature" },
            { name = "mode", type = "u8", values = { "0" = "eco" } },
            { type = "u8", flags = [{ name = "leak", bit = 1, device_class = "moisture", diagnostic = true }] },
            { name = "place", fields = [
                { name = "latitude", type = "i24" }, { name = "longitude", type = "i24" }, { name = "altitude", type = "u16" }
            ] },
            { name = "log", repeat = "rest", fields = [{ name = "old", type = "u8" }] },
        ]
        [[uplink]]
        tag = "u8"
        parts = [{ tag = 1, fields = [{ name = "t", type = "i16" }] }, { tag = 2, name = "alarm", friendly_name = "Alarm" }]
        "#,
    );
    let fields = table.fields();
    let told: Vec<_> =
        fields.iter().map(|field| (field.name.as_str(), field.kind, field.device_class.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("t", FieldKind::Sensor, Some("temperature")),
            ("mode", FieldKind::Sensor, Some("enum")),
            ("leak", FieldKind::BinarySensor, Some("moisture")),
            ("place", FieldKind::Tracker, None),
            ("place.altitude", FieldKind::Sensor, None),
            ("alarm", FieldKind::BinarySensor, None),
        ]
    );
    assert_eq!((fields[0].unit.as_deref(), fields[2].diagnostic), (Some("°C"), true));
}

#[test]
fn commands_are_what_can_be_sent_alone() {
    let table = table(
        r#"
        [[downlink]]
        port = 7
        tag = "u8"
        parts = [
            { tag = 1, fields = [{ name = "led", type = "bool8", friendly_name = "LED" }] },
            { tag = 2, fields = [{ name = "target", type = "i16", scale = 0.5, min = 5, unit = "°C" }] },
            { tag = 3, fields = [{ name = "mode", type = "u8", values = { "0" = "eco", "1" = "comfort" } }] },
            { tag = 4, fields = [{ name = "label", type = "text8" }] },
            { tag = 5, name = "reboot" },
            { tag = 6, fields = [{ name = "from", type = "u8" }, { name = "to", type = "u8" }] },
            { tag = 7, fields = [{ type = "u8", default = 0, flags = [{ name = "a", bit = 0 }, { name = "b", bit = 1 }] }] },
            { tag = 8, fields = [{ name = "key", type = "bytes2" }] },
        ]
        [[downlink]]
        fields = [{ name = "from", type = "u8", default = 1 }]
        "#,
    );
    let commands = table.commands();
    let told: Vec<_> =
        commands.iter().map(|command| (command.field.as_str(), command.f_port, command.value.clone())).collect();
    let number =
        |min, max, step, unit: Option<&str>| CommandValue::Number { min, max, step, unit: unit.map(str::to_owned) };
    assert_eq!(
        told,
        [
            ("led", Some(7), CommandValue::Boolean {}),
            ("target", Some(7), number(5.0, 16383.5, 0.5, Some("°C"))),
            ("mode", Some(7), CommandValue::Select { options: vec!["eco".into(), "comfort".into()] }),
            ("label", Some(7), CommandValue::Text {}),
            ("a", Some(7), CommandValue::Boolean {}),
            ("b", Some(7), CommandValue::Boolean {}),
            ("reboot", Some(7), CommandValue::Button {}),
            ("from", None, number(0.0, 255.0, 1.0, None)),
        ]
    );
    assert_eq!(commands[0].friendly_name.as_deref(), Some("LED"));
}

#[test]
fn normalised_fields_make_one_measurement_and_lists_more() {
    let table = uplink(
        r#"
        {name="t",type="i8",normalized="air.temperature",absent=-128},
        {name="h",type="u8",normalized="air.relativeHumidity"},
        {type="u8",flags=[{name="leak",bit=0,normalized="water.leak"}]},
        {name="log",repeat="rest",fields=[{name="old",type="i8",normalized="air.temperature",absent=-128}]}
        "#,
    );
    let normalized = |payload| table.normalize(says(&table, payload, &[]).as_object().unwrap());
    assert_eq!(
        normalized("15320105800a").unwrap(),
        json!([
            {"air": {"temperature": 21, "relativeHumidity": 50}, "water": {"leak": true}},
            {"air": {"temperature": 5}},
            {"air": {"temperature": 10}},
        ])
    );
    assert_eq!(normalized("803200").unwrap(), json!([{"air": {"relativeHumidity": 50}, "water": {"leak": false}}]));
    assert_eq!(table.normalize(&serde_json::Map::new()), None);
}
