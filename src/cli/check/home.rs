//! The legs to the home broker, to a message that comes back.

use bytes::Bytes;
use jiff::Timestamp;

use super::finding::{Finding, Legs};
use super::login::{self, Trip};
use super::{Limits, reach};
use crate::config::{Environment, HomeConfig, trust};
use crate::mqtt::tls::Tls;
use crate::mqtt::{Address, Connection};

pub async fn check(config: &HomeConfig, environment: &dyn Environment, limits: Limits) -> Vec<Finding> {
    let mut legs = Legs::of("home");
    match (Address::parse(&config.url), trust(config.ca_file.as_deref(), environment)) {
        (Ok(address), Ok(tls)) => connect(config, &address, &tls, limits, &mut legs).await,
        (Err(error), _) => legs.failed("address", error, "see `ttn-ferry check` without --connect"),
        (_, Err(error)) => legs.failed("ca_file", &error, error.hint()),
    }
    legs.into_findings()
}

async fn connect(config: &HomeConfig, address: &Address, tls: &Tls, limits: Limits, legs: &mut Legs) {
    if !reach::reach(address, tls, limits, legs).await {
        return legs.skipped(&["login", "publish"], "needs a connection");
    }
    let mut endpoint = login::endpoint(address, tls, format!("{}-check", config.client_id));
    endpoint.username = config.username.clone();
    endpoint.password = config.password.clone();
    let refused = match config.username {
        Some(_) => "the broker does not take this user name and password",
        None => "the broker wants a user: set username and password_file in [home]",
    };
    match login::login(&endpoint, tls, limits, refused, legs).await {
        Some(connection) => publish(connection, config, limits, legs).await,
        None => legs.skipped(&["publish"], "needs the login"),
    }
}

/// A broker may acknowledge what its rules make it drop, so only a message that comes back has arrived.
async fn publish(mut connection: Connection, config: &HomeConfig, limits: Limits, legs: &mut Legs) {
    let topic = format!("{}/bridge/check", config.base_topic);
    let allow = format!("let the user read and write {}/# in the broker's ACL", config.base_topic);
    let payload = Bytes::from(format!(r#"{{"checked_at":"{}"}}"#, Timestamp::now()));
    match login::subscribe(&mut connection, &topic, limits).await {
        Ok(true) => match login::round_trip(&mut connection, &topic, payload, limits).await {
            Ok(Trip::Returned) => legs.ok("publish", format!("{topic}: acknowledged, and came back")),
            Ok(Trip::Swallowed) => legs.failed("publish", format!("{topic}: acknowledged, and dropped"), allow),
            Ok(Trip::Unanswered) => {
                legs.failed("publish", format!("{topic}: not acknowledged within {:?}", limits.answer), allow)
            }
            Err(why) => legs.failed("publish", format!("{topic}: {why}"), allow),
        },
        Ok(false) => legs.failed("publish", format!("the subscription to {topic} is refused"), allow),
        Err(why) => legs.failed("publish", format!("the subscription to {topic}: {why}"), allow),
    }
    login::leave(connection, limits).await;
}
