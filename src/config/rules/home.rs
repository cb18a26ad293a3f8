//! `[home]`: an address, and a first topic level that nothing can mistake.

use crate::config::error::Report;
use crate::config::{Environment, HomeConfig};
use crate::model::{HomeName, InvalidName};
use crate::mqtt::Address;

pub fn check(home: &HomeConfig, environment: &dyn Environment, report: &mut Report) {
    let tls = match Address::parse(&home.url) {
        Ok(address) => address.tls,
        Err(error) => {
            report.error(
                "home.url",
                error,
                "mqtt://localhost:1883, or mqtts://host with TLS; user and password have keys of their own",
            );
            true
        }
    };
    super::ca_file("home.ca_file", home.ca_file.as_deref(), tls, environment, report);
    base_topic(&home.base_topic, report);
    if home.client_id.is_empty() {
        report.error("home.client_id", "it is empty", "any text, and another one for each bridge on this broker");
    }
}

fn base_topic(topic: &str, report: &mut Report) {
    let hint = "plain levels without wildcards: \"ttn\" or \"house/ttn\"";
    match HomeName::parse(topic) {
        // A base may be called like the bridge's own level: that one stands below it.
        Ok(_) | Err(InvalidName::Bridge(_)) if topic.starts_with('$') => {
            report.error(
                "home.base_topic",
                format!("`{topic}` begins with `$`, which brokers keep for themselves"),
                hint,
            );
        }
        Ok(_) | Err(InvalidName::Bridge(_)) => {}
        Err(error) => report.error("home.base_topic", error, hint),
    }
}
