//! The request about one device: all that is known of it.

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::answers::{DeviceAnswer, describe};
use super::problem::{Kind, Problem};
use super::{Answers, Told, Whose};
use crate::codecs::{Considered, Origin};
use crate::downlink::{Allowance, Usage, nobody};
use crate::model::{CodecChoice, Directory};

/// An entry of the list of devices, and what would be too much there.
#[derive(Serialize, JsonSchema)]
pub struct DeviceDetail<'a> {
    #[serde(flatten)]
    device: DeviceAnswer<'a>,
    /// The merged state, as on `<device>`.
    #[schemars(with = "Option<Map<String, Value>>")]
    state: Option<Box<RawValue>>,
    /// What it has used of today; none if `[downlink] fair_use` is off.
    usage: Option<DayUsage>,
    codec_choice: Choice,
    /// What requests set, by the keys of `[[device]]`; none if that cannot be read now.
    options: Option<Map<String, Value>>,
}

/// What a device used of a day, against what The Things Network's fair use, or the configuration, lets it use.
#[derive(Serialize, JsonSchema)]
struct DayUsage {
    /// UTC.
    #[schemars(with = "String", extend("format" = "date"))]
    day: Date,
    /// Of the uplinks that were heard.
    airtime_s: f64,
    airtime_limit_s: f64,
    downlinks: u32,
    downlinks_limit: u32,
}

/// Which codec a device has, and why not another one.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "CodecChosen")]
struct Choice {
    /// `network` if its own formatter decodes, `none` if nothing does; `null` until it was heard of since the start.
    name: Option<String>,
    source: Option<Origin>,
    why: Option<String>,
    /// What else was considered, in the order in which it counts.
    others: Vec<Considered>,
}

impl Answers {
    /// One device.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn device(&self, whose: Whose) -> Result<Told<DeviceDetail<'static>>, Problem> {
        let key = self.device_changes.find(&whose.device, whose.application.as_deref())?;
        let considered = self.codecs.considered(&key).await;
        let options = self.device_changes.options_of(&key).await;
        let newest = self.live.newest_of([&key]);
        let directory = Directory::lock(&self.directory);
        let device = directory.find(&key).ok_or_else(|| {
            Problem::of(Kind::Unknown, nobody(&whose.device, whose.application.as_deref(), &directory))
        })?;
        Ok(Told::new(&DeviceDetail {
            device: describe(device, directory.measured(&key)),
            state: newest.into_iter().next().and_then(|newest| serde_json::from_slice(&newest.state?).ok()),
            usage: self.open_downlinks.usage(&key, Timestamp::now()).map(DayUsage::of),
            codec_choice: Choice::of(device.codec.as_ref(), considered),
            options,
        }))
    }
}

impl DayUsage {
    fn of((used, allowed): (Usage, Allowance)) -> Self {
        Self {
            day: used.date(),
            airtime_s: used.airtime.as_secs_f64(),
            airtime_limit_s: allowed.airtime.as_secs_f64(),
            downlinks: used.downlinks,
            downlinks_limit: allowed.downlinks,
        }
    }
}

impl Choice {
    fn of(codec: Option<&CodecChoice>, considered: Vec<Considered>) -> Self {
        let (chosen, others): (Vec<_>, Vec<_>) = considered.into_iter().partition(|one| one.why_not.is_none());
        let chosen = chosen.into_iter().next();
        Self {
            name: codec.map(|codec| codec.name.clone()).or(chosen.as_ref().map(|one| one.name.clone())),
            source: chosen.as_ref().map(|one| one.source),
            why: codec.map(|codec| codec.chosen_by.to_owned()).or(chosen.map(|one| one.why.to_owned())),
            others,
        }
    }
}
