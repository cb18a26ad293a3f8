//! The topics of `[home]`: templates that tell devices and purposes apart, and names that commands can reach.

use crate::config::Config;
use crate::config::error::Report;
use crate::home::{InvalidTopics, LONGEST_THROTTLE, Topics};
use crate::model::{HomeName, InvalidName};

/// Each level costs a handful of subscriptions.
const MOST_LEVELS: usize = 8;

pub fn check(config: &Config, report: &mut Report) {
    templates(config, report);
    levels(config, report);
    throttle("home", config.home.throttle, report);
    for (index, device) in config.device.iter().enumerate() {
        if let Some(own) = device.throttle {
            throttle(&format!("device[{index}]"), own, report);
        }
    }
}

/// Nothing is said of templates below a base that is none: that is told already.
fn templates(config: &Config, report: &mut Report) {
    if !matches!(HomeName::parse(&config.home.base_topic), Ok(_) | Err(InvalidName::Bridge(_))) {
        return;
    }
    let several = config.application.len() > 1;
    let apart = |topics: Topics| if several { topics.tell_applications_apart() } else { Ok(()) };
    if let Err(InvalidTopics { key, reason, hint }) = Topics::new(&config.home, 1).and_then(apart) {
        report.error(format!("home.{key}"), reason, hint);
    }
}

fn levels(config: &Config, report: &mut Report) {
    for (index, device) in config.device.iter().enumerate() {
        let levels = device.friendly_name.as_deref().map_or(0, |name| name.split('/').count());
        if levels > MOST_LEVELS {
            let message = format!("it has {levels} levels");
            report.error(format!("device[{index}].friendly_name"), message, format!("at most {MOST_LEVELS}"));
        }
    }
}

fn throttle(table: &str, throttle: std::time::Duration, report: &mut Report) {
    if throttle > LONGEST_THROTTLE {
        report.error(format!("{table}.throttle"), format!("{throttle:?} is out of range"), "from \"0s\" to \"1h\"");
    }
}
