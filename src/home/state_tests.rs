//! What a state keeps beside its fields: which were seen, the battery, the link.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Kept, States, Told};
use crate::model::{Radio, Uplink};

/// The state after this uplink.
fn merge(states: &mut States, uplink: &Uplink, fields: &str) -> Value {
    let fields = RawValue::from_string(fields.to_owned()).unwrap();
    let told = Told { fields: Some(&fields), measurements: None };
    let state = states.merge(uplink, told, Duration::ZERO, Instant::now());
    serde_json::from_slice(&state.unwrap()).unwrap()
}

#[test]
fn which_fields_were_seen_outlives_the_process_and_is_news_once() {
    let mut states = States::default();
    let key = Uplink::sample("node", 7, 1).key;
    merge(&mut states, &Uplink::sample("node", 7, 1), r#"{"a": 20, "door": {"open": true}}"#);
    let seen = states.take_seen(&key).unwrap();
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["a", "door.open"]);
    merge(&mut states, &Uplink::sample("node", 8, 2), r#"{"a": 1}"#);
    assert_eq!(states.take_seen(&key), None);
    let kept = states.take_unsaved_of(&key, Instant::now()).unwrap();
    let mut again = States::default();
    again.restore(key.clone(), &kept, None);
    assert_eq!(again.seen(&key), Some(&seen), "also that `a` is more than 0 or 1");
}

#[test]
fn yesterdays_airtime_is_not_told_today() {
    let mut states = States::default();
    let radio = Radio { airtime: Some(0.5), ..Radio::default() };
    let uplink = Uplink { radio, ..*Uplink::sample("node", 7, 1) };
    assert_eq!(merge(&mut states, &uplink, "{}")["link"]["airtime_today"], 0.5);
    let now = Instant::now();
    for (second, goes) in [(86_399, false), (86_400, true), (86_401, false)] {
        states.begin_day(Timestamp::from_second(second).unwrap(), now);
        let due = states.take_due(now).map(|(_, state)| serde_json::from_slice::<Value>(&state).unwrap());
        assert_eq!(due.map(|state| state["link"]["airtime_today"].clone()), goes.then(|| json!(0.0)), "{second}");
    }
}

#[test]
fn what_an_earlier_version_saved_has_its_fields() {
    let link = r#"{"rssi":-1.0,"gateways":1,"f_cnt":1}"#;
    let body = format!(r#"{{"fields":{{"a":1,"b":{{"c":"x"}}}},"link":{link},"received_at":"1970-01-01T00:00:01Z"}}"#);
    let mut states = States::default();
    let key = Uplink::sample("node", 7, 1).key;
    states.restore(key.clone(), &Kept { last_seen: Timestamp::UNIX_EPOCH, body }, None);
    assert_eq!(states.seen(&key).unwrap().keys().collect::<Vec<_>>(), ["a", "b.c"]);
}

#[test]
fn the_networks_word_about_the_battery_is_a_field_unless_the_codec_has_its_own() {
    let tell = |fields: &str| {
        let uplink = Uplink { battery_percentage: Some(87.5), ..*Uplink::sample("node", 7, 1) };
        let mut states = States::default();
        let state = merge(&mut states, &uplink, fields);
        (state["battery_percentage"].clone(), states.tells_battery(&uplink.key))
    };
    assert_eq!(tell("{}"), (json!(87.5), true));
    assert_eq!(tell(r#"{"battery_percentage": 12}"#), (json!(12), false));
}

#[test]
fn lost_frames_and_airtime_are_in_the_link_and_outlive_the_process() {
    let mut states = States::default();
    let uplink = |f_cnt, second| {
        let radio = Radio { airtime: Some(0.0617), ..Radio::default() };
        Uplink { radio, ..*Uplink::sample("node", f_cnt, second) }
    };
    let key = uplink(7, 1).key;
    states.note_lost(&key, 3);
    let state = merge(&mut states, &uplink(7, 1), "{}");
    assert_eq!((&state["link"]["lost_frames"], &state["link"]["airtime_today"]), (&json!(3), &json!(0.0617)));
    let kept = states.take_unsaved_of(&key, Instant::now()).unwrap();
    let mut again = States::default();
    again.restore(key.clone(), &kept, None);
    // One of them was forgotten.
    again.note_lost(&key, 2);
    let state = merge(&mut again, &uplink(8, 2), "{}");
    assert_eq!((&state["link"]["lost_frames"], &state["link"]["airtime_today"]), (&json!(3), &json!(0.1234)));
}

/// The clock stands still.
#[tokio::test(start_paused = true)]
async fn each_device_keeps_its_own_pace() {
    let (mut states, start) = (States::default(), Instant::now());
    let merge = |states: &mut States, device: &str, second: i64, throttle: u64| {
        let uplink = Uplink::sample(device, 7, second);
        states.merge(&uplink, Told::default(), Duration::from_secs(throttle), start).is_some()
    };
    assert!((1..4).all(|second| merge(&mut states, "eager", second, 0)), "each at once");
    assert!(merge(&mut states, "slow", 1, 3600) && !merge(&mut states, "slow", 2, 3600));
    assert!(merge(&mut states, "usual", 1, 1) && !merge(&mut states, "usual", 2, 1));
    let mut due =
        |seconds| states.take_due(start + Duration::from_secs(seconds)).map(|(key, _)| key.device.to_string());
    assert_eq!((due(1).as_deref(), due(1)), (Some("usual"), None));
    assert_eq!((due(3599), due(3600).as_deref()), (None, Some("slow")));
    merge(&mut states, "slow", 3, 3600);
    states.renew(start);
    let renewed = std::iter::from_fn(|| states.take_due(start)).map(|(key, _)| key.device.to_string());
    assert_eq!(renewed.collect::<Vec<_>>(), ["eager", "slow", "usual"], "a broker without memory waits for none");
}

#[test]
fn what_is_no_object_has_no_fields() {
    let state = merge(&mut States::default(), &Uplink::sample("node", 7, 1), "[1, 2]");
    assert_eq!(state.as_object().unwrap().len(), 2, "{state}");
}
