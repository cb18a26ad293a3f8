//! A room sensor with the compact binary payload of `payload-codecs/devices/mbed/led-and-sensors`.
//!
//! Up, port 15, big-endian: int16 temperature in 0.01 °C, uint8 humidity in 0.5 %, uint16 battery in mV, a byte whose
//! lowest bit is the LED, uint16 interval in s. Down: `01 <0|1>` for the LED, `02 <uint16>` for the interval.

use super::drift::Drift;
use super::{Behaviour, Report};

const PORT: u8 = 15;

/// Temperature, humidity, battery, LED, reporting interval.
#[derive(Debug, Clone)]
pub struct RoomSensor {
    /// °C
    temperature: Drift,
    /// %
    humidity: Drift,
    /// mV
    battery: Drift,
    led: bool,
    /// Seconds, as told by the last downlink. Reported only: the simulation keeps its own pace.
    interval: u16,
}

impl Default for RoomSensor {
    fn default() -> Self {
        Self {
            temperature: Drift::new(20.5, 0.2, (17.0, 25.0)),
            humidity: Drift::new(45.0, 1.0, (30.0, 70.0)),
            battery: Drift::new(3_300.0, 2.0, (2_900.0, 3_300.0)),
            led: false,
            interval: 60,
        }
    }
}

impl Behaviour for RoomSensor {
    fn uplink(&mut self) -> Report {
        let mut payload = Vec::with_capacity(8);
        payload.extend(((self.temperature.next() * 100.0).round() as i16).to_be_bytes());
        payload.push((self.humidity.next() * 2.0).round() as u8);
        payload.extend((self.battery.next().round() as u16).to_be_bytes());
        payload.push(u8::from(self.led));
        payload.extend(self.interval.to_be_bytes());
        Report::unconfirmed(PORT, payload)
    }

    fn downlink(&mut self, _f_port: u8, mut payload: &[u8]) {
        loop {
            payload = match payload {
                [1, led @ (0 | 1), rest @ ..] => {
                    self.led = *led == 1;
                    rest
                }
                [2, high, low, rest @ ..] => {
                    self.interval = u16::from_be_bytes([*high, *low]);
                    rest
                }
                _ => break,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_the_layout_of_its_codec() {
        let payload = RoomSensor::default().uplink().payload;
        assert_eq!(payload.len(), 8);
        let temperature = i16::from_be_bytes([payload[0], payload[1]]);
        assert!((2_000..=2_100).contains(&temperature), "{temperature}");
        assert_eq!(&payload[5..], [0, 0, 60]);
    }

    #[test]
    fn one_downlink_can_carry_both_commands() {
        let mut node = RoomSensor::default();
        node.downlink(PORT, &[1, 1, 2, 0x02, 0x58]);
        assert_eq!(&node.uplink().payload[5..], [1, 0x02, 0x58]);
        node.downlink(PORT, &[9, 9]);
        assert_eq!(&node.uplink().payload[5..], [1, 0x02, 0x58]);
    }
}
