//! `[home]`: an address and its files, a first topic level that nothing can mistake, and what only MQTT 5 can do.

use std::time::Duration;

use super::limits::within;
use crate::config::error::Report;
use crate::config::{Config, Environment, HomeConfig, home_tls};
use crate::model::{HomeName, InvalidName};
use crate::mqtt::{Address, MqttVersion};

const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

pub fn check(config: &Config, environment: &dyn Environment, report: &mut Report) {
    let home = &config.home;
    let tls = match Address::parse(&home.url) {
        Ok(address) => address.has_tls(),
        Err(error) => {
            report.error(
                "home.url",
                error,
                "mqtt://localhost:1883, or mqtts://host with TLS; user and password have keys of their own",
            );
            true
        }
    };
    files(home, tls, environment, report);
    base_topic(&home.base_topic, report);
    if home.client_id.is_empty() {
        report.error("home.client_id", "it is empty", "any text, and another one for each bridge on this broker");
    }
    expiry(config, report);
}

/// The CA, and the certificate and key of the bridge itself.
fn files(home: &HomeConfig, tls: bool, environment: &dyn Environment, report: &mut Report) {
    if let Err(bad) = home_tls(home, environment) {
        report.error(format!("home.{}", bad.key), &bad, bad.error.hint());
    }
    let named = [
        ("home.ca_file", &home.ca_file),
        ("home.client_cert_file", &home.client_cert_file),
        ("home.client_key_file", &home.client_key_file),
    ];
    for (key, _) in named.iter().filter(|(_, path)| path.is_some() && !tls) {
        report.warn(*key, "not used: the address has no TLS", "write mqtts:// or wss://");
    }
    if let Some(path) = home.client_key_file.as_deref().filter(|path| environment.readable_by_others(path)) {
        let message = format!("every user of this machine can read this secret in {}", path.display());
        report.warn("home.client_key_file", message, format!("chmod 600 {}", path.display()));
    }
}

/// Ranges, and that there is a protocol that has it.
fn expiry(config: &Config, report: &mut Report) {
    let devices = config.device.iter().enumerate().map(|(at, device)| (format!("device[{at}].expiry"), device.expiry));
    for (key, expiry) in std::iter::once(("home.expiry".to_owned(), config.home.expiry)).chain(devices) {
        let Some(expiry) = expiry else { continue };
        within(report, &key, expiry, (Duration::from_secs(1), YEAR), "\"1s\" to \"8784h\"");
        if config.home.mqtt_version == MqttVersion::V3_1_1 {
            report.warn(key, "not used: MQTT 3.1.1 has no messages that expire", "mqtt_version = \"5\" in [home]");
        }
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
