//! How well a device is heard: the `link` of its state.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::Uplink;

const SECONDS_A_DAY: i64 = 86_400;

/// How well the last uplink was heard, and what was lost and used so far.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// dBm, at the gateway that heard it best.
    #[serde(skip_serializing_if = "Option::is_none")]
    rssi: Option<f32>,
    /// dB, at the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    snr: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spreading_factor: Option<u8>,
    gateways: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    best_gateway: String,
    f_cnt: u32,
    /// Frames that never came, since the device was first heard.
    lost_frames: u64,
    /// Seconds on air on this UTC day.
    airtime_today: f64,
    /// That day: days since 1970.
    #[serde(skip)]
    pub airtime_day: i64,
    /// Frames lost before those that are counted since the start.
    #[serde(skip)]
    lost_before: Option<u64>,
}

impl Link {
    /// Takes over how this uplink was heard.
    pub fn take(&mut self, uplink: &Uplink) {
        let best = uplink.radio.best();
        self.rssi = best.map(|gateway| gateway.rssi);
        self.snr = best.map(|gateway| gateway.snr);
        self.spreading_factor = uplink.radio.data_rate.spreading_factor;
        self.gateways = uplink.radio.gateways.len();
        self.best_gateway.clear();
        self.best_gateway.push_str(best.map_or("", |gateway| &gateway.id));
        self.f_cnt = uplink.f_cnt;
    }

    /// So many frames are missing of those that are remembered. What was lost before the oldest of them stays lost.
    pub fn note_lost(&mut self, remembered: u64) {
        let before = *self.lost_before.get_or_insert_with(|| self.lost_frames.saturating_sub(remembered));
        self.lost_frames = before + remembered;
    }

    /// Adds an uplink's time on air to that of its day, unless that day is over. Returns whether it did.
    pub fn add_airtime(&mut self, uplink: &Uplink) -> bool {
        let Some(airtime) = uplink.radio.airtime else { return false };
        if day_of(uplink.at) < self.airtime_day {
            return false;
        }
        self.begin_day(uplink.at);
        // To the microsecond: sums of fractions have long tails.
        self.airtime_today = ((self.airtime_today + airtime) * 1e6).round() / 1e6;
        true
    }

    /// It is this day now: what was used on one before does not count any more. Returns whether that was anything.
    pub fn begin_day(&mut self, now: Timestamp) -> bool {
        let day = day_of(now);
        let is_over = day > self.airtime_day && self.airtime_today > 0.0;
        if day > self.airtime_day {
            (self.airtime_day, self.airtime_today) = (day, 0.0);
        }
        is_over
    }
}

/// Days since 1970, UTC.
fn day_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(SECONDS_A_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Radio;

    fn heard(second: i64, airtime: f64) -> Box<Uplink> {
        let radio = Radio { airtime: Some(airtime), ..Radio::default() };
        Box::new(Uplink { radio, ..*Uplink::sample("node", 1, second) })
    }

    #[test]
    fn airtime_is_that_of_the_newest_day() {
        let mut link = Link::default();
        for (second, airtime, total) in
            [(SECONDS_A_DAY, 0.1, 0.1), (SECONDS_A_DAY + 5, 0.2, 0.3), (2 * SECONDS_A_DAY, 0.05, 0.05)]
        {
            assert!(link.add_airtime(&heard(second, airtime)));
            assert_eq!(link.airtime_today, total);
        }
        assert!(!link.add_airtime(&heard(SECONDS_A_DAY + 9, 1.0)), "fetched too late");
        assert_eq!(link.airtime_today, 0.05);
    }

    #[test]
    fn at_midnight_it_is_nothing_before_the_first_uplink_of_the_day() {
        let mut link = Link::default();
        link.add_airtime(&heard(SECONDS_A_DAY, 0.1));
        assert!(!link.begin_day(Timestamp::from_second(2 * SECONDS_A_DAY - 1).unwrap()));
        assert!(link.begin_day(Timestamp::from_second(2 * SECONDS_A_DAY).unwrap()));
        assert_eq!(link.airtime_today, 0.0);
        assert!(!link.begin_day(Timestamp::from_second(3 * SECONDS_A_DAY).unwrap()), "it was nothing");
    }

    #[test]
    fn what_is_forgotten_stays_lost_and_what_is_repaired_does_not() {
        let mut link = Link::default();
        link.note_lost(5);
        link.note_lost(2);
        assert_eq!(link.lost_frames, 2);
        let mut restarted: Link = serde_json::from_str(&serde_json::to_string(&link).unwrap()).unwrap();
        restarted.lost_frames = 7;
        restarted.note_lost(2);
        restarted.note_lost(3);
        assert_eq!(restarted.lost_frames, 8, "five of them were forgotten before the start");
    }
}
