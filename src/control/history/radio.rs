//! `radio`: how a device was heard over time: by which gateways, with which spreading factor, what was lost, what it used.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::History;
use super::readings::frame;
use super::scope::Scope;
use super::series::{Changes, Curve, Frame, Numbers};
use crate::control::Problem;
use crate::model::{ApplicationName, DeviceId, DeviceKey, HomeName, UplinkRecord};

/// Gateways in one answer: those that heard first.
const MOST_GATEWAYS: usize = 100;
const MILLISECONDS_A_DAY: i64 = 24 * 3600 * 1000;

/// Whose, and when.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WantedRadio {
    /// By its name at home or its id at the network.
    pub device: String,
    pub application: Option<String>,
    /// A time (RFC 3339), or a span back from now such as `7d`; 24 hours before `to` without it.
    pub from: Option<String>,
    /// The same; now without it.
    pub to: Option<String>,
    /// Points of each series, at most: 10 to 5000, 500 unless given.
    pub points: Option<usize>,
}

/// How a device was heard in a time. All times in columns are in milliseconds since 1970.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RadioHistory")]
pub struct Radio {
    device: HomeName,
    application: ApplicationName,
    device_id: DeviceId,
    from: Timestamp,
    to: Timestamp,
    /// Uplinks in this time.
    count: u64,
    /// Whether some points stand for several uplinks.
    sampled: bool,
    /// By their ids.
    gateways: BTreeMap<String, Reception>,
    /// 5 to 12: each holds until the next.
    spreading_factor: Column<u8>,
    /// Frames that are missing right before an uplink.
    lost: Column<u64>,
    /// Seconds on air of each UTC day, by its beginning.
    airtime: Column<f64>,
}

/// How one gateway heard the device; means where a point stands for several uplinks.
#[derive(Debug, Serialize, JsonSchema)]
struct Reception {
    at: Vec<i64>,
    /// dBm.
    rssi: Vec<f64>,
    /// dB.
    snr: Vec<f64>,
    /// Uplinks that it heard.
    count: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct Column<T> {
    at: Vec<i64>,
    value: Vec<T>,
}

/// What is gathered of each uplink.
struct Hearing {
    frame: Frame,
    gateways: BTreeMap<String, (Numbers, Numbers, u64)>,
    spreading_factor: Changes<u8>,
    lost: Vec<(i64, u64)>,
    airtime: BTreeMap<i64, f64>,
    /// Address and counter of the uplink before.
    last: Option<(Option<String>, u32)>,
}

impl History {
    /// # Errors
    /// The device is not known, the time is none, or the store cannot be read.
    pub async fn radio(&self, wanted: WantedRadio) -> Result<Radio, Problem> {
        let WantedRadio { device, application, from, to, points } = wanted;
        let span = (from.as_deref(), to.as_deref());
        let scope = self.scope((&device, application.as_deref()), span, points)?;
        let mut hearing = Hearing::new(frame(&scope));
        let count = self.each(&scope, |uplink| hearing.take(&uplink)).await?;
        Ok(hearing.finish(scope, count))
    }
}

impl Hearing {
    fn new(frame: Frame) -> Self {
        let spreading_factor = Changes::new(frame);
        let (gateways, airtime) = (BTreeMap::new(), BTreeMap::new());
        Self { frame, gateways, spreading_factor, lost: Vec::new(), airtime, last: None }
    }

    fn take(&mut self, uplink: &UplinkRecord) {
        let (at, radio) = (uplink.at.as_millisecond(), &uplink.radio);
        for gateway in &radio.gateways {
            if !self.gateways.contains_key(&gateway.id) && self.gateways.len() >= MOST_GATEWAYS {
                continue;
            }
            let new = || (Numbers::new(self.frame), Numbers::new(self.frame), 0);
            let known = self.gateways.entry(gateway.id.clone()).or_insert_with(new);
            known.0.add(at, gateway.rssi.into());
            known.1.add(at, gateway.snr.into());
            known.2 += 1;
        }
        radio.data_rate.spreading_factor.into_iter().for_each(|factor| self.spreading_factor.add(at, factor));
        if let Some(airtime) = radio.airtime {
            *self.airtime.entry(at - at.rem_euclid(MILLISECONDS_A_DAY)).or_default() += airtime;
        }
        self.note_lost(at, uplink);
    }

    /// A counter that does not rise, or another address, begins anew.
    fn note_lost(&mut self, at: i64, uplink: &UplinkRecord) {
        let now = (uplink.ids.dev_addr.clone(), uplink.f_cnt);
        let missing = self.last.as_ref().filter(|last| last.0 == now.0).and_then(|last| now.1.checked_sub(last.1));
        if let Some(missing) = missing.map(|risen| risen.saturating_sub(1)).filter(|missing| *missing > 0) {
            self.lost.push((at, missing.into()));
        }
        self.last = Some(now);
    }

    fn finish(self, scope: Scope, count: u64) -> Radio {
        let gateways = self.gateways.values();
        let sampled = self.spreading_factor.is_sampled() || gateways.clone().any(|heard| heard.0.is_sampled());
        let Scope { key: DeviceKey { application, device: device_id }, name: device, from, to, points } = scope;
        let reception = |(id, (rssi, snr, count)): (String, (Numbers, Numbers, u64))| {
            let (Curve { at, value: rssi, .. }, Curve { value: snr, .. }) = (rssi.into_curve(), snr.into_curve());
            (id, Reception { at, rssi, snr, count })
        };
        let (at, value) = self.spreading_factor.into_columns();
        Radio {
            device,
            application,
            device_id,
            from,
            to,
            count,
            sampled: sampled || self.lost.len() > points,
            gateways: self.gateways.into_iter().map(reception).collect(),
            spreading_factor: Column { at, value },
            lost: summed(self.lost, points),
            airtime: airtime(self.airtime),
        }
    }
}

/// Few sums of neighbours instead of many numbers, each at the time of the last of them.
fn summed(all: Vec<(i64, u64)>, points: usize) -> Column<u64> {
    let share = all.len().div_ceil(points).max(1);
    let one = |share: &[(i64, u64)]| (share[share.len() - 1].0, share.iter().map(|(_, lost)| lost).sum::<u64>());
    let (at, value) = all.chunks(share).map(one).unzip();
    Column { at, value }
}

/// To the microsecond: sums of fractions have long tails.
fn airtime(days: BTreeMap<i64, f64>) -> Column<f64> {
    let (at, value) = days.into_iter().map(|(day, seconds)| (day, (seconds * 1e6).round() / 1e6)).unzip();
    Column { at, value }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{DataRate, Gateway};

    fn uplink(f_cnt: u32, second: i64, dev_addr: &str, heard: &[(&str, f32)]) -> UplinkRecord {
        let mut uplink = UplinkRecord::sample("node", f_cnt, second);
        uplink.ids.dev_addr = Some(dev_addr.into());
        let gateway =
            |(id, rssi): &(&str, f32)| Gateway { id: (*id).into(), rssi: *rssi, snr: 1.5, ..Gateway::default() };
        uplink.radio.gateways = heard.iter().map(gateway).collect();
        uplink.radio.data_rate = DataRate { spreading_factor: Some(7 + (f_cnt / 10) as u8), ..DataRate::default() };
        uplink.radio.airtime = Some(0.1);
        uplink
    }

    #[test]
    fn each_gateway_has_its_figures_and_what_was_lost_is_told_where_it_was_missed() {
        let scope = Scope {
            key: UplinkRecord::sample("node", 0, 0).key,
            name: HomeName::parse("lamp").unwrap(),
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::from_second(200_000).unwrap(),
            points: 10,
        };
        let mut hearing = Hearing::new(frame(&scope));
        let all = [
            uplink(8, 1, "A", &[("roof", -50.0)]),
            uplink(9, 2, "A", &[("roof", -52.0), ("far", -120.0)]),
            uplink(12, 86_401, "A", &[]),
            uplink(0, 86_402, "A", &[("roof", -60.0)]),
            uplink(5, 86_403, "B", &[]),
        ];
        all.iter().for_each(|uplink| hearing.take(uplink));
        let told = json!(hearing.finish(scope, 5));
        assert_eq!(
            told["gateways"]["roof"],
            json!({"at": [1000, 2000, 86_402_000], "rssi": [-50.0, -52.0, -60.0], "snr": [1.5, 1.5, 1.5], "count": 3})
        );
        assert_eq!(told["gateways"]["far"]["count"], 1);
        assert_eq!(told["lost"], json!({"at": [86_401_000], "value": [2]}));
        assert_eq!(told["spreading_factor"], json!({"at": [1000, 86_401_000, 86_402_000], "value": [7, 8, 7]}));
        assert_eq!(told["airtime"], json!({"at": [0, 86_400_000], "value": [0.2, 0.3]}));
        assert_eq!((&told["count"], &told["sampled"]), (&json!(5), &json!(false)));
    }

    #[test]
    fn too_many_losses_are_summed() {
        let Column { at, value } = summed((0..25).map(|n| (n, 1)).collect(), 10);
        assert_eq!((at.len(), at.last(), value.iter().sum::<u64>()), (9, Some(&24), 25));
    }
}
