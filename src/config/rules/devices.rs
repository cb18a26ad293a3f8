//! `[[device]]`: entries that name a device of a configured application, once, under a home name of its own.

use crate::config::error::Report;
use crate::config::{ApplicationConfig, Config, DeviceConfig};
use crate::model::{DeviceId, HomeName, ttn_id};

pub fn check(config: &Config, report: &mut Report) {
    let mut known: Vec<Named> = Vec::new();
    for (index, device) in config.device.iter().enumerate() {
        let at = format!("device[{index}]");
        let application = application(device, &config.application, &at, report);
        names(device, &at, report);
        let named = Named { index, device, application };
        if let Some(other) = known.iter().find(|other| other.is_same_device(&named)) {
            let message = format!("`{}` is described by device[{}] already", device.id, other.index);
            report.error(format!("{at}.id"), message, "put both into one table");
        } else {
            // The first collision tells enough.
            known.iter().any(|other| named.collides(other, &at, report));
            known.push(named);
        }
    }
}

struct Named<'a> {
    index: usize,
    device: &'a DeviceConfig,
    application: Option<&'a str>,
}

impl Named<'_> {
    fn is_same_device(&self, other: &Self) -> bool {
        self.device.id == other.device.id && self.application == other.application
    }

    fn home_name(&self) -> &str {
        self.device.friendly_name.as_deref().unwrap_or(&self.device.id)
    }

    /// Whether both would use the same topics; if so, that is reported.
    fn collides(&self, other: &Self, at: &str, report: &mut Report) -> bool {
        let (mine, theirs) = (self.home_name(), other.home_name());
        let chosen = self.device.friendly_name.is_some() || other.device.friendly_name.is_some();
        let (id, index, key) = (&other.device.id, other.index, format!("{at}.friendly_name"));
        let hint = "give one of them another friendly_name";
        if mine == theirs && chosen {
            let message = format!("`{}` and `{id}` (device[{index}]) would both be `{mine}`", self.device.id);
            report.error(key, message, hint);
        } else if mine == theirs {
            let rule = format!("the second to appear becomes `<application>/{mine}`");
            report.warn(key, format!("two applications have a device `{mine}`: {rule}"), hint);
        } else {
            return false;
        }
        true
    }
}

/// The name of the application a device belongs to, if that is clear.
fn application<'a>(
    device: &'a DeviceConfig,
    all: &'a [ApplicationConfig],
    at: &str,
    report: &mut Report,
) -> Option<&'a str> {
    let names = || all.iter().map(|a| format!("\"{}\"", a.name())).collect::<Vec<_>>().join(", ");
    let key = format!("{at}.application");
    match (&device.application, all) {
        (Some(name), _) if all.iter().any(|application| application.name() == name) => Some(name),
        (Some(name), _) => {
            report.error(key, format!("no application is called `{name}`"), format!("configured: {}", names()));
            None
        }
        (None, [only]) => Some(only.name()),
        (None, []) => None,
        (None, _) => {
            report.error(key, "which application has this device?", format!("application = one of {}", names()));
            None
        }
    }
}

fn names(device: &DeviceConfig, at: &str, report: &mut Report) {
    if DeviceId::parse(&device.id).is_err() {
        let hint = match device.id.to_ascii_lowercase() {
            lower if ttn_id(&lower) => format!("ids are lower case: \"{lower}\""),
            _ => "copy the end device ID from the console, not its name or EUI".into(),
        };
        let message = format!("`{}` is no device id: 3 to 36 of a-z, 0-9 and single dashes inside", device.id);
        report.error(format!("{at}.id"), message, hint);
    }
    if let Some(Err(error)) = device.friendly_name.as_deref().map(HomeName::parse) {
        report.error(format!("{at}.friendly_name"), error, "it becomes topic levels: \"garden/pump\"");
    }
}
