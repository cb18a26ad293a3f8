//! A tracker that walks around a place and reports where it is, as Cayenne LPP GPS.

use super::drift::Drift;
use super::{Behaviour, Report};

const PORT: u8 = 1;

/// Cayenne LPP: GPS location, three 24-bit values (0.0001°, 0.0001°, 0.01 m), and analog input.
const GPS: u8 = 136;
const ANALOG_IN: u8 = 2;

/// A position (channel 1) and a battery voltage (channel 2).
#[derive(Debug, Clone)]
pub struct Tracker {
    /// Degrees
    latitude: Drift,
    /// Degrees
    longitude: Drift,
    /// Metres
    altitude: Drift,
    /// V
    battery: Drift,
}

/// Walks in Amsterdam, where The Things Network began.
impl Default for Tracker {
    fn default() -> Self {
        Self {
            latitude: Drift::new(52.3731, 0.0005, (52.36, 52.39)),
            longitude: Drift::new(4.8922, 0.0005, (4.87, 4.91)),
            altitude: Drift::new(2.0, 0.5, (0.0, 10.0)),
            battery: Drift::new(3.7, 0.01, (3.3, 3.7)),
        }
    }
}

impl Behaviour for Tracker {
    fn uplink(&mut self) -> Report {
        let mut payload = vec![1, GPS];
        payload.extend(int24(self.latitude.next() * 10_000.0));
        payload.extend(int24(self.longitude.next() * 10_000.0));
        payload.extend(int24(self.altitude.next() * 100.0));
        payload.extend([2, ANALOG_IN]);
        payload.extend(((self.battery.next() * 100.0).round() as i16).to_be_bytes());
        Report::unconfirmed(PORT, payload)
    }

    /// Takes no orders.
    fn downlink(&mut self, _f_port: u8, _payload: &[u8]) {}
}

/// The three low bytes, most significant first.
fn int24(value: f64) -> [u8; 3] {
    let [_, bytes @ ..] = (value.round() as i32).to_be_bytes();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_coordinates_keep_their_sign() {
        // From the published description of Cayenne LPP: -87.9094° is F2960A.
        assert_eq!(int24(-879_094.0), [0xf2, 0x96, 0x0a]);
    }

    #[test]
    fn a_report_carries_position_and_battery() {
        let payload = Tracker::default().uplink().payload;
        assert_eq!((payload.len(), payload[1], payload[12]), (15, GPS, ANALOG_IN));
        assert_eq!(payload[2..4], [0x07, 0xfd]);
    }
}
