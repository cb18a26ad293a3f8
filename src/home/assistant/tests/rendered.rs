//! What the templates make of messages, by minijinja, which reads them as Home Assistant's Jinja does.

use minijinja::{Environment, UndefinedBehavior, Value as Jinja};
use serde_json::json;

use super::*;
use crate::home::assistant::templates::{AVAILABILITY, Look};

/// What a template makes of a message, as Home Assistant renders it: `value_json` is there only if the message is JSON. Fails
/// as Home Assistant would complain: an undefined variable must not be printed or looked into.
pub fn render(template: &str, message: &str) -> String {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("tojson", |value: Jinja| serde_json::to_string(&value).unwrap());
    let mut context = BTreeMap::from([("value", Jinja::from(message))]);
    if let Ok(parsed) = serde_json::from_str::<Value>(message) {
        context.insert("value_json", Jinja::from(minijinja::value::Serde(&parsed)));
    }
    let made = environment.render_str(template, context);
    made.unwrap_or_else(|error| panic!("{error:#}: {template} of {message}")).trim().to_owned()
}

/// Messages that nobody should send, and that arrive.
pub const ODD: [&str; 14] = [
    "",
    "null",
    "{}",
    "[]",
    "5",
    "\"x\"",
    "no json",
    "{\"a\": null}",
    "{\"a\": {}}",
    "{\"a\": []}",
    "{\"a\": \"\"}",
    "{\"a\": {\"b\": null}}",
    "{\"a\": {\"b\": {\"c\": 1}}}",
    "{\"fields\": null, \"applications\": null, \"a\": true}",
];

#[test]
fn numbers_are_numbers_or_unknown() {
    let template = Look::into(["a"]).number();
    for (message, state) in [
        (json!({"a": 21.5}), "21.5"),
        (json!({"a": 7}), "7"),
        (json!({"a": "3.25"}), "3.25"),
        (json!({"a": true}), "1"),
        (json!({"a": "warm"}), "None"),
        (json!({"a": "1500 mm"}), "None"),
        (json!({"a": "nan"}), "None"),
        (json!({"a": ""}), "None"),
        (json!({"a": null}), "None"),
        (json!({"a": [1]}), "None"),
        (json!({"b": 1}), "None"),
    ] {
        assert_eq!(render(&template, &message.to_string()), state, "{message}");
    }
    let bounded = Look::into(["a"]).number_between(0.0, 10.0);
    assert_eq!(["{\"a\": 10}", "{\"a\": 11}", "{\"a\": true}"].map(|it| render(&bounded, it)), ["10", "None", "None"]);
}

#[test]
fn odd_names_and_levels_are_found() {
    let template = Look::into(["it's", "a b\\", "é"]).number();
    assert_eq!(render(&template, &json!({"it's": {"a b\\": {"é": 1}}}).to_string()), "1");
    assert_eq!(render(&template, &json!({"it's": {}}).to_string()), "None");
    assert_eq!(render(&template, &json!({"it's": null}).to_string()), "None");
}

#[test]
fn a_text_fits_into_a_state() {
    let template = Look::into(["a"]).text();
    assert_eq!(render(&template, &json!({"a": "é".repeat(300)}).to_string()), "é".repeat(255));
    assert_eq!(render(&template, "{\"a\": true}"), "true");
    assert_eq!(render(&template, "{\"a\": null}"), "None");
    assert_eq!(render(&Look::into(["a"]).one_of(&["x", "it's"]), "{\"a\": \"it's\"}"), "it's");
    assert_eq!(render(&Look::into(["a"]).one_of(&["x", "it's"]), "{\"a\": \"y\"}"), "None");
}

#[test]
fn a_moment_stays_when_nothing_is_said() {
    let template = Look::into(["last_seen"]).time();
    assert_eq!(render(&template, "{\"last_seen\": \"2026-01-01T00:00:00Z\"}"), "2026-01-01T00:00:00Z");
    assert_eq!(render(&template, "{\"last_seen\": \"2026-01-01T00:00:00-05:00\"}"), "2026-01-01T00:00:00-05:00");
    let none = [
        "",
        "{}",
        "{\"last_seen\": \"\"}",
        "{\"last_seen\": \"2026-01-01T00:00:00\"}",
        "{\"last_seen\": \"2026-01-01\"}",
    ];
    assert_eq!(none.map(|message| render(&template, message)), ["None"; 5]);
}

#[test]
fn yes_and_no_have_many_names() {
    let states = |is_text, messages: &[Value]| -> Vec<_> {
        let template = Look::into(["a"]).flag(is_text, ["ON", "OFF", "None"]);
        messages.iter().map(|value| render(&template, &json!({ "a": value }).to_string())).collect()
    };
    let plain = [json!(true), json!(false), json!(1), json!(0), json!(2.5), json!(null), json!("open"), json!([1])];
    assert_eq!(states(false, &plain), ["ON", "OFF", "ON", "OFF", "ON", "None", "None", "None"]);
    let words = [
        json!("open"),
        json!("Closed"),
        json!("leak"),
        json!("normal"),
        json!(true),
        json!(0),
        json!("?"),
        json!(null),
    ];
    assert_eq!(states(true, &words), ["ON", "OFF", "ON", "OFF", "ON", "OFF", "None", "None"]);
}

#[test]
fn a_place_needs_both_coordinates() {
    let template = Look::into(["gps"]).position("latitude", "longitude");
    let full = json!({"gps": {"latitude": 52.5, "longitude": -13, "accuracy": 8, "altitude": 30}});
    let attributes: Value = serde_json::from_str(&render(&template, &full.to_string())).unwrap();
    assert_eq!(attributes, json!({"latitude": 52.5, "longitude": -13, "gps_accuracy": 8}));
    for message in
        [json!({"gps": {"latitude": 1, "longitude": null}}), json!({"gps": null}), json!({}), json!({"gps": 4})]
    {
        assert_eq!(render(&template, &message.to_string()), "{}", "{message}");
    }
}

#[test]
fn a_bare_value_is_read_as_it_is() {
    assert_eq!(
        ["21.5", "null", "\"\"", ""].map(|it| render(&Look::at_all().number(), it)),
        ["21.5", "None", "None", "None"]
    );
    assert_eq!(["open", "true", "null"].map(|it| render(&Look::at_all().text(), it)), ["open", "true", "None"]);
}

#[test]
fn what_is_pending_is_an_attribute_until_it_is_not() {
    let template = Look::into(["fields", "led"]).pending();
    let pending = json!({"queue": 1, "fields": {"led": "<on>"}}).to_string();
    assert_eq!(serde_json::from_str::<Value>(&render(&template, &pending)).unwrap(), json!({"pending": "<on>"}));
    for message in ["{\"queue\": 0, \"fields\": {}}", ""] {
        assert_eq!(serde_json::from_str::<Value>(&render(&template, message)).unwrap(), json!({"pending": null}));
    }
}

#[test]
fn an_application_is_found_by_its_name() {
    let template = Look::into_named("applications", "two", "connected").flag(false, ["ON", "OFF", "None"]);
    let health = json!({"applications": [{"name": "one", "connected": false}, {"name": "two", "connected": true}]});
    assert_eq!(render(&template, &health.to_string()), "ON");
    for message in ["{\"applications\": [{\"name\": \"one\", \"connected\": true}]}", "{}", ""] {
        assert_eq!(render(&template, message), "None");
    }
}

#[test]
fn no_message_upsets_a_template() {
    let looks = [
        Look::into(["a"]),
        Look::into(["a", "b"]),
        Look::at_all(),
        Look::into_named("applications", "x", "y"),
        Look::into([]),
    ];
    for look in looks {
        let (number, text, pending) = (look.number(), look.text(), look.pending());
        let (flag, place) = (look.flag(true, ["1", "0", ""]), look.position("a", "b"));
        for template in [number, text, pending, flag, place, look.one_of(&["x"]), look.number_between(0.0, 1.0)] {
            ODD.iter().for_each(|message| drop(render(&template, message)));
        }
    }
    let availability = ["{\"state\": \"online\"}", "{}", ""].map(|message| render(AVAILABILITY, message));
    assert_eq!(availability, ["online", "offline", "offline"]);
}
