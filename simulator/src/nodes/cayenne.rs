//! A node that speaks Cayenne LPP 1.0: channel, type, big-endian value, one after the other.

use super::drift::Drift;
use super::{Behaviour, Report};

const PORT: u8 = 1;

/// Data types of Cayenne LPP, from its published description.
const DIGITAL_IN: u8 = 0;
const ANALOG_IN: u8 = 2;
const ANALOG_OUT: u8 = 3;
const TEMPERATURE: u8 = 103;
const RELATIVE_HUMIDITY: u8 = 104;

/// The channel whose value a downlink sets.
const OUTPUT_CHANNEL: u8 = 5;

/// Temperature (channel 1), humidity (2), a door contact (3), a battery voltage (4), an output (5).
#[derive(Debug, Clone)]
pub struct CayenneNode {
    /// °C
    temperature: Drift,
    /// %
    humidity: Drift,
    /// V
    battery: Drift,
    reports: u32,
    /// In hundredths, as received.
    output: i16,
}

impl Default for CayenneNode {
    fn default() -> Self {
        Self {
            temperature: Drift::new(12.0, 0.5, (-10.0, 30.0)),
            humidity: Drift::new(70.0, 1.5, (40.0, 95.0)),
            battery: Drift::new(3.6, 0.01, (3.2, 3.6)),
            reports: 0,
            output: 0,
        }
    }
}

impl Behaviour for CayenneNode {
    fn uplink(&mut self) -> Report {
        self.reports += 1;
        let mut payload = vec![1, TEMPERATURE];
        payload.extend(((self.temperature.next() * 10.0).round() as i16).to_be_bytes());
        payload.extend([2, RELATIVE_HUMIDITY, (self.humidity.next() * 2.0).round() as u8]);
        payload.extend([3, DIGITAL_IN, u8::from(self.reports.is_multiple_of(4))]);
        payload.extend([4, ANALOG_IN]);
        payload.extend(((self.battery.next() * 100.0).round() as i16).to_be_bytes());
        payload.extend([OUTPUT_CHANNEL, ANALOG_OUT]);
        payload.extend(self.output.to_be_bytes());
        Report::unconfirmed(PORT, payload)
    }

    /// Triplets of channel and value in hundredths, up to 0xFF.
    fn downlink(&mut self, _f_port: u8, payload: &[u8]) {
        let values = payload.chunks_exact(3).take_while(|triplet| triplet[0] != 0xff);
        for triplet in values.filter(|triplet| triplet[0] == OUTPUT_CHANNEL) {
            self.output = i16::from_be_bytes([triplet[1], triplet[2]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_row_of_channel_type_and_value() {
        let payload = CayenneNode::default().uplink().payload;
        let heads: Vec<_> = [0, 4, 7, 10, 14].iter().map(|at| (payload[*at], payload[at + 1])).collect();
        assert_eq!(heads, [(1, 103), (2, 104), (3, 0), (4, 2), (5, 3)]);
        assert_eq!(payload.len(), 18);
    }

    #[test]
    fn a_downlink_sets_the_output_channel_only() {
        let mut node = CayenneNode::default();
        node.downlink(PORT, &[1, 0, 1, OUTPUT_CHANNEL, 0x08, 0x66, 0xff]);
        assert_eq!(node.uplink().payload[16..], [0x08, 0x66]);
    }
}
