//! What stands in for the outside world in `ttn-ferry demo` and in the tests.
//!
//! - [`stack`] is a look-alike of The Things Stack: an MQTT face and an HTTP face on loopback, with its silences.
//! - [`nodes`] are LoRaWAN end nodes that join, encrypt, decode downlinks and acknowledge them.
//! - [`broker`] is a small MQTT 3.1.1 broker for the home side.
//! - [`proxy`] is a TCP proxy that cuts, stalls, delays and throttles connections.
//! - [`wire`] reads and writes MQTT 3.1.1 packets for the two servers above.

pub mod broker;
pub mod nodes;
pub mod proxy;
pub mod stack;
pub mod wire;
