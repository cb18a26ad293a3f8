//! What becomes of whole devices.

use serde_json::json;

use super::*;
use crate::home::DeviceConfig;

/// Of an entity: its platform, class, unit and state class.
fn told(components: &Map<String, Value>, id: &str) -> [Option<String>; 4] {
    let component = components.get(id).unwrap_or_else(|| panic!("no {id} in {:?}", components.keys()));
    ["platform", "device_class", "unit_of_measurement", "state_class"]
        .map(|key| component.get(key).and_then(Value::as_str).map(str::to_owned))
}

fn expect(components: &Map<String, Value>, id: &str, wanted: [&str; 4]) {
    let wanted = wanted.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()));
    assert_eq!(told(components, id), wanted, "{id}");
}

#[test]
fn the_codecs_own_fields_come_first() {
    let seen = [("temperature", ValueKind::Number), ("battery", ValueKind::Number), ("probe", ValueKind::Text)];
    let components = components(&shipped("dragino/lht65n", &seen));
    expect(&components, "temperature", ["sensor", "temperature", "°C", "measurement"]);
    expect(&components, "battery", ["sensor", "voltage", "V", "measurement"]);
    assert_eq!(components["battery"]["entity_category"], "diagnostic");
    assert_eq!(components["probe"]["name"], "Probe");
    assert!(!components.contains_key("humidity"), "it was never sent");
}

#[test]
fn cayenne_channels_are_what_their_type_says() {
    let seen = [
        ("temperature_3", ValueKind::Number),
        ("relative_humidity_4", ValueKind::Number),
        ("barometric_pressure_1", ValueKind::Number),
        ("luminosity_1", ValueKind::Number),
        ("presence_2", ValueKind::Binary),
        ("digital_in_1", ValueKind::Binary),
        ("digital_in_2", ValueKind::Number),
        ("analog_in_1", ValueKind::Number),
        ("gps_1", ValueKind::Place),
        ("gps_1.altitude", ValueKind::Number),
        ("accelerometer_5.x", ValueKind::Number),
        ("gyrometer_5.z", ValueKind::Number),
    ];
    let components = components(&shipped("generic/cayenne-lpp", &seen));
    expect(&components, "temperature_3", ["sensor", "temperature", "°C", "measurement"]);
    expect(&components, "relative_humidity_4", ["sensor", "humidity", "%", "measurement"]);
    expect(&components, "barometric_pressure_1", ["sensor", "atmospheric_pressure", "hPa", "measurement"]);
    expect(&components, "luminosity_1", ["sensor", "illuminance", "lx", "measurement"]);
    expect(&components, "presence_2", ["binary_sensor", "occupancy", "", ""]);
    expect(&components, "digital_in_1", ["binary_sensor", "", "", ""]);
    expect(&components, "digital_in_2", ["sensor", "", "", ""]);
    expect(&components, "analog_in_1", ["sensor", "", "", "measurement"]);
    expect(&components, "gps_1", ["device_tracker", "", "", ""]);
    expect(&components, "accelerometer_5--x", ["sensor", "", "g", "measurement"]);
    expect(&components, "gyrometer_5--z", ["sensor", "", "°/s", "measurement"]);
    assert_eq!(components["temperature_3"]["name"], "Temperature 3");
}

#[test]
fn what_the_network_normalised_is_shown_unless_the_codec_shows_it() {
    let mut portrait = shipped("mbed/led-and-sensors", &[("temperature", ValueKind::Number)]);
    portrait.measured =
        ["air.temperature", "air.location", "position.latitude", "position.longitude", "soil.ec", "time"]
            .into_iter()
            .collect();
    let components = components(&portrait);
    assert!(!components.contains_key("normalized--air--temperature"));
    expect(&components, "normalized--soil--ec", ["sensor", "conductivity", "mS/cm", "measurement"]);
    expect(&components, "normalized--position", ["device_tracker", "", "", ""]);
    assert_eq!(components["normalized--air--location"]["options"], json!(["indoor", "outdoor"]));
}

#[test]
fn a_value_that_is_there_twice_is_offered_and_not_shown_twice() {
    let mut portrait = stranger("node");
    portrait.seen = shape(&[("TempC_SHT", ValueKind::Number), ("Hum_SHT", ValueKind::Number)]);
    portrait.measured = BTreeSet::from(["air.temperature"]);
    assert_eq!(components(&portrait)["TempC_SHT"]["enabled_by_default"], false);
    assert!(components(&portrait)["Hum_SHT"].get("enabled_by_default").is_none());
    // A second one may be a probe, which nothing else shows.
    portrait.seen.insert("TempC_DS".into(), ValueKind::Number);
    assert!(components(&portrait)["TempC_DS"].get("enabled_by_default").is_none());
}

#[test]
fn readable_ids_have_no_levels_of_our_own_and_both_versions_of_the_key_are_told() {
    let mut portrait = stranger("node");
    portrait.seen = shape(&[("RSSI", ValueKind::Number)]);
    let whole = components(&portrait);
    assert_eq!(whole["link--downlink_state"]["default_entity_id"], "sensor.node_downlink_state");
    assert_eq!(whole["link--rssi"]["default_entity_id"], "sensor.node_link_rssi", "a field is called like it");
    let settings = settings(Discovery::Entity, Output::Json);
    let each = device(&portrait, &place(&settings));
    let state = each.iter().find(|one| one.topic.ends_with("/link--downlink_state/config")).map(parsed).unwrap();
    assert_eq!(
        (&state["object_id"], &state["default_entity_id"]),
        (&json!("node_downlink_state"), &json!("sensor.node_downlink_state"))
    );
}

#[test]
fn coordinates_beside_each_other_are_a_place_on_the_map() {
    let mut portrait = stranger("node");
    portrait.seen = shape(&[
        ("", ValueKind::Place),
        ("fix.Lat", ValueKind::Number),
        ("fix.Lon", ValueKind::Number),
        ("flat", ValueKind::Number),
    ]);
    let components = components(&portrait);
    expect(&components, "latitude", ["device_tracker", "", "", ""]);
    expect(&components, "fix--Lat", ["device_tracker", "", "", ""]);
    expect(&components, "flat", ["sensor", "", "", ""]);
    assert!(!components.contains_key("fix--Lon"));
    assert!(components["latitude"].get("state_topic").is_none(), "it ends in Home Assistant 2027.1");
}

#[test]
fn a_command_takes_the_place_of_the_field_it_sets_and_believes_only_the_device() {
    let seen = [("led", ValueKind::Bool), ("interval", ValueKind::Number), ("temperature", ValueKind::Number)];
    let components = components(&shipped("mbed/led-and-sensors", &seen));
    let led = &components["led"];
    assert_eq!((&led["platform"], &led["command_topic"]), (&json!("switch"), &json!("ttn/node/set/led")));
    assert_eq!(
        (&led["payload_on"], &led["payload_off"], &led["state_topic"]),
        (&json!("true"), &json!("false"), &json!("ttn/node"))
    );
    assert_eq!(led["json_attributes_topic"], "ttn/node/downlink/pending");
    assert!(led.get("optimistic").is_none() && led["qos"] == 1);
    let interval = &components["interval"];
    assert_eq!((&interval["platform"], &interval["unit_of_measurement"]), (&json!("number"), &json!("s")));
    assert_eq!((&interval["min"], &interval["max"], &interval["mode"]), (&json!(10), &json!(65535), &json!("box")));
    expect(&components, "interval", ["number", "duration", "s", ""]);
}

#[test]
fn every_sort_of_command_has_its_entity() {
    let values = [
        ("valve_1", json!({"type": "boolean"}), "valve"),
        ("mode", json!({"type": "select", "options": ["eco", "it's warm"]}), "select"),
        ("nothing", json!({"type": "select", "options": []}), "text"),
        ("message", json!({"type": "text"}), "text"),
        ("reboot", json!({"type": "button"}), "button"),
        ("level", json!({"type": "number", "min": 5, "max": 5, "step": 0}), "number"),
    ];
    let mut portrait = stranger("node");
    for (field, value, _) in &values {
        portrait.commands.push(serde_json::from_value(json!({"field": field, "value": value})).unwrap());
    }
    portrait.commands.push(serde_json::from_value(json!({"field": "a/+", "value": {"type": "text"}})).unwrap());
    let components = components(&portrait);
    for (field, _, platform) in &values {
        assert_eq!(components[*field]["platform"], *platform, "{field}");
    }
    for field in ["message", "mode"] {
        let template = components[field]["command_template"].as_str().unwrap();
        assert_eq!(super::rendered::render(template, "12"), "\"12\"", "a text, though it looks like a number");
    }
    assert_eq!(components["message"]["state_topic"], "ttn/node/message", "nothing is said there");
    assert!(components["level"].get("min").is_none(), "Home Assistant 2024.3 refuses equal bounds");
    assert!(components.values().all(|component| component.get("command_topic") != Some(&json!("ttn/node/set/a/+"))));
}

#[test]
fn radio_details_are_for_those_who_look_for_them() {
    let mut portrait = stranger("node");
    assert!(!components(&portrait).contains_key("battery_percentage"));
    portrait.battery = true;
    let components = components(&portrait);
    let enabled: Vec<_> =
        components.iter().filter(|(_, it)| it.get("enabled_by_default").is_none()).map(|(id, _)| id).collect();
    assert_eq!(enabled, ["battery_percentage", "last_seen", "link--downlink_state"]);
    assert!(components.values().all(|it| it["entity_category"] == "diagnostic"));
    expect(&components, "last_seen", ["sensor", "timestamp", "", ""]);
    expect(&components, "link--rssi", ["sensor", "signal_strength", "dBm", "measurement"]);
    expect(&components, "link--airtime_today", ["sensor", "duration", "s", "total_increasing"]);
}

#[test]
fn each_value_has_its_topic_when_states_are_not_published() {
    let settings = settings(Discovery::Entity, Output::Attribute);
    let mut portrait = stranger("node");
    portrait.seen = shape(&[("door.open", ValueKind::Bool), ("", ValueKind::Place)]);
    let all: Vec<_> = device(&portrait, &place(&settings)).iter().map(parsed).collect();
    let topics: Vec<_> = all.iter().filter_map(|entity| entity.get("state_topic")?.as_str()).collect();
    for topic in [
        "ttn/node/door/open",
        "ttn/node/latitude",
        "ttn/node/link/rssi",
        "ttn/node/last_seen",
        "ttn/node/downlink/state",
    ] {
        assert!(topics.contains(&topic), "{topic} is not in {topics:?}");
    }
    assert!(!topics.contains(&"ttn/node"));
}

#[test]
fn the_user_has_the_last_word_on_all_but_the_identity() {
    let mut portrait =
        shipped("mbed/led-and-sensors", &[("temperature", ValueKind::Number), ("humidity", ValueKind::Number)]);
    let overrides = json!({
        "temperature": {"name": "Warmth", "unit_of_measurement": "null", "icon": "mdi:fire", "unique_id": "x", "nonsense": 1},
        "humidity": "null",
        "led": {"command_topic": "null", "icon": null},
        "device": {"model": "Mine", "manufacturer": "null", "identifiers": "x"},
    });
    portrait.overrides = serde_json::from_value(overrides).unwrap();
    let components = components(&portrait);
    let temperature = &components["temperature"];
    assert_eq!((&temperature["name"], &temperature["icon"]), (&json!("Warmth"), &json!("mdi:fire")));
    assert!(temperature.get("device_class").is_none(), "Home Assistant would warn of the class without a unit");
    assert_eq!(temperature["unique_id"], "ttn_eu1_app_node_temperature");
    assert!(temperature.get("nonsense").is_none() && !components.contains_key("humidity"));
    assert_eq!(components["led"]["command_topic"], "ttn/node/set/led");
    let settings = settings(Discovery::Device, Output::Json);
    let root = parsed(&device(&portrait, &place(&settings))[0]);
    assert_eq!((&root["device"]["model"], root["device"].get("manufacturer")), (&json!("Mine"), None));
    assert_eq!(root["device"]["identifiers"], json!(["ttn_eu1_app_node"]));
}

#[test]
fn a_text_that_the_user_calls_a_number_is_read_as_one() {
    let mut portrait = stranger("node");
    portrait.seen = shape(&[("reading", ValueKind::Text)]);
    let template = |portrait: &Portrait| components(portrait)["reading"]["value_template"].as_str().unwrap().to_owned();
    assert_eq!(super::rendered::render(&template(&portrait), "{\"reading\": \"x\"}"), "x");
    portrait.overrides = serde_json::from_value(json!({"reading": {"unit_of_measurement": "bpm"}})).unwrap();
    assert_eq!(super::rendered::render(&template(&portrait), "{\"reading\": \"x\"}"), "None");
}

#[test]
fn a_device_says_who_made_it_and_where_it_is() {
    let settings = settings(Discovery::Device, Output::Json);
    let portrait = Portrait {
        version_ids: Some(VersionIds {
            brand_id: "acme".into(),
            firmware_version: "1.4".into(),
            ..VersionIds::default()
        }),
        ids: EndDeviceIds { dev_eui: Some("0102030405060708".into()), ..EndDeviceIds::default() },
        area: Some("Garden".into()),
        console: Some("https://eu1.cloud.thethings.network/console/applications/app/devices/node".into()),
        ..stranger("node")
    };
    let announcement = &device(&portrait, &place(&settings))[0];
    assert_eq!(announcement.topic, "homeassistant/device/ttn_eu1_app_node/config");
    let root = parsed(announcement);
    assert_eq!(
        root["device"],
        json!({
            "identifiers": ["ttn_eu1_app_node"],
            "name": "node",
            "manufacturer": "acme",
            "sw_version": "1.4",
            "serial_number": "0102030405060708",
            "suggested_area": "Garden",
            "configuration_url": "https://eu1.cloud.thethings.network/console/applications/app/devices/node",
            "via_device": "ttn_ferry_bridge_ttn-2d-ferry",
        })
    );
    let topics: Vec<_> = root["availability"].as_array().unwrap().iter().map(|it| it["topic"].clone()).collect();
    assert_eq!(topics, ["ttn/bridge/state", "ttn/node/availability"]);
}

#[test]
fn a_device_leads_to_its_own_page_if_people_can_see_it() {
    let portrait = Portrait { name: HomeName::parse("ground floor/50% wet").unwrap(), ..stranger("node") };
    let settings = settings(Discovery::Device, Output::Json).with_page(Some("https://home.example.org/ferry/"));
    let url = |announcement: &Announcement| parsed(announcement)["device"]["configuration_url"].clone();
    let place = place(&settings);
    let of_device = url(&device(&portrait, &place)[0]);
    assert_eq!(of_device, "https://home.example.org/ferry/#/device/ground%20floor/50%25%20wet");
    assert_eq!(url(&bridge(&[], &place)[0]), "https://home.example.org/ferry/");
}

#[test]
fn both_forms_know_an_entity_by_the_same_ids() {
    let portrait = shipped("mbed/led-and-sensors", &[("temperature", ValueKind::Number)]);
    let ids = components(&portrait);
    let settings = settings(Discovery::Entity, Output::Json);
    let messages = device(&portrait, &place(&settings));
    assert_eq!(messages.len(), ids.len());
    for (id, component) in ids {
        let topic = format!("homeassistant/{}/ttn_eu1_app_node/{id}/config", component["platform"].as_str().unwrap());
        let message = messages.iter().find(|message| message.topic == topic).unwrap_or_else(|| panic!("no {topic}"));
        assert_eq!(parsed(message)["unique_id"], component["unique_id"]);
    }
}

#[test]
fn a_rename_changes_no_id_and_another_application_or_network_all() {
    let portrait = shipped("mbed/led-and-sensors", &[("temperature", ValueKind::Number)]);
    let settings = settings(Discovery::Entity, Output::Json);
    let ids = |portrait: &Portrait| -> BTreeSet<_> {
        device(portrait, &place(&settings)).iter().map(|it| parsed(it)["unique_id"].to_string()).collect()
    };
    let renamed = Portrait { name: HomeName::parse("garden/pump").unwrap(), ..portrait.clone() };
    assert_eq!(ids(&portrait), ids(&renamed));
    let elsewhere = Portrait { network: "nam1".into(), ..portrait.clone() };
    let mut other = portrait.clone();
    other.key.application = ApplicationName::parse("app_node").unwrap();
    assert!(ids(&portrait).is_disjoint(&ids(&elsewhere)) && ids(&portrait).is_disjoint(&ids(&other)));
}

#[test]
fn the_bridge_is_a_device_with_a_connection_for_each_application() {
    let settings = settings(Discovery::Entity, Output::Json);
    let place = place(&settings);
    let applications = ["one", "two"].map(|name| ApplicationName::parse(name).unwrap());
    let messages = bridge(&applications, &place);
    assert_eq!(bridge_topic(&place).unwrap(), messages[0].topic);
    let connections: Vec<_> =
        messages.iter().map(parsed).filter(|it| it.get("device_class") == Some(&json!("connectivity"))).collect();
    assert_eq!(connections.len(), 2);
    assert_eq!(
        (&connections[0]["name"], &connections[0]["state_topic"]),
        (&json!("one connected"), &json!("ttn/bridge/health"))
    );
    assert_eq!(connections[0]["device"]["sw_version"], "1.2.3");
}

#[test]
fn nothing_is_announced_when_discovery_is_off() {
    let settings = settings(Discovery::Off, Output::Json);
    assert!(device(&stranger("node"), &place(&settings)).is_empty());
    assert_eq!(bridge_topic(&place(&settings)), None);
}

#[test]
fn a_devices_own_output_counts() {
    let portrait = stranger("node");
    let config = DeviceConfig { output: Some(Output::Attribute), ..DeviceConfig::default() };
    let settings = Settings::new(
        &HomeConfig::default(),
        &HomeAssistantConfig::default(),
        AvailabilityConfig::default(),
        [(portrait.key.clone(), &config)],
        1,
    );
    let root = parsed(&device(&portrait, &place(&settings.unwrap()))[0]);
    assert_eq!(root["components"]["last_seen"]["state_topic"], "ttn/node/last_seen");
}
