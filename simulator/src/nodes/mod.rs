//! Simulated LoRaWAN 1.0.x end nodes that join over the air, encrypt, and acknowledge.
//!
//! [`Node`] is the radio part every node shares; what it measures and does is its [`Behaviour`]. Four are ready:
//! [`MbedExample`], [`RoomSensor`], [`CayenneNode`] and [`Tracker`]. [`Node::heard`] tells which downlinks arrived.

mod activation;
mod cayenne;
mod drift;
mod heard;
mod mbed_example;
mod node;
mod room_sensor;
mod tracker;

pub use activation::JoinError;
pub use cayenne::CayenneNode;
pub use heard::{HeardDownlink, HeardDownlinks};
pub use mbed_example::MbedExample;
pub use node::{Node, NodeError, Reception};
pub use room_sensor::RoomSensor;
pub use tracker::Tracker;

/// What a node measures, and what it does with downlinks.
pub trait Behaviour: Send {
    /// The next report.
    fn uplink(&mut self) -> Report;

    /// A downlink for the application; `f_port` is 1 to 223.
    fn downlink(&mut self, f_port: u8, payload: &[u8]);
}

impl Behaviour for Box<dyn Behaviour> {
    fn uplink(&mut self) -> Report {
        (**self).uplink()
    }

    fn downlink(&mut self, f_port: u8, payload: &[u8]) {
        (**self).downlink(f_port, payload);
    }
}

/// What a node sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// 1 to 223
    pub f_port: u8,
    /// At most 242 bytes at SF7.
    pub payload: Vec<u8>,
    /// Asks the network for an acknowledgement.
    pub confirmed: bool,
}

impl Report {
    /// A report that needs no acknowledgement.
    pub fn unconfirmed(f_port: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { f_port, payload: payload.into(), confirmed: false }
    }
}
