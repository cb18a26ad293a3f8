//! One MQTT connection, from CONNECT to its end, in either version of the protocol.

mod error;
mod v4;
mod v5;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use secrecy::SecretString;

use super::Address;
use super::outbox::{Message, Qos};
use super::tls::Tls;

pub use error::{ConnectError, Lost, Reason, Refusal};

/// What the libraries ask of a place where a session is kept.
type Stored<'a, T> = Pin<Box<dyn Future<Output = Result<T, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// From TCP's first packet to CONNACK.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// The longest topic there can be, in bytes (MQTT 3.1.1, 1.5.3).
const MAX_TOPIC: usize = 65_535;
/// The largest payload sent, in bytes. Nothing the bridge makes comes near it.
const MAX_PAYLOAD: usize = 4 << 20;
/// What a packet holds at most besides topic, payload and correlation data, in bytes: its header, lengths, packet id,
/// expiry.
const AROUND_PAYLOAD: usize = 32;
/// Subscriptions and acknowledgements that may wait for the socket besides the window of publishes: more than there are
/// ever messages in our hands that are still to be acknowledged.
const CONTROL_REQUESTS: usize = 4096;
/// Packets that share one system call where they come or go together. Without it the library makes one for each.
const BATCH: usize = 64;

/// Everything needed to connect.
#[derive(Clone)]
pub struct Endpoint {
    pub address: Address,
    pub version: MqttVersion,
    pub tls: Option<Tls>,
    pub client_id: String,
    pub username: Option<String>,
    /// Or a token. Without a user name it is sent only with MQTT 5.
    pub password: Option<SecretString>,
    /// Seconds between signs of life; never 0.
    pub keep_alive: u16,
    /// Publishes under way at once.
    pub window: u16,
    /// The broker keeps what it has for us while we are away, and sends again what we did not acknowledge: each message
    /// is then to be acknowledged by its [`Ack`].
    pub keep_session: bool,
    /// Packet ids of QoS 2 messages that an earlier connection of the kept session may have left half way. They are
    /// released at once: the broker would take what is sent under them next for what it has already.
    pub unreleased: Vec<u16>,
    pub will: Option<Will>,
}

/// Which MQTT is spoken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum MqttVersion {
    #[default]
    #[serde(rename = "3.1.1")]
    V3_1_1,
    #[serde(rename = "5")]
    V5,
}

/// What the broker publishes, retained, if this connection ends without a word.
#[derive(Debug, Clone)]
pub struct Will {
    pub topic: String,
    pub payload: &'static str,
}

/// A connection that the broker accepted.
pub struct Connection {
    wire: Wire,
    allowed: Allowed,
}

enum Wire {
    V4(Box<v4::Wire>),
    V5(Box<v5::Wire>),
}

/// What the broker takes on this connection (MQTT 5, 3.2.2.3; MQTT 3.1.1 has no word for such limits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Publishes under way at once.
    pub window: u16,
    /// Those of QoS 2 among them: while there are so many, nothing else may be sent either.
    pub exactly_once: u16,
    pub most_qos: Qos,
    /// Its largest packet, in bytes.
    pub largest: Option<u32>,
}

/// The sending half: cheap to clone, never waits.
#[derive(Clone)]
pub enum Sender {
    #[doc(hidden)]
    V4(v4::Sender),
    #[doc(hidden)]
    V5(v5::Sender),
}

/// What a connection brings.
#[derive(Debug)]
pub enum Event {
    Message(Inbound),
    /// The oldest publish handed over is on its way: under this packet id, or under 0 with QoS 0, of which nothing more
    /// will be heard.
    Written(u16),
    /// The broker took this packet.
    Acked(u16),
    /// The broker refused this packet for good (MQTT 5).
    Refused(u16, Reason),
    /// The broker's answer to the oldest subscription not yet answered: for each filter whether it was granted.
    Subscribed(Vec<bool>),
    /// A sign of life: the broker answered a ping.
    Alive,
    /// The last packet of a wanted end is out.
    Disconnected,
}

/// A message that arrived.
#[derive(Debug)]
pub struct Inbound {
    pub topic: Bytes,
    pub payload: Bytes,
    pub retain: bool,
    pub ack: Ack,
    /// Where its sender wants an answer (MQTT 5).
    pub answering: Option<Answering>,
}

/// Where an answer is to go, and what tells the asker which question it answers (MQTT 5, 4.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    pub topic: String,
    pub correlation: Option<Bytes>,
}

/// The duty to acknowledge a message on the connection it came on. If it is dropped instead, the broker sends the message
/// again with the next connection. No duty for QoS 0, or where the session is not kept.
#[derive(Default)]
pub struct Ack(Option<Duty>);

struct Duty {
    answer: Answer,
    packet: u16,
    again: bool,
}

enum Answer {
    V4(v4::Answer),
    V5(v5::Answer),
}

impl Endpoint {
    /// MQTT 3.1.1 without TLS, login, kept session or will, with a short window.
    pub fn new(address: Address, client_id: impl Into<String>) -> Self {
        Self {
            address,
            version: MqttVersion::default(),
            tls: None,
            client_id: client_id.into(),
            username: None,
            password: None,
            keep_alive: 30,
            window: 10,
            keep_session: false,
            unreleased: Vec::new(),
            will: None,
        }
    }
}

impl Connection {
    /// Connects and logs in. Takes 20 s at most.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, ConnectError> {
        let opened = async {
            match endpoint.version {
                MqttVersion::V3_1_1 => v4::open(endpoint).await.map(|(wire, allowed)| (Wire::V4(wire.into()), allowed)),
                MqttVersion::V5 => v5::open(endpoint).await.map(|(wire, allowed)| (Wire::V5(wire.into()), allowed)),
            }
        };
        let silent = |_| Err(ConnectError::Silent { address: endpoint.address.clone() });
        let (wire, allowed) = tokio::time::timeout(CONNECT_LIMIT, opened).await.unwrap_or_else(silent)?;
        Ok(Self { wire, allowed })
    }

    pub fn sender(&self) -> Sender {
        match &self.wire {
            Wire::V4(wire) => Sender::V4(wire.sender()),
            Wire::V5(wire) => Sender::V5(wire.sender()),
        }
    }

    pub fn allowed(&self) -> Allowed {
        self.allowed
    }

    /// The next thing that happens. Not cancel safe: a caller that waits for something else as well keeps this future
    /// and polls it again.
    pub async fn next(&mut self) -> Result<Event, Lost> {
        match &mut self.wire {
            Wire::V4(wire) => wire.next().await,
            Wire::V5(wire) => wire.next().await,
        }
    }
}

/// Why a message can never be published, if so: it must not even be tried, for the library would end the connection.
pub fn unfit(message: &Message) -> Option<&'static str> {
    match () {
        () if message.topic.len() > MAX_TOPIC => Some("its topic is longer than MQTT allows"),
        () if !is_topic(&message.topic) => Some("its topic is none that can be published to"),
        () if message.payload.len() > MAX_PAYLOAD => Some("it is larger than 4 MiB"),
        () => None,
    }
}

impl Allowed {
    /// Everything that the protocol has.
    pub fn all(window: u16) -> Self {
        Self { window, exactly_once: window, most_qos: Qos::ExactlyOnce, largest: None }
    }

    /// Whether the broker has room for a message of this size. The library would end the connection over a larger one.
    pub fn fits(&self, message: &Message) -> bool {
        let correlation = message.correlation.as_ref().map_or(0, Bytes::len);
        let size = message.topic.len() + message.payload.len() + correlation + AROUND_PAYLOAD;
        self.largest.is_none_or(|largest| u32::try_from(size).is_ok_and(|size| size <= largest))
    }
}

impl Sender {
    /// Hands a message to the connection. The window of the outbox keeps this from ever being too many.
    pub fn publish(&self, message: Message) -> Result<(), Lost> {
        match self {
            Self::V4(sender) => sender.publish(message),
            Self::V5(sender) => sender.publish(message),
        }
    }

    /// Asks for these filters in one SUBSCRIBE, with this quality of service where the server gives it.
    pub fn subscribe(&self, filters: &[String], qos: Qos) -> Result<(), Lost> {
        match self {
            Self::V4(sender) => sender.subscribe(filters, qos),
            Self::V5(sender) => sender.subscribe(filters, qos),
        }
    }

    pub fn unsubscribe(&self, filters: &[String]) -> Result<(), Lost> {
        match self {
            Self::V4(sender) => sender.unsubscribe(filters),
            Self::V5(sender) => sender.unsubscribe(filters),
        }
    }

    /// Sends DISCONNECT once everything handed over is acknowledged.
    pub fn disconnect(&self) -> Result<(), Lost> {
        match self {
            Self::V4(sender) => sender.disconnect(),
            Self::V5(sender) => sender.disconnect(),
        }
    }
}

impl Ack {
    /// The message is in safe hands. On a connection that is over this does nothing: the broker sends it again.
    pub fn done(self) {
        let Some(Duty { answer, packet, .. }) = self.0 else { return };
        let given = match answer {
            Answer::V4(answer) => answer.give(),
            Answer::V5(answer) => answer.give(),
        };
        if let Err(reason) = given {
            tracing::debug!(packet, %reason, "Not acknowledged: it will come again.");
        }
    }

    /// Whether the broker waits for it, and would send the message again.
    pub fn is_awaited(&self) -> bool {
        self.0.is_some()
    }

    /// What tells the message from the others in the broker's hands: the same each time it is sent.
    pub fn packet(&self) -> Option<u16> {
        self.0.as_ref().map(|duty| duty.packet)
    }

    /// Whether the broker sent it before and got no acknowledgement.
    pub fn is_repeated(&self) -> bool {
        self.0.as_ref().is_some_and(|duty| duty.again)
    }
}

#[cfg(test)]
impl Ack {
    /// The duty for a message with this packet id, on a connection that is over.
    pub fn on_lost_connection(packet: u16, again: bool) -> Self {
        Self(Some(Duty { answer: Answer::V4(v4::Answer::on_lost_connection(packet)), packet, again }))
    }
}

/// Whether something can be published to it.
fn is_topic(text: &str) -> bool {
    !text.is_empty() && !text.contains(['+', '#', '\0'])
}

impl fmt::Display for MqttVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V3_1_1 => "3.1.1",
            Self::V5 => "5",
        })
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ack").field(&self.packet()).finish()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .field("version", &self.version)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
