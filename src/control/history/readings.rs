//! `readings`: what a device told over time, a series for each field.

use std::collections::BTreeMap;

use jiff::Timestamp;
use payload_codecs::normalized;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::History;
use super::samples::{self, Fields, Sample};
use super::scope::Scope;
use super::series::{Changes, Curve, Frame, Numbers};
use crate::control::Problem;
use crate::model::{ApplicationName, DeviceId, DeviceKey, Directory, HomeName};

/// Series in one answer: a codec may make up new names for ever.
const MOST_SERIES: usize = 200;

/// Which readings.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WantedReadings {
    /// By its name at home or its id at the network.
    pub device: String,
    pub application: Option<String>,
    /// Paths of fields, the names of nested objects joined by dots: `temperature`, `normalized.air.temperature`,
    /// `link.rssi`, `battery_percentage`. Without any: every field that holds numbers.
    pub fields: Option<Vec<String>>,
    /// A time (RFC 3339), or a span back from now such as `7d`; 24 hours before `to` without it.
    pub from: Option<String>,
    /// The same; now without it.
    pub to: Option<String>,
    /// Points of each series, at most: 10 to 5000, 500 unless given.
    pub points: Option<usize>,
}

/// What a device told in a time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Readings {
    device: HomeName,
    application: ApplicationName,
    device_id: DeviceId,
    from: Timestamp,
    to: Timestamp,
    /// Uplinks in this time.
    count: u64,
    /// Whether some points stand for several values.
    sampled: bool,
    /// By the path of the field.
    series: BTreeMap<String, Series>,
}

/// What one field held over time, in columns.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Series {
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    kind: SeriesKind,
    /// Milliseconds since 1970, rising.
    at: Vec<i64>,
    /// Numbers: one for each time, the mean where it stands for several. Truths and texts: each holds until the next.
    value: Values,
    /// The least number that each value stands for, if any stands for several.
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Vec<f64>>,
    /// The greatest.
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Vec<f64>>,
}

/// What a field holds: what it held first.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeriesKind {
    Number,
    Bool,
    Text,
}

/// A column of values, all of one kind.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Values {
    Numbers(Vec<f64>),
    Flags(Vec<bool>),
    Texts(Vec<String>),
}

/// A series that grows.
enum Growing {
    Numbers(Numbers),
    Flags(Changes<bool>),
    Texts(Changes<String>),
}

impl History {
    /// # Errors
    /// The device is not known, the time is none, or the store cannot be read.
    pub async fn readings(&self, wanted: WantedReadings) -> Result<Readings, Problem> {
        let WantedReadings { device, application, fields, from, to, points } = wanted;
        let span = (from.as_deref(), to.as_deref());
        let scope = self.scope((&device, application.as_deref()), span, points)?;
        let (fields, frame, mut all) = (Fields::new(fields), frame(&scope), BTreeMap::new());
        let count = self.each(&scope, |uplink| {
            fields.read(&uplink, |path, at, sample| take(&mut all, frame, (path, at), sample));
        });
        let count = count.await?;
        let sampled = all.values().any(Growing::is_sampled);
        let units = self.units(&scope.key, all.keys());
        let series = all.into_iter().zip(units).map(|((path, series), unit)| (path, series.finish(unit))).collect();
        let Scope { key: DeviceKey { application, device: device_id }, name: device, from, to, .. } = scope;
        Ok(Readings { device, application, device_id, from, to, count, sampled, series })
    }

    /// What the device's codec, the normalised schema or the bridge knows of each of these.
    fn units<'a>(&self, key: &DeviceKey, paths: impl Iterator<Item = &'a String>) -> Vec<Option<String>> {
        let directory = Directory::lock(&self.directory);
        let codec = directory.find(key).and_then(|device| device.codec.as_ref());
        let fields = codec.map_or(&[][..], |codec| &codec.fields);
        let unit = |path: &String| {
            let own = fields.iter().find(|field| field.describes(path)).and_then(|field| field.unit.clone());
            let normalized = path.strip_prefix("normalized.").and_then(normalized::find);
            let known = || normalized.and_then(|quantity| quantity.unit).or_else(|| samples::unit(path));
            own.or_else(|| known().map(str::to_owned))
        };
        paths.map(unit).collect()
    }
}

pub(super) fn frame(scope: &Scope) -> Frame {
    Frame { from: scope.from.as_millisecond(), to: scope.to.as_millisecond(), points: scope.points }
}

fn take(all: &mut BTreeMap<String, Growing>, frame: Frame, (path, at): (&str, i64), sample: Sample) {
    if !all.contains_key(path) {
        if all.len() >= MOST_SERIES {
            return;
        }
        all.insert(path.to_owned(), Growing::of(&sample, frame));
    }
    if let Some(series) = all.get_mut(path) {
        series.take(at, sample);
    }
}

impl Growing {
    fn of(sample: &Sample, frame: Frame) -> Self {
        match sample {
            Sample::Number(_) => Self::Numbers(Numbers::new(frame)),
            Sample::Flag(_) => Self::Flags(Changes::new(frame)),
            Sample::Text(_) => Self::Texts(Changes::new(frame)),
        }
    }

    /// A value of another kind than the first is left out.
    fn take(&mut self, at: i64, sample: Sample) {
        match (self, sample) {
            (Self::Numbers(numbers), Sample::Number(number)) => numbers.add(at, number),
            (Self::Flags(flags), Sample::Flag(flag)) => flags.add(at, flag),
            (Self::Texts(texts), Sample::Text(text)) => texts.add(at, text),
            _ => {}
        }
    }

    fn is_sampled(&self) -> bool {
        match self {
            Self::Numbers(numbers) => numbers.is_sampled(),
            Self::Flags(flags) => flags.is_sampled(),
            Self::Texts(texts) => texts.is_sampled(),
        }
    }

    fn finish(self, unit: Option<String>) -> Series {
        let changes = |kind, (at, value)| Series { unit: None, kind, at, value, min: None, max: None };
        match self {
            Self::Numbers(numbers) => {
                let Curve { at, value, bounds } = numbers.into_curve();
                let (min, max) = bounds.unzip();
                Series { unit, kind: SeriesKind::Number, at, value: Values::Numbers(value), min, max }
            }
            Self::Flags(flags) => {
                let (at, value) = flags.into_columns();
                changes(SeriesKind::Bool, (at, Values::Flags(value)))
            }
            Self::Texts(texts) => {
                let (at, value) = texts.into_columns();
                changes(SeriesKind::Text, (at, Values::Texts(value)))
            }
        }
    }
}
