//! `[home_assistant]`: topics that Home Assistant can mean.

use crate::config::error::Report;
use crate::config::{HomeAssistantConfig, HomeConfig};
use crate::model::{HomeName, InvalidName};

pub fn check(config: &HomeAssistantConfig, home: &HomeConfig, report: &mut Report) {
    topic("home_assistant.prefix", &config.prefix, "as in Home Assistant's MQTT settings: \"homeassistant\"", report);
    topic("home_assistant.status_topic", &config.status_topic, "\"homeassistant/status\"", report);
    if config.prefix == home.base_topic {
        let message = format!("`{}` is the bridge's own base_topic as well", config.prefix);
        report.error("home_assistant.prefix", message, "Home Assistant needs a first level of its own");
    }
}

fn topic(key: &str, topic: &str, hint: &str, report: &mut Report) {
    match HomeName::parse(topic) {
        // These are rules for devices' names, below our own base.
        Ok(_) | Err(InvalidName::Bridge(_) | InvalidName::OwnLevel(..)) => {}
        Err(error) => report.error(key, error, hint),
    }
}
