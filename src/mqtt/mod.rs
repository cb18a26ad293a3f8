//! MQTT 3.1.1 and 5, and the only door to the client libraries.
//!
//! The library's in-flight state is never the truth here: a [`Connection`] lives from one CONNECT to its end and takes
//! its whole state with it, and what must not be lost waits in an [`Outbox`] until the broker acknowledged it.
//!
//! - [`address`] and [`tls`]: where a broker is and whom to trust.
//! - [`connection`]: one connection: open, subscribe, publish, hear.
//! - [`outbox`]: what must reach the broker, with no library and no clock in it.
//! - [`backoff`]: how long to wait between two connections.

pub mod address;
pub mod backoff;
pub mod connection;
pub mod outbox;
pub mod tls;
mod validity;

pub use address::{Address, InvalidAddress, Server};
pub use backoff::Backoff;
pub use connection::{
    Ack, Allowed, Answering, ConnectError, Connection, Endpoint, Event, Inbound, Lost, MqttVersion, Reason, Refusal,
    Sender, Will, unfit,
};
pub use outbox::{InvalidQos, Kind, Limits, Message, Outbox, Qos};
