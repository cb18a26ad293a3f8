//! The stock Mbed OS LoRaWAN example with the usual first change: an LED that a downlink switches.
//!
//! The stock program sends `Dummy Sensor Value is 21.5` as text on port 15. This one adds the LED's state, and takes one
//! byte on any port: 0 switches the LED off, 1 on.

use super::drift::Drift;
use super::{Behaviour, Report};

/// `lora.app-port` of the example's mbed_app.json.
const APP_PORT: u8 = 15;

/// A temperature as text, and an LED.
#[derive(Debug, Clone)]
pub struct MbedExample {
    temperature: Drift,
    led: bool,
}

impl Default for MbedExample {
    fn default() -> Self {
        Self { temperature: Drift::new(21.5, 0.4, (15.0, 28.0)), led: false }
    }
}

impl MbedExample {
    /// True while the LED is on.
    pub fn led(&self) -> bool {
        self.led
    }
}

impl Behaviour for MbedExample {
    fn uplink(&mut self) -> Report {
        let led = if self.led { "on" } else { "off" };
        Report::unconfirmed(APP_PORT, format!("Dummy Sensor Value is {:.1}, LED {led}", self.temperature.next()))
    }

    fn downlink(&mut self, _f_port: u8, payload: &[u8]) {
        match payload {
            [0] => self.led = false,
            [1] => self.led = true,
            // The stock program prints whatever else it gets, and goes on.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_led_shows_in_the_next_report() {
        let mut node = MbedExample::default();
        let text = |node: &mut MbedExample| String::from_utf8(node.uplink().payload).unwrap();
        assert!(text(&mut node).ends_with("LED off"));
        node.downlink(15, &[1]);
        assert!(node.led());
        let report = text(&mut node);
        assert!(report.starts_with("Dummy Sensor Value is 2") && report.ends_with("LED on"), "{report}");
        node.downlink(15, b"hello");
        assert!(node.led());
        node.downlink(15, &[0]);
        assert!(!node.led());
    }
}
