//! Every message made of anything at all keeps Home Assistant's rules.

use payload_codecs::normalized::QUANTITIES;
use proptest::prelude::*;
use serde_json::json;

use super::rendered::{ODD, render};
use super::*;
use crate::home::assistant::{classes, schema};

/// Names of fields: ordinary ones, and whatever a codec may make up.
fn any_path() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "temperature",
        "temperature_1",
        "TempC_SHT",
        "BatV",
        "pressure_pa",
        "door.open",
        "gps_1",
        "gps.lat",
        "gps.lon",
        "battery_percentage",
        "led",
        "link.x",
        "last_seen",
        "normalized.air.temperature",
        "wind_direction",
        "",
    ]);
    prop_oneof![known.prop_map(str::to_owned), "[a-zA-Z0-9_ '\\\\/é-]{1,12}", "[a-z_]{1,5}\\.[a-z-]{1,5}"]
}

fn any_kind() -> impl Strategy<Value = ValueKind> {
    use ValueKind::{Binary, Bool, Null, Number, Place, Text};
    prop::sample::select(vec![Bool, Binary, Number, Text, Place, Null])
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    let units = ["°C", "V", "%", "mS/cm", "dS/m", "°", "furlong", "", " ", "µS/cm", "μg/m³"];
    prop::option::of(prop::sample::select(units.map(str::to_owned).to_vec()))
}

fn any_class() -> impl Strategy<Value = Option<String>> {
    let classes =
        ["temperature", "battery", "enum", "timestamp", "conductivity", "wind_direction", "door", "nonsense", "water"];
    prop::option::of(prop::sample::select(classes.map(str::to_owned).to_vec()))
}

fn any_field() -> impl Strategy<Value = Field> {
    let state_classes = ["measurement", "total", "total_increasing", "measurement_angle", "nonsense"];
    let state_class = prop::option::of(prop::sample::select(state_classes.map(str::to_owned).to_vec()));
    let kind = prop::sample::select(vec!["sensor", "binary_sensor", "tracker"]);
    (any_path(), any_text(), any_class(), state_class, kind, any::<bool>(), any_text()).prop_map(
        |(name, unit, device_class, state_class, kind, diagnostic, friendly_name)| {
            serde_json::from_value(json!({
                "name": name, "friendly_name": friendly_name, "kind": kind, "unit": unit,
                "device_class": device_class, "state_class": state_class, "diagnostic": diagnostic,
            }))
            .unwrap()
        },
    )
}

fn any_command() -> impl Strategy<Value = Command> {
    let value = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "text"})),
        Just(json!({"type": "button"})),
        prop::collection::vec("[a-z' ]{0,5}", 0..3).prop_map(|options| json!({"type": "select", "options": options})),
        (any::<i32>(), any::<i32>(), any::<f32>().prop_filter("JSON", |it| it.is_finite()), any_text()).prop_map(
            |(min, max, step, unit)| json!({"type": "number", "min": min, "max": max, "step": step, "unit": unit})
        ),
    ];
    (any_path(), value)
        .prop_map(|(field, value)| serde_json::from_value(json!({"field": field, "value": value})).unwrap())
}

fn any_portrait() -> impl Strategy<Value = Portrait> {
    let seen = prop::collection::btree_map(any_path(), any_kind(), 0..12);
    let fields = prop::collection::vec(any_field(), 0..6);
    let commands = prop::collection::btree_map("[a-z]{1,4}", any_command(), 0..4);
    let measured = prop::collection::btree_set(prop::sample::select(QUANTITIES.map(|it| it.path).to_vec()), 0..8);
    let override_keys = json!({"device_class": "temperature", "name": "N", "state_topic": "null", "options": ["x"], "unit_of_measurement": "%"});
    let overrides =
        prop::collection::btree_map(any_path(), prop::sample::select(vec![json!("null"), override_keys]), 0..3);
    (seen, fields, commands, measured, overrides, any::<bool>()).prop_map(
        |(seen, fields, commands, measured, overrides, battery)| Portrait {
            seen,
            fields,
            measured,
            battery,
            commands: distinct(commands.into_values()),
            overrides: serde_json::from_value(json!(overrides)).unwrap(),
            ..stranger("node")
        },
    )
}

/// A codec's commands have a field each.
fn distinct(commands: impl Iterator<Item = Command>) -> Vec<Command> {
    let by_field: BTreeMap<_, _> = commands.map(|command| (command.field.clone(), command)).collect();
    by_field.into_values().collect()
}

fn component_of(name: &str) -> Component {
    Component::ALL.into_iter().find(|component| component.as_str() == name).expect("a known platform")
}

fn check_object(object: &Value, known: &[&str]) {
    for key in object.as_object().expect("an object").keys() {
        assert!(known.contains(&key.as_str()), "unknown key `{key}`");
    }
}

/// What Home Assistant checks of an entity, and what would make it warn.
fn check_entity(component: Component, keys: &Map<String, Value>) {
    let text = |key: &str| keys.get(key).and_then(Value::as_str);
    check_object(&json!(keys), &schema::keys(component));
    for key in schema::required(component) {
        assert!(keys.contains_key(*key), "no `{key}`");
    }
    let (class, unit) = (text("device_class"), text("unit_of_measurement"));
    let is_word = class.is_some_and(|class| ["enum", "timestamp"].contains(&class));
    if let Some(class) = class {
        assert!(classes::names(component).contains(&class), "no class {class} for {component:?}");
        let has_units = matches!(component, Component::Sensor | Component::Number);
        let needs_no_unit = !has_units || is_word;
        assert!(needs_no_unit || classes::has_unit(class, Some(unit.unwrap_or_default())), "{class} in {unit:?}");
    }
    assert!(!is_word || (unit.is_none() && !keys.contains_key("state_class")));
    assert!(!keys.contains_key("options") || component == Component::Select || class == Some("enum"));
    assert!(unit.is_none_or(|unit| !unit.trim().is_empty()));
    for key in ["state_topic", "command_topic", "json_attributes_topic"] {
        assert!(text(key).is_none_or(|topic| !topic.contains(['+', '#']) && !topic.is_empty()), "{key}");
    }
    check_templates(keys);
}

fn check_templates(keys: &Map<String, Value>) {
    for message in ODD {
        if let Some(template) = keys.get("value_template") {
            let state = render(template.as_str().unwrap(), message);
            assert!(state.chars().count() <= 255);
        }
        if let Some(template) = keys.get("json_attributes_template") {
            let attributes = render(template.as_str().unwrap(), message);
            let attributes = serde_json::from_str::<Map<String, Value>>(&attributes);
            assert!(attributes.is_ok(), "attributes are an object: {template} of {message}");
        }
    }
}

fn is_discovery_topic(topic: &str) -> bool {
    let ids: Vec<_> = topic.split('/').collect();
    let fits = |id: &&str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    (ids.len() == 4 || ids.len() == 5)
        && ids[0] == "homeassistant"
        && ids.last() == Some(&"config")
        && ids[1..].iter().all(fits)
}

proptest! {
    // Each case renders some hundred templates.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_devices_message_keeps_the_closed_schema(portrait in any_portrait(), output in any_output()) {
        let settings = settings(Discovery::Device, output);
        let messages = device(&portrait, &place(&settings));
        prop_assert_eq!(messages.len(), 1);
        prop_assert!(is_discovery_topic(&messages[0].topic));
        let root = parsed(&messages[0]);
        check_object(&json!(root), &schema::ROOT);
        check_object(&root["device"], &schema::DEVICE);
        check_object(&root["origin"], &schema::ORIGIN);
        let mut unique = BTreeSet::new();
        for (id, component) in root["components"].as_object().unwrap() {
            let keys = component.as_object().unwrap();
            check_entity(component_of(keys["platform"].as_str().unwrap()), keys);
            prop_assert!(is_discovery_topic(&format!("homeassistant/x/{id}/config")), "{}", id);
            prop_assert!(unique.insert(keys["unique_id"].to_string()));
        }
        prop_assert_eq!(&messages, &device(&portrait, &place(&settings)));
    }

    #[test]
    fn each_entitys_message_keeps_the_schema(portrait in any_portrait(), output in any_output()) {
        let settings = settings(Discovery::Entity, output);
        let mut seen = BTreeSet::new();
        for message in device(&portrait, &place(&settings)) {
            prop_assert!(is_discovery_topic(&message.topic), "{}", message.topic);
            let keys = parsed(&message);
            check_entity(component_of(message.topic.split('/').nth(1).unwrap()), &keys);
            check_object(&keys["device"], &schema::DEVICE);
            prop_assert!(seen.insert(keys["unique_id"].to_string()) && seen.insert(message.topic.clone()));
        }
    }

    #[test]
    fn checking_overrides_never_fails(overrides in prop::collection::btree_map(any_path(), "\\PC{0,8}", 0..3)) {
        let keys = overrides.into_iter().map(|(name, key)| (name, Override::Keys(Map::from_iter([(key, json!(1))]))));
        check_overrides(&keys.collect());
    }
}

fn any_output() -> impl Strategy<Value = Output> {
    prop::sample::select(vec![Output::Json, Output::Attribute, Output::Both])
}
