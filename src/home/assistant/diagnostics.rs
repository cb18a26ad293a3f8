//! What is told of every device besides its fields: how it is heard, and what became of its last downlink.

use super::Portrait;
use super::entity::{Component, Entity};
use super::sources::Sources;
use super::templates::Look;

/// Where in a state the network's word on the battery stands.
pub const BATTERY: &str = "battery_percentage";

/// A value in `link`: its name there, what people call it, class, unit, state class.
type Row = (&'static str, &'static str, Option<&'static str>, Option<&'static str>, &'static str);

const RADIO: [Row; 7] = [
    ("rssi", "Signal strength", Some("signal_strength"), Some("dBm"), "measurement"),
    ("snr", "Signal to noise ratio", Some("signal_strength"), Some("dB"), "measurement"),
    ("spreading_factor", "Spreading factor", None, None, "measurement"),
    ("gateways", "Gateways", None, None, "measurement"),
    ("f_cnt", "Frame counter", None, None, "total_increasing"),
    ("lost_frames", "Lost frames", None, None, "total_increasing"),
    ("airtime_today", "Airtime today", Some("duration"), Some("s"), "total_increasing"),
];

/// The states of a downlink, as `downlink/state` tells them.
const DOWNLINK_STATES: [&str; 10] =
    ["accepted", "held", "queued", "sent", "nacked", "acked", "failed", "expired", "superseded", "cancelled"];

pub fn entities(portrait: &Portrait, sources: &Sources<'_>) -> Vec<Entity> {
    let mut entities = vec![last_seen(sources), last_downlink(sources), queue(portrait, sources)];
    entities.extend(portrait.battery.then(|| battery(sources)));
    entities.extend(RADIO.iter().map(|row| radio(row, sources)));
    entities
}

fn last_seen(sources: &Sources<'_>) -> Entity {
    let (topic, look) = sources.value("last_seen");
    sensor("last_seen", "Last seen", topic, look.time()).with("device_class", "timestamp")
}

fn last_downlink(sources: &Sources<'_>) -> Entity {
    let template = Look::into(["state"]).one_of(&DOWNLINK_STATES);
    sensor("link.downlink_state", "Last downlink", sources.downlink("state"), template)
        .with("device_class", "enum")
        .with("options", DOWNLINK_STATES.as_slice())
}

/// Of use only where something can be queued.
fn queue(portrait: &Portrait, sources: &Sources<'_>) -> Entity {
    let template = Look::into(["queue"]).number();
    let queue = sensor("link.downlink_queue", "Waiting downlinks", sources.downlink("pending"), template)
        .with("state_class", "measurement");
    if portrait.commands.is_empty() { queue.disabled() } else { queue }
}

fn battery(sources: &Sources<'_>) -> Entity {
    let (topic, look) = sources.value(BATTERY);
    sensor(BATTERY, "Battery", topic, look.number())
        .with("device_class", "battery")
        .with("unit_of_measurement", "%")
        .with("state_class", "measurement")
}

fn radio(&(field, name, class, unit, state_class): &Row, sources: &Sources<'_>) -> Entity {
    let path = format!("link.{field}");
    let (topic, look) = sources.value(&path);
    sensor(&path, name, topic, look.number())
        .with_some("device_class", class)
        .with_some("unit_of_measurement", unit)
        .with("state_class", state_class)
        .disabled()
}

fn sensor(path: &str, name: &str, topic: String, template: String) -> Entity {
    Entity::new(Component::Sensor, path, name).with("state_topic", topic).with("value_template", template).diagnostic()
}

#[cfg(test)]
mod tests {
    use crate::model::State;

    use super::*;

    #[test]
    fn every_state_of_a_downlink_is_an_option() {
        let all = [
            State::Accepted,
            State::Held,
            State::Queued,
            State::Sent,
            State::Nacked,
            State::Acked,
            State::Failed,
            State::Expired,
            State::Superseded,
            State::Cancelled,
        ];
        let written = all.map(|state| serde_json::to_value(state).unwrap());
        assert_eq!(written.map(|state| state.as_str().unwrap().to_owned()), DOWNLINK_STATES);
    }
}
