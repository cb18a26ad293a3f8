//! The legs to the home broker, to messages that come back.

use bytes::Bytes;
use jiff::Timestamp;

use super::finding::{Finding, Legs};
use super::login::{self, Trip};
use super::{Limits, reach};
use crate::config::{Environment, HomeAssistantConfig, HomeConfig, InvalidHome, home_endpoint};
use crate::home::Discovery;
use crate::mqtt::tls;
use crate::mqtt::{Connection, Endpoint, MqttVersion};

pub async fn check(
    config: &HomeConfig,
    assistant: &HomeAssistantConfig,
    environment: &dyn Environment,
    limits: Limits,
) -> Vec<Finding> {
    let mut legs = Legs::of("home");
    match home_endpoint(config, environment) {
        Ok(endpoint) => {
            let client_id = format!("{}-check", config.client_id);
            let endpoint = Endpoint { client_id, window: login::WINDOW, ..endpoint };
            connect(&endpoint, &places(config, assistant), limits, &mut legs).await;
        }
        Err(InvalidHome::Address(error)) => {
            legs.failed("address", error, "see `ttn-ferry check` without --connect");
        }
        Err(InvalidHome::File { source }) => legs.failed(source.key, &source, source.error.hint()),
    }
    legs.into_findings()
}

/// A part of the topic tree that the bridge writes to.
struct Place {
    leg: &'static str,
    root: String,
    /// A topic in it that nobody reads.
    topic: String,
}

fn places(config: &HomeConfig, assistant: &HomeAssistantConfig) -> Vec<Place> {
    let place = |leg, root: &str, end: &str| Place { leg, root: root.into(), topic: format!("{root}/{end}") };
    let discovery =
        (assistant.discovery != Discovery::Off).then(|| place("discovery", &assistant.prefix, "ttn_ferry_check"));
    std::iter::once(place("publish", &config.base_topic, "bridge/check")).chain(discovery).collect()
}

async fn connect(endpoint: &Endpoint, places: &[Place], limits: Limits, legs: &mut Legs) {
    let later: Vec<_> = places.iter().map(|place| place.leg).collect();
    // Without TLS it is asked only whether the port would have it.
    let tls = endpoint.tls.clone().unwrap_or_else(tls::public);
    if !reach::reach(&endpoint.address, &tls, limits, legs).await {
        legs.skipped(&["login"], "needs a connection");
        return legs.skipped(&later, "needs a connection");
    }
    match login::login(endpoint, &tls, limits, &refused(endpoint), legs).await {
        Some(mut connection) => {
            for place in places {
                publish(&mut connection, place, limits, legs).await;
            }
            login::leave(connection, limits).await;
        }
        None => legs.skipped(&later, "needs the login"),
    }
}

/// Whom Home Assistant's Mosquitto lets in (DOCS.md of the add-on, "How to use" and "Configuration").
const ADD_ON: &str = "Home Assistant's Mosquitto takes every user of Home Assistant by user name, not by display name \
                      (Settings, People, Users), except `homeassistant` and `addons`, and those under `logins` in its own configuration";

/// What to do about a login that is not taken. Who reads it may have the configuration's keys before them, or the first
/// run's questions.
fn refused(endpoint: &Endpoint) -> String {
    let told = match (&endpoint.username, &endpoint.password, endpoint.version) {
        (Some(_), Some(_), _) => "the broker does not take this user and password",
        (Some(_), None, _) => "the broker does not take this user without a password (password_file in [home])",
        (None, Some(_), MqttVersion::V5) => "the broker does not take this token without a user (username in [home])",
        (None, ..) => "the broker wants a user and a password (username and password_file in [home])",
    };
    format!("{told}. {ADD_ON}")
}

/// A broker may acknowledge what its rules make it drop, so only a message that comes back has arrived.
async fn publish(connection: &mut Connection, place: &Place, limits: Limits, legs: &mut Legs) {
    let Place { leg, root, topic } = place;
    let allow = format!("let the user read and write {root}/# in the broker's ACL");
    let payload = Bytes::from(format!(r#"{{"checked_at":"{}"}}"#, Timestamp::now()));
    match login::subscribe(connection, topic, limits).await {
        Ok(true) => match login::round_trip(connection, topic, payload, limits).await {
            Ok(Trip::Returned) => legs.ok(leg, format!("{topic}: acknowledged, and came back")),
            Ok(Trip::Refused(reason)) => legs.failed(leg, format!("{topic}: {reason}"), allow),
            Ok(Trip::Swallowed) => legs.failed(leg, format!("{topic}: acknowledged, and dropped"), allow),
            Ok(Trip::Unanswered) => {
                legs.failed(leg, format!("{topic}: not acknowledged within {:?}", limits.answer), allow)
            }
            Err(why) => legs.failed(leg, format!("{topic}: {why}"), allow),
        },
        Ok(false) => legs.failed(leg, format!("the subscription to {topic} is refused"), allow),
        Err(why) => legs.failed(leg, format!("the subscription to {topic}: {why}"), allow),
    }
}
