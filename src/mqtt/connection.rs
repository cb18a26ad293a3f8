//! One MQTT connection, from CONNECT to its end.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{
    AckMode, AsyncClient, ClientError, ConnectReturnCode, ConnectionError, EventLoop, LastWill, ManualAck, MqttOptions,
    NetworkOptions, Outgoing, Packet, Publish, PublishOptions, QoS, StateError, SubscribeFilter, SubscribeReasonCode,
    TlsConfiguration, Transport,
};
use secrecy::{ExposeSecret, SecretString};

use super::Address;
use super::outbox::Message;
use super::tls::Tls;

/// From TCP's first packet to CONNACK.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// The largest packet there can be, in bytes (MQTT 3.1.1, 2.2.3). The library ends the connection at a larger one than it
/// is told, and a retained message would do so at every reconnect: what is too large is refused later, by itself.
const MAX_PACKET: usize = 268_435_455;
/// The longest topic there can be, in bytes (MQTT 3.1.1, 1.5.3).
const MAX_TOPIC: usize = 65_535;
/// The largest payload sent, in bytes. Nothing the bridge makes comes near it.
const MAX_PAYLOAD: usize = 4 << 20;
/// Subscriptions and acknowledgements that may wait for the socket besides the window of publishes: more than there are
/// ever messages in our hands that are still to be acknowledged.
const CONTROL_REQUESTS: usize = 4096;

/// Packets that share one system call where they come or go together. Without it the library makes one for each.
const BATCH: usize = 64;

/// Everything needed to connect.
#[derive(Clone)]
pub struct Endpoint {
    pub address: Address,
    pub tls: Option<Tls>,
    pub client_id: String,
    pub username: Option<String>,
    pub password: Option<SecretString>,
    /// Seconds between signs of life; never 0.
    pub keep_alive: u16,
    /// Publishes under way at once.
    pub window: u16,
    /// The broker keeps what it has for us while we are away, and sends again what we did not acknowledge: each message
    /// is then to be acknowledged by its [`Ack`].
    pub keep_session: bool,
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
    sender: Sender,
    events: EventLoop,
}

/// The sending half: cheap to clone, never waits.
#[derive(Clone)]
pub struct Sender {
    client: AsyncClient,
    /// Messages are acknowledged by us, not by the library.
    by_hand: bool,
}

/// What a connection brings.
#[derive(Debug)]
pub enum Event {
    Message(Inbound),
    /// The oldest publish handed over got this packet id and is on its way.
    Written(u16),
    /// The broker took this packet.
    Acked(u16),
    /// The broker's answer to the subscription: for each filter whether it was granted.
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
    client: AsyncClient,
    answer: ManualAck,
    packet: u16,
    again: bool,
}

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
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{address} refused the login: {}", refusal(.code))]
    Refused { address: Address, code: ConnectReturnCode },
    #[error("{address} closed the connection instead of answering the login")]
    Closed { address: Address },
    #[error("{address} did not answer within {} s", CONNECT_LIMIT.as_secs())]
    Silent { address: Address },
    #[error("{address} does not speak MQTT 3.1.1")]
    Protocol {
        address: Address,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
#[error("the connection ended: {0}")]
pub struct Lost(String);

impl Connection {
    /// Connects and logs in. Takes 20 s at most.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, ConnectError> {
        let address = &endpoint.address;
        let (client, mut events) = AsyncClient::builder(options(endpoint)).build();
        let mut network = NetworkOptions::new();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_LIMIT.as_secs());
        events.set_network_options(network);
        match tokio::time::timeout(CONNECT_LIMIT, events.poll()).await {
            Err(_) => Err(ConnectError::Silent { address: address.clone() }),
            Ok(Err(error)) => Err(connect_error(address.clone(), error)),
            Ok(Ok(_connack)) => Ok(Self { sender: Sender { client, by_hand: endpoint.keep_session }, events }),
        }
    }

    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// The next thing that happens. Not cancel safe: a caller that waits for something else as well keeps this future
    /// and polls it again.
    pub async fn next(&mut self) -> Result<Event, Lost> {
        loop {
            match self.events.poll().await {
                Ok(event) => {
                    if let Some(event) = translate(event, &self.sender) {
                        return Ok(event);
                    }
                }
                Err(ConnectionError::RequestsDone) => return Ok(Event::Disconnected),
                Err(error) => return Err(lost(&error)),
            }
        }
    }
}

/// Why a message can never be published, if so: it must not even be tried, for the library would end the connection.
pub fn unfit(message: &Message) -> Option<&'static str> {
    let clean = !message.topic.is_empty() && !message.topic.contains(['+', '#', '\0']);
    match () {
        () if message.topic.len() > MAX_TOPIC => Some("its topic is longer than MQTT allows"),
        () if !clean => Some("its topic is none that can be published to"),
        () if message.payload.len() > MAX_PAYLOAD => Some("it is larger than 4 MiB"),
        () => None,
    }
}

impl Lost {
    /// The broker has been silent for too long.
    pub fn silent() -> Self {
        Self("the broker acknowledges nothing".into())
    }
}

impl Sender {
    /// Hands a QoS 1 message to the connection. The window of the outbox keeps this from ever being too many.
    pub fn publish(&self, message: Message) -> Result<(), Lost> {
        let options = PublishOptions::at_least_once().retain(message.retain);
        self.client.try_publish(message.topic, message.payload, options).map_err(|error| client_lost(&error))
    }

    /// Asks for these filters in one SUBSCRIBE. QoS 1 where the server gives it.
    pub fn subscribe(&self, filters: &[String]) -> Result<(), Lost> {
        let filters = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce));
        self.client.try_subscribe_many(filters).map_err(|error| client_lost(&error))
    }

    fn to_acknowledge(&self, publish: &Publish) -> Ack {
        let answer = self.client.prepare_ack(publish).filter(|_| self.by_hand);
        let duty = |answer| Duty { client: self.client.clone(), answer, packet: publish.pkid, again: publish.dup };
        Ack(answer.map(duty))
    }

    /// Sends DISCONNECT once everything handed over is acknowledged.
    pub fn disconnect(&self) -> Result<(), Lost> {
        self.client.try_disconnect().map_err(|error| client_lost(&error))
    }
}

impl Ack {
    /// The message is in safe hands. On a connection that is over this does nothing: the broker sends it again.
    pub fn done(self) {
        let Some(Duty { client, answer, packet, .. }) = self.0 else { return };
        if let Err(error) = client.try_manual_ack(answer) {
            tracing::debug!(packet, reason = %client_lost(&error), "Not acknowledged: it will come again.");
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
        let mut options = MqttOptions::new("test", ("localhost", 1883));
        options.set_ack_mode(AckMode::Manual);
        let (client, _) = AsyncClient::builder(options).build();
        let mut publish = Publish::new("topic", QoS::AtLeastOnce, "");
        publish.pkid = packet;
        let answer = client.prepare_ack(&publish).expect("QoS 1 is acknowledged");
        Self(Some(Duty { client, answer, packet, again }))
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
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl ConnectError {
    /// Whether the server knows our protocol and does not take these credentials.
    pub fn is_credentials(&self) -> bool {
        use ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
        matches!(self, Self::Refused { code: BadUserNamePassword | NotAuthorized, .. })
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "is the host name right, is the broker running, does a firewall stand between?",
            Self::Tls { .. } => "mqtts:// needs a certificate for this host from a known authority, or `ca_file`",
            Self::Refused { code: ConnectReturnCode::ServiceUnavailable, .. } => {
                "the server has too many connections or no resources; the bridge keeps trying"
            }
            Self::Refused { code: ConnectReturnCode::RefusedProtocolVersion, .. } => {
                "the server wants another version of MQTT: let it accept 3.1.1 besides 5"
            }
            Self::Refused { .. } => {
                "check user name and password (on TTN: application id, tenant and a complete API key)"
            }
            Self::Closed { .. } => "a server that speaks only MQTT 5, a TLS port reached without TLS, or a rate limit",
            Self::Silent { .. } => "something listens there, but it does not answer as an MQTT broker",
            Self::Protocol { .. } => "the port belongs to another service, or the server wants MQTT 5",
        }
    }
}

fn options(endpoint: &Endpoint) -> MqttOptions {
    let address = (endpoint.address.host.clone(), endpoint.address.port);
    let mut options = MqttOptions::new(endpoint.client_id.clone(), address);
    options
        .set_keep_alive(endpoint.keep_alive.max(1))
        .set_clean_session(!endpoint.keep_session)
        .set_ack_mode(if endpoint.keep_session { AckMode::Manual } else { AckMode::Automatic })
        .set_max_packet_size(MAX_PACKET, MAX_PACKET)
        .set_inflight(endpoint.window)
        .set_max_request_batch(BATCH)
        .set_read_batch_size(BATCH)
        .set_request_channel_capacity(usize::from(endpoint.window) + CONTROL_REQUESTS);
    if let Some(tls) = &endpoint.tls {
        options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
    }
    match (&endpoint.username, &endpoint.password) {
        (Some(username), Some(password)) => {
            options.set_credentials(username.clone(), Bytes::copy_from_slice(password.expose_secret().as_bytes()));
        }
        (Some(username), None) => {
            options.set_username(username.clone());
        }
        (None, _) => {}
    }
    if let Some(will) = &endpoint.will {
        options.set_last_will(LastWill::new(will.topic.clone(), will.payload, QoS::AtLeastOnce, true));
    }
    options
}

fn translate(event: rumqttc::Event, sender: &Sender) -> Option<Event> {
    match event {
        rumqttc::Event::Incoming(Packet::Publish(publish)) => {
            let ack = sender.to_acknowledge(&publish);
            Some(Event::Message(Inbound {
                topic: publish.topic,
                payload: publish.payload,
                retain: publish.retain,
                ack,
                answering: None,
            }))
        }
        rumqttc::Event::Outgoing(Outgoing::Publish(packet)) => Some(Event::Written(packet)),
        rumqttc::Event::Incoming(Packet::PubAck(ack)) => Some(Event::Acked(ack.pkid)),
        rumqttc::Event::Incoming(Packet::SubAck(ack)) => {
            let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Some(Event::Subscribed(ack.return_codes.iter().map(granted).collect()))
        }
        rumqttc::Event::Incoming(Packet::PingResp) => Some(Event::Alive),
        rumqttc::Event::Outgoing(Outgoing::Disconnect) => Some(Event::Disconnected),
        _ => None,
    }
}

fn connect_error(address: Address, error: ConnectionError) -> ConnectError {
    match error {
        ConnectionError::ConnectionRefused(code) => ConnectError::Refused { address, code },
        ConnectionError::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
            ConnectError::Protocol { address, source: source.into() }
        }
        ConnectionError::Io(source) if closed(source.kind()) => ConnectError::Closed { address },
        ConnectionError::Io(source) => ConnectError::Unreachable { address, source },
        // rustls reports a bad certificate or a plain-text answer as an I/O error of kind InvalidData inside Tls.
        ConnectionError::Tls(source) => ConnectError::Tls { address, source: source.into() },
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => ConnectError::Silent { address },
        ConnectionError::MqttState(StateError::ConnectionAborted) => ConnectError::Closed { address },
        ConnectionError::MqttState(StateError::Io(source)) if closed(source.kind()) => ConnectError::Closed { address },
        other => ConnectError::Protocol { address, source: other.into() },
    }
}

fn closed(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::*;
    matches!(kind, ConnectionReset | ConnectionAborted | UnexpectedEof | BrokenPipe)
}

fn lost(error: &ConnectionError) -> Lost {
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => Lost("the server closed it".into()),
        ConnectionError::MqttState(StateError::AwaitPingResp) => Lost("no answer to a ping".into()),
        ConnectionError::MqttState(StateError::Io(error)) | ConnectionError::Io(error) => Lost(error.to_string()),
        other => Lost(other.to_string()),
    }
}

/// The client's own text repeats the whole request; only its kind is worth telling.
fn client_lost(error: &ClientError) -> Lost {
    Lost(match error {
        ClientError::RequestChannelFull(_) => "its send queue is full".into(),
        ClientError::RequestChannelDisconnected(_) => "it is closed".into(),
        _ => "the message is not valid MQTT".into(),
    })
}

fn refusal(code: &ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "accepted",
        ConnectReturnCode::RefusedProtocolVersion => "protocol version not accepted (code 1)",
        ConnectReturnCode::BadClientId => "client id not accepted (code 2)",
        ConnectReturnCode::ServiceUnavailable => "service unavailable (code 3)",
        ConnectReturnCode::BadUserNamePassword => "wrong user name or password (code 4)",
        ConnectReturnCode::NotAuthorized => "not authorised (code 5)",
    }
}
