//! A page of metrics, one family after the other.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::super::durations::Durations;

/// Writes families. Units are added to names by the encoder, as is `_total`.
pub struct Page<'a>(DescriptorEncoder<'a>);

/// What a gauge without labels shows.
pub trait Shown {
    fn number(self) -> f64;
}

impl<'a> Page<'a> {
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    pub fn info(&mut self, name: &str, help: &str, labels: &[(&str, &str)]) -> fmt::Result {
        self.0.encode_descriptor(name, &sentence(help), None, MetricType::Info)?.encode_info(&labels)
    }

    pub fn gauge(&mut self, name: &str, help: &str, unit: Option<Unit>, value: impl Shown) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, &sentence(help), unit.as_ref(), MetricType::Gauge)?;
        family.encode_gauge(&value.number())
    }

    /// A gauge by its labels; no family if there is none.
    pub fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        values: impl Iterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, &sentence(help), unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one_counter(name, help, None, &value)
    }

    /// A counter of seconds.
    pub fn seconds_counter(&mut self, name: &str, help: &str, unit: Unit, value: Duration) -> fmt::Result {
        self.one_counter(name, help, Some(unit), &value.as_secs_f64())
    }

    pub fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, &sentence(help), None, MetricType::Counter)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    pub fn histogram(&mut self, name: &str, help: &str, unit: Unit, durations: &Durations) -> fmt::Result {
        let classes = durations.classes();
        let count = classes.iter().map(|(_, count)| count).sum();
        let mut family = self.0.encode_descriptor(name, &sentence(help), Some(&unit), MetricType::Histogram)?;
        family.encode_histogram::<NoLabelSet>(durations.sum(), count, &classes, None)
    }

    fn one_counter(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        value: &impl EncodeCounterValue,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, &sentence(help), unit.as_ref(), MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, u64>(value, None)
    }
}

impl Shown for bool {
    fn number(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl Shown for u64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Shown for usize {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Shown for f64 {
    fn number(self) -> f64 {
        self
    }
}

/// OpenMetrics as the older text format: there counters are called as their samples are, an `info` is a gauge, and a unit
/// is only a part of the name.
pub fn as_text(open_metrics: &str) -> String {
    let (mut text, mut help) = (String::with_capacity(open_metrics.len()), None);
    for line in open_metrics.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
            continue;
        }
        match line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            Some((name, kind)) => text.push_str(&described(name, kind, help.take())),
            None => text.extend([line, "\n"]),
        }
    }
    text
}

fn described(name: &str, kind: &str, help: Option<(&str, &str)>) -> String {
    let (suffix, kind) = match kind {
        "counter" => ("_total", kind),
        "info" => ("_info", "gauge"),
        _ => ("", kind),
    };
    let help = help.map(|(_, help)| format!("# HELP {name}{suffix} {help}\n")).unwrap_or_default();
    format!("{help}# TYPE {name}{suffix} {kind}\n")
}

fn sentence(help: &str) -> String {
    format!("{help}.")
}
