//! The air between a node and the network: frames on it, how long they take, how much they may carry.

mod frames;

pub use frames::{DataFrame, FrameError, FrameHeader, MAX_PAYLOAD, SessionKeys, sealed_payload};

use lora_modulation::{Bandwidth, BaseBandModulationParams, CodingRate, SpreadingFactor};

/// An uplink as a gateway hears it.
#[derive(Debug, Clone, PartialEq)]
pub struct RadioFrame {
    /// PHYPayload: LoRaWAN header, encrypted payload and MIC.
    pub phy_payload: Vec<u8>,
    /// dBm
    pub rssi: i32,
    /// dB
    pub snr: f32,
    /// 7 to 12
    pub spreading_factor: u8,
    /// Hz
    pub frequency: u32,
}

impl RadioFrame {
    /// A frame at EU868's first channel and SF7, heard well.
    pub fn new(phy_payload: Vec<u8>) -> Self {
        Self { phy_payload, rssi: -60, snr: 9.5, spreading_factor: 7, frequency: 868_100_000 }
    }

    /// Time on air in microseconds, at 125 kHz and coding rate 4/5.
    pub fn airtime_micros(&self) -> u32 {
        let length = u8::try_from(self.phy_payload.len()).unwrap_or(u8::MAX);
        let factor = modulation(self.spreading_factor);
        BaseBandModulationParams::new(factor, Bandwidth::_125KHz, CodingRate::_4_5).time_on_air_us(
            Some(8),
            true,
            length,
        )
    }

    /// Most application bytes a downlink after this uplink can carry: the better of RX1 (same data rate) and RX2 (SF9 in
    /// TTN's European plan). LoRaWAN Regional Parameters 1.0.3, 2.2.6, without MAC commands.
    pub fn downlink_limit(&self) -> usize {
        max_payload(self.spreading_factor).max(max_payload(9))
    }
}

/// Largest FRMPayload in bytes at this spreading factor in EU868.
pub fn max_payload(spreading_factor: u8) -> usize {
    match spreading_factor {
        ..=8 => MAX_PAYLOAD,
        9 => 115,
        10.. => 51,
    }
}

fn modulation(spreading_factor: u8) -> SpreadingFactor {
    match spreading_factor {
        ..=7 => SpreadingFactor::_7,
        8 => SpreadingFactor::_8,
        9 => SpreadingFactor::_9,
        10 => SpreadingFactor::_10,
        11 => SpreadingFactor::_11,
        12.. => SpreadingFactor::_12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn airtime_equals_what_the_real_network_server_computed() {
        // A captured uplink with one payload byte on a port (14 bytes) took 0.046336 s, one without port 0.041216 s.
        assert_eq!(RadioFrame::new(vec![0; 14]).airtime_micros(), 46_336);
        assert_eq!(RadioFrame::new(vec![0; 12]).airtime_micros(), 41_216);
    }

    #[test]
    fn a_slow_uplink_still_gets_the_second_window() {
        let frame = RadioFrame { spreading_factor: 12, ..RadioFrame::new(Vec::new()) };
        assert_eq!(frame.downlink_limit(), 115);
        assert_eq!(RadioFrame::new(Vec::new()).downlink_limit(), 242);
    }
}
