//! `[[device]]`: what the user says about one device.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Output;
use crate::mqtt::Qos;

/// What the user says about one device. What is not said is as in `[home]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// The device id in the console.
    #[schemars(example = &"soil-1")]
    pub id: String,
    /// The application's name; needed only with more than one.
    #[schemars(example = &"my-app")]
    pub application: Option<String>,
    /// Its name at home; may hold `/`.
    #[schemars(example = &"garden/soil")]
    pub friendly_name: Option<String>,
    /// A shipped codec (`mbed/led-and-sensors`), a folder or file in the codec folder, or a path.
    #[schemars(example = &"generic/cayenne-lpp")]
    pub codec: Option<String>,
    /// File that holds the AppSKey of a device that never joins and whose payloads the network cannot read, and nothing
    /// else: 32 hexadecimal digits. Without it: `TTN_FERRY_APP_S_KEY_<ID>`, or the systemd credential `app-s-key-<id>`.
    #[schemars(example = &"soil-1.key")]
    pub app_s_key_file: Option<PathBuf>,
    #[serde(skip)]
    pub app_s_key: Option<SecretString>,

    /// As in `[home]`, for this device.
    #[schemars(example = &"both")]
    pub output: Option<Output>,
    /// As in `[home]`, for this device.
    #[schemars(example = false)]
    pub retain: Option<bool>,
    /// As in `[home]`, for this device.
    #[schemars(with = "Option<u8>", range(min = 0, max = 2), example = 2)]
    pub qos: Option<Qos>,
    /// As in `[home]`, for this device.
    #[serde(default, with = "crate::model::duration::optional")]
    #[schemars(with = "Option<String>", example = &"5s")]
    pub throttle: Option<Duration>,
    /// As in `[home]`, for this device.
    #[serde(default, with = "crate::model::duration::optional")]
    #[schemars(with = "Option<String>", example = &"2h")]
    pub expiry: Option<Duration>,

    /// How often it reports, if that shall not be learned. 1s to 1 year.
    #[serde(default, with = "crate::model::duration::optional")]
    #[schemars(with = "Option<String>", example = &"15min")]
    pub interval: Option<Duration>,
    /// After how long a silence it is offline, whatever its interval; `"0s"`: never.
    #[serde(default, with = "crate::model::duration::optional")]
    #[schemars(with = "Option<String>", example = &"6h")]
    pub offline_after: Option<Duration>,

    /// The room Home Assistant suggests for it.
    #[schemars(example = &"Garden")]
    pub area: Option<String>,
    /// What Home Assistant shall be told otherwise: by a field's or command's name, or `device` for the device itself.
    #[serde(default)]
    #[schemars(example = serde_json::json!({ "temperature": { "name": "Soil temperature" } }))]
    pub home_assistant: BTreeMap<String, Override>,
}

impl DeviceConfig {
    /// Takes over what `said` says; the rest stays as it is.
    pub fn overrule(&mut self, said: Self) {
        let Self {
            id: _,
            application: _,
            friendly_name,
            codec,
            app_s_key_file,
            app_s_key: _,
            output,
            retain,
            qos,
            throttle,
            expiry,
            interval,
            offline_after,
            area,
            home_assistant,
        } = said;
        put(&mut self.friendly_name, friendly_name);
        put(&mut self.codec, codec);
        put(&mut self.app_s_key_file, app_s_key_file);
        put(&mut self.output, output);
        put(&mut self.retain, retain);
        put(&mut self.qos, qos);
        put(&mut self.throttle, throttle);
        put(&mut self.expiry, expiry);
        put(&mut self.interval, interval);
        put(&mut self.offline_after, offline_after);
        put(&mut self.area, area);
        for (name, over) in home_assistant {
            match (self.home_assistant.get_mut(&name), over) {
                (Some(Override::Keys(keys)), Override::Keys(said)) => keys.extend(said),
                (_, over) => drop(self.home_assistant.insert(name, over)),
            }
        }
    }
}

/// What one entity shall be told otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Override {
    /// Keys of Home Assistant's discovery over ours. `null` removes one; TOML, which has none, writes `"null"`.
    Keys(Map<String, Value>),
    /// `null`, in TOML `"null"`: no such entity.
    Removed(Value),
}

fn put<T>(place: &mut Option<T>, said: Option<T>) {
    if said.is_some() {
        *place = said;
    }
}
