//! Why there is no connection, why it ended, why a message was refused: in words, with what to do about it.

use std::error::Error;
use std::fmt;
use std::io;

use super::{CONNECT_LIMIT, MqttVersion};
use crate::mqtt::Address;

/// Why no connection came about, as far as the protocol tells.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("no route to {address}")]
    Unreachable {
        address: Address,
        #[source]
        source: io::Error,
    },
    #[error("TLS with {address} failed")]
    Tls {
        address: Address,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{address} opened no WebSocket for MQTT")]
    WebSocket {
        address: Address,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("{address} refused the login: {refusal}")]
    Refused { address: Address, refusal: Refusal },
    #[error("{address} closed the connection instead of answering the login")]
    Closed { address: Address },
    #[error("{address} did not answer within {} s", CONNECT_LIMIT.as_secs())]
    Silent { address: Address },
    #[error("{address} does not speak MQTT {version}")]
    Protocol {
        address: Address,
        version: MqttVersion,
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What a broker has against a login: its code (MQTT 3.1.1, 3.2.2.3; MQTT 5, 3.2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal(pub(super) u8);

/// Why a broker refused a message (MQTT 5, 3.4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    NotAuthorized,
    Topic,
    Quota,
    Payload,
    /// A code that says nothing about what to do.
    Other(u8),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection ended: {0}")]
pub struct Lost(pub(super) String);

impl ConnectError {
    /// Whether the server knows our protocol and does not take these credentials.
    pub fn is_credentials(&self) -> bool {
        matches!(self, Self::Refused { refusal: Refusal(4 | 5 | 0x86 | 0x87), .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { address: Address::Local(_), .. } => {
                "is the broker running, does it listen on this socket, and may this user write to it?"
            }
            Self::Unreachable { .. } => "is the host name right, is the broker running, does a firewall stand between?",
            Self::Tls { .. } => {
                "TLS needs a certificate for this host from a known authority, or `ca_file`; a broker that asks who we \
                 are needs client_cert_file and client_key_file"
            }
            Self::WebSocket { .. } => {
                "is this the broker's WebSocket port, and the path? Mosquitto takes any, EMQX and HiveMQ /mqtt, RabbitMQ /ws"
            }
            Self::Refused { refusal, .. } => refusal.hint(),
            Self::Closed { .. } => {
                "a server that speaks only MQTT 5, or none of it yet (mqtt_version), a TLS port reached without TLS, a client \
                 certificate that is not taken, or a rate limit"
            }
            Self::Silent { .. } => "something listens there, but it does not answer as an MQTT broker",
            Self::Protocol { version: MqttVersion::V3_1_1, .. } => {
                "the port belongs to another service, or the server wants MQTT 5"
            }
            Self::Protocol { version: MqttVersion::V5, .. } => {
                "the port belongs to another service, or the server speaks only MQTT 3.1.1"
            }
        }
    }
}

impl Refusal {
    fn hint(self) -> &'static str {
        match self.0 {
            1 | 0x84 => {
                "the server wants another version of MQTT: let it accept 3.1.1 besides 5, or set mqtt_version in [home]"
            }
            2 | 0x85 => "choose another client_id: letters and digits, 23 at most for an old broker",
            3 | 0x88 | 0x89 | 0x97 | 0x9f => {
                "the server has too many connections or no resources; the bridge keeps trying"
            }
            0x8a => "the broker's administrator, or its guard against floods, has shut this client out",
            0x90 | 0x99 | 0x9a | 0x9b => {
                "the broker keeps no messages (retain), which the bridge's presence needs: let it"
            }
            0x9c | 0x9d => "the broker has moved: ask its operator for the new address",
            _ => "check user name and password (on TTN: application id, tenant and a complete API key)",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self.0 {
            1 | 0x84 => "protocol version not accepted",
            2 | 0x85 => "client id not accepted",
            3 | 0x88 => "service unavailable",
            4 | 0x86 => "wrong user name or password",
            5 | 0x87 => "not authorised",
            0x89 => "the server is busy",
            0x8a => "this client is banned",
            0x8c => "way of login not accepted",
            0x95 => "the login is too large",
            0x97 => "a quota is used up",
            0x90 | 0x99 | 0x9a | 0x9b => "the last will is not accepted",
            0x9c | 0x9d => "use another server",
            0x9f => "too many connections in a short time",
            _ => "for no reason that says more",
        };
        match self.0 {
            code @ ..0x80 => write!(f, "{words} (code {code})"),
            code => write!(f, "{words} (reason code 0x{code:02x})"),
        }
    }
}

impl Reason {
    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::NotAuthorized => "let the bridge's user write to this topic in the broker's access rules (ACL)",
            Self::Topic => "the broker takes no such topic: change the base topic, the device's name or the template",
            Self::Quota => {
                "a limit of the broker is reached: retained messages, storage or rate; uplinks are tried again"
            }
            Self::Payload => "the broker checks what is published: let this topic carry JSON and plain text",
            Self::Other(_) => "the broker's log may tell more",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthorized => f.write_str("not authorised"),
            Self::Topic => f.write_str("topic not accepted"),
            Self::Quota => f.write_str("quota exceeded"),
            Self::Payload => f.write_str("payload not accepted"),
            Self::Other(code) => write!(f, "reason code 0x{code:02x}"),
        }
    }
}

impl Lost {
    /// The broker has been silent for too long.
    pub fn silent() -> Self {
        Self("the broker acknowledges nothing".into())
    }
}

/// What went wrong on the way to a CONNACK, as far as the socket tells.
pub(super) fn of_socket(address: Address, version: MqttVersion, source: io::Error) -> ConnectError {
    let of_tls = source.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    match source.kind() {
        // A server that wants to know who we are says so only after its side of the handshake.
        _ if of_tls => ConnectError::Tls { address, source: source.into() },
        io::ErrorKind::InvalidData => ConnectError::Protocol { address, version, source: source.into() },
        kind if is_closed(kind) => ConnectError::Closed { address },
        _ => ConnectError::Unreachable { address, source },
    }
}

/// Whether the other side ended the connection.
fn is_closed(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::*;
    matches!(kind, ConnectionReset | ConnectionAborted | UnexpectedEof | BrokenPipe)
}
