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

/// What a broker has against a login (MQTT 3.1.1, 3.2.2.3; MQTT 5, 3.2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Version,
    ClientId,
    Credentials,
    NotAuthorized,
    Banned,
    Unavailable,
    TooManyConnections,
    /// The broker takes no retained message, and the last will is one.
    Will,
    Elsewhere,
    /// A code that says nothing about what to do.
    Other(u8),
}

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
        matches!(self, Self::Refused { refusal: Refusal::Credentials | Refusal::NotAuthorized, .. })
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
        match self {
            Self::Version => {
                "the server wants another version of MQTT: let it accept 3.1.1 besides 5, or set mqtt_version in [home]"
            }
            Self::ClientId => "choose another client_id: letters and digits, 23 at most for an old broker",
            Self::Unavailable | Self::TooManyConnections => {
                "the server has too many connections or no resources; the bridge keeps trying"
            }
            Self::Banned => "the broker's administrator, or its guard against floods, has shut this client out",
            Self::Will => "the broker keeps no messages (retain), which the bridge's presence needs: let it",
            Self::Elsewhere => "the broker has moved: ask its operator for the new address",
            Self::Credentials | Self::NotAuthorized | Self::Other(_) => {
                "check user name and password (on TTN: application id, tenant and a complete API key)"
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("protocol version not accepted"),
            Self::ClientId => f.write_str("client id not accepted"),
            Self::Credentials => f.write_str("wrong user name or password"),
            Self::NotAuthorized => f.write_str("not authorised"),
            Self::Banned => f.write_str("this client is banned"),
            Self::Unavailable => f.write_str("service unavailable"),
            Self::TooManyConnections => f.write_str("too many connections in a short time, or a quota is used up"),
            Self::Will => f.write_str("the last will is not accepted"),
            Self::Elsewhere => f.write_str("use another server"),
            Self::Other(code) => write!(f, "reason code 0x{code:02x}"),
        }
    }
}

impl Reason {
    /// What to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::NotAuthorized => "let the bridge's user write to this topic in the broker's access rules (ACL)",
            Self::Topic => "the broker takes no such topic: change the base topic, the device's name or the template",
            Self::Quota => "a limit of the broker is reached: retained messages, storage or rate",
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
