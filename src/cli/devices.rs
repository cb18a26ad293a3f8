//! `ttn-ferry devices`: the devices of the running bridge, and the codec of each, over the control API.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::moment::whole_seconds;
use super::service::{Reach, Service, ServiceError};
use super::table::aligned;
use super::{Exit, Terminal};
use crate::config::Environment;

#[derive(Debug, Args)]
#[command(after_help = "\
Each line: name at home, application/device id, DevEUI, codec and who chose it, fields, when it was heard last.
Examples:
  ttn-ferry devices
  ttn-ferry devices --json          one JSON object a line")]
pub struct Devices {
    #[command(flatten)]
    reach: Reach,
}

/// The parts of a device that are told.
#[derive(Debug, Deserialize)]
struct Seen {
    name: String,
    application: String,
    device_id: String,
    dev_eui: Option<String>,
    codec: Option<Codec>,
    #[serde(default)]
    fields: Vec<serde::de::IgnoredAny>,
    last_seen: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct Codec {
    name: String,
    chosen_by: String,
    /// What to do about it, if nothing decodes.
    hint: Option<String>,
}

impl Devices {
    pub async fn run(
        self,
        config: Option<&Path>,
        environment: &dyn Environment,
        terminal: &mut Terminal,
    ) -> anyhow::Result<Exit> {
        let service = self.reach.service(config, environment)?;
        match listed(&service).await {
            Ok(devices) if self.reach.json => devices.iter().try_for_each(|device| terminal.line(device.get()))?,
            Ok(devices) => tell(&devices, terminal)?,
            Err(error) => return self.reach.told(error, terminal),
        }
        Ok(Exit::Success)
    }
}

async fn listed(service: &Service) -> Result<Vec<Box<RawValue>>, ServiceError> {
    let text = service.get(&["devices"], &[], Duration::ZERO).await?;
    serde_json::from_str(&text).map_err(ServiceError::Unreadable)
}

fn tell(devices: &[Box<RawValue>], terminal: &mut Terminal) -> anyhow::Result<()> {
    let mut seen: Vec<_> = devices.iter().map(|device| parse(device.get())).collect::<Result<_, _>>()?;
    if seen.is_empty() {
        terminal.say("no device is known yet: none is registered, or none has been heard");
    }
    let hint = seen.iter_mut().find_map(|device| device.codec.as_mut()?.hint.take());
    let rows: Vec<_> = seen.into_iter().map(Seen::row).collect();
    aligned(&rows).iter().try_for_each(|line| terminal.line(line))?;
    hint.into_iter().for_each(|hint| terminal.say(&format!("hint: where there is no codec: {hint}")));
    Ok(())
}

fn parse(json: &str) -> Result<Seen, ServiceError> {
    serde_json::from_str(json).map_err(ServiceError::Unreadable)
}

impl Seen {
    fn row(self) -> [String; 6] {
        let Self { name, application, device_id, dev_eui, codec, fields, last_seen } = self;
        let fields = match fields.len() {
            1 => "1 field".into(),
            count => format!("{count} fields"),
        };
        let seen = last_seen.map_or("never heard".into(), |at| whole_seconds(at).to_string());
        let (key, eui) = (format!("{application}/{device_id}"), dev_eui.unwrap_or_else(|| "-".into()));
        [name, key, eui, codec.map_or_else(|| "not known yet".into(), Codec::told), fields, seen]
    }
}

impl Codec {
    fn told(self) -> String {
        match self.chosen_by.as_str() {
            "none" => "no codec".into(),
            "network" => "decoded by the network".into(),
            by => format!("{} ({by})", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_device_is_a_line_and_columns_stand_below_each_other() {
        let known = json!({
            "name": "hall/lamp", "application": "garden", "device_id": "lamp-1", "dev_eui": "70B3D57ED0000001",
            "codec": {"name": "mbed/led", "chosen_by": "configuration"}, "fields": [{"name": "led"}], "commands": [],
            "last_seen": "2026-11-21T06:00:02.999Z",
        });
        let bare = json!({
            "name": "n", "application": "garden", "device_id": "new", "fields": [],
            "codec": {"name": "none", "chosen_by": "none", "hint": "choose one"},
        });
        let new = json!({"name": "o", "application": "garden", "device_id": "one", "codec": null, "fields": []});
        let rows: Vec<_> = [known, bare, new].iter().map(|device| parse(&device.to_string()).unwrap().row()).collect();
        assert_eq!(
            aligned(&rows),
            [
                "hall/lamp  garden/lamp-1  70B3D57ED0000001  mbed/led (configuration)  1 field   2026-11-21T06:00:02Z",
                "n          garden/new     -                 no codec                  0 fields  never heard",
                "o          garden/one     -                 not known yet             0 fields  never heard",
            ]
        );
    }
}
