//! `[home_assistant]`, and what devices' `home_assistant` tables want told otherwise.

use crate::config::error::Report;
use crate::config::{Config, DeviceConfig};
use crate::home::assistant::check_overrides;
use crate::model::{HomeName, InvalidName};

pub fn check(config: &Config, report: &mut Report) {
    let assistant = &config.home_assistant;
    topic("home_assistant.prefix", &assistant.prefix, report);
    topic("home_assistant.status_topic", &assistant.status_topic, report);
    if assistant.prefix == config.home.base_topic {
        let message = format!("`{}` is the base topic of the devices themselves", assistant.prefix);
        report.error("home_assistant.prefix", message, "Home Assistant's own is \"homeassistant\"");
    }
    config.device.iter().enumerate().for_each(|(index, device)| overrides(index, device, report));
}

fn topic(key: &str, topic: &str, report: &mut Report) {
    let hint = "plain levels without wildcards, as they stand in Home Assistant's MQTT options";
    if topic.starts_with('$') {
        report.error(key, format!("`{topic}` begins with `$`, which brokers keep for themselves"), hint);
        return;
    }
    match HomeName::parse(topic) {
        // These are rules for devices' names, below our own base.
        Ok(_) | Err(InvalidName::Bridge(_) | InvalidName::OwnLevel(..)) => {}
        Err(error) => report.error(key, error, hint),
    }
}

fn overrides(index: usize, device: &DeviceConfig, report: &mut Report) {
    for problem in check_overrides(&device.home_assistant) {
        report.error(format!("device[{index}].home_assistant.{}", problem.key), &problem, &problem.hint);
    }
}
