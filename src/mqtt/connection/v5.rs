//! The client library for MQTT 5.

use bytes::Bytes;
use rumqttc_v5::{
    AckMode, AsyncClient, Broker, ClientError, ConnAck, ConnAckProperties, ConnectReturnCode, ConnectionError,
    DisconnectReasonCode, Error, Event as Happened, EventLoop, LastWill, ManualAck, MqttOptions, NetworkOptions,
    OptionError, Outgoing, Packet, PersistedAckMode, PersistedPubRel, PersistedRequest, PersistedSession, PubAckReason,
    Publish, PublishOptions, PublishProperties, QoS, SessionStore, SessionStoreKey, StateError, SubscribeFilter,
    SubscribeReasonCode, TlsConfiguration, Transport,
};
use secrecy::ExposeSecret;

use super::error::of_socket;
use super::{Ack, Allowed, Answering, BATCH, CONNECT_LIMIT, CONTROL_REQUESTS, Duty, Endpoint, Event, Inbound};
use super::{ConnectError, Lost, MqttVersion, Reason, Refusal, Stored, is_topic};
use crate::mqtt::outbox::{Message, Qos};
use crate::mqtt::{Address, address::Server};

/// How long the broker keeps commands for a bridge that is away, in seconds: a week. Without a limit a bridge that was
/// given up would leave its session with the broker for ever; and nobody waits longer than that for a lamp to switch.
const SESSION_EXPIRY: u32 = 7 * 24 * 60 * 60;

/// A CONNACK's reason code (MQTT 5, 3.2.2.2).
const RETAIN_NOT_SUPPORTED: u8 = 0x9a;

pub struct Wire {
    sender: Sender,
    events: EventLoop,
}

#[derive(Clone)]
pub struct Sender {
    client: AsyncClient,
    /// Messages are acknowledged by us, not by the library.
    by_hand: bool,
}

/// The acknowledgement of a message, ready to be given.
pub struct Answer {
    client: AsyncClient,
    answer: ManualAck,
}

/// What the library should know of a session that the broker may have kept: that it is ours, without which the library
/// would send nothing on it. It never stores any of its own.
#[derive(Debug)]
struct Kept {
    window: u16,
    unreleased: Vec<u16>,
}

pub async fn open(endpoint: &Endpoint) -> Result<(Wire, Allowed), ConnectError> {
    let address = &endpoint.address;
    let options = options(endpoint)
        .map_err(|source| ConnectError::WebSocket { address: address.clone(), source: source.into() })?;
    let (client, mut events) = AsyncClient::builder(options).build();
    let first = events.poll().await.map_err(|error| connect_error(address.clone(), error))?;
    events.options.clear_session_store();
    let properties = match first {
        Happened::Incoming(Packet::ConnAck(ConnAck { properties, .. })) => properties,
        _ => None,
    };
    let allowed = properties.as_ref().map_or(Allowed::all(endpoint.window), |all| allowed(all, endpoint.window));
    // Such a server should have refused our last will, and the library drops what is published to it without a word.
    if endpoint.will.is_some() && properties.is_some_and(|properties| properties.retain_available == Some(0)) {
        return Err(ConnectError::Refused { address: address.clone(), refusal: Refusal(RETAIN_NOT_SUPPORTED) });
    }
    let sender = Sender { client, by_hand: endpoint.keep_session };
    Ok((Wire { sender, events }, allowed))
}

impl Wire {
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    pub async fn next(&mut self) -> Result<Event, Lost> {
        loop {
            match self.events.poll().await {
                Ok(event) => {
                    if let Some(event) = translate(event, &self.sender)? {
                        return Ok(event);
                    }
                }
                Err(ConnectionError::RequestsDone) => return Ok(Event::Disconnected),
                Err(error) => return Err(lost(&error)),
            }
        }
    }
}

impl Sender {
    pub fn publish(&self, message: Message) -> Result<(), Lost> {
        let mut options = PublishOptions::new(qos(message.qos)).retain(message.retain);
        if message.expiry.is_some() || message.correlation.is_some() {
            options = options.properties(PublishProperties {
                message_expiry_interval: message
                    .expiry
                    .map(|expiry| u32::try_from(expiry.as_secs()).unwrap_or(u32::MAX)),
                correlation_data: message.correlation,
                ..PublishProperties::default()
            });
        }
        self.client.try_publish(message.topic, message.payload, options).map_err(|error| client_lost(&error))
    }

    pub fn subscribe(&self, filters: &[String], at: Qos) -> Result<(), Lost> {
        let filters = filters.iter().map(|filter| SubscribeFilter::new(filter.clone(), qos(at)));
        self.client.try_subscribe_many(filters).map_err(|error| client_lost(&error))
    }

    pub fn unsubscribe(&self, filters: &[String]) -> Result<(), Lost> {
        self.client.try_unsubscribe_many(filters.iter().cloned()).map_err(|error| client_lost(&error))
    }

    pub fn disconnect(&self) -> Result<(), Lost> {
        self.client.try_disconnect().map_err(|error| client_lost(&error))
    }

    fn to_acknowledge(&self, publish: &Publish) -> Ack {
        let answer = self.client.prepare_ack(publish).filter(|_| self.by_hand);
        let answer = answer.map(|answer| Answer { client: self.client.clone(), answer });
        Ack(answer.map(|answer| Duty { answer: super::Answer::V5(answer), packet: publish.pkid, again: publish.dup }))
    }
}

impl Answer {
    pub fn give(self) -> Result<(), Lost> {
        self.client.try_manual_ack(self.answer).map_err(|error| client_lost(&error))
    }
}

fn options(endpoint: &Endpoint) -> Result<MqttOptions, OptionError> {
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_LIMIT.as_secs());
    let mut options = target(endpoint)?;
    options
        .set_network_options(network)
        .set_connect_timeout(CONNECT_LIMIT)
        .set_keep_alive(endpoint.keep_alive.max(1))
        .set_clean_start(!endpoint.keep_session)
        .set_ack_mode(if endpoint.keep_session { AckMode::Manual } else { AckMode::Automatic })
        .set_unlimited_incoming_packet_size()
        .set_outgoing_inflight_upper_limit(endpoint.window)
        .set_max_request_batch(BATCH)
        .set_read_batch_size(BATCH)
        .set_request_channel_capacity(usize::from(endpoint.window) + CONTROL_REQUESTS);
    if endpoint.keep_session {
        options.set_session_expiry_interval(Some(SESSION_EXPIRY));
        options.set_session_store(Kept { window: endpoint.window, unreleased: endpoint.unreleased.clone() });
    }
    let secret = endpoint.password.as_ref().map(|secret| Bytes::copy_from_slice(secret.expose_secret().as_bytes()));
    match (&endpoint.username, secret) {
        (Some(username), Some(password)) => options.set_credentials(username.clone(), password),
        (Some(username), None) => options.set_username(username.clone()),
        (None, Some(password)) => options.set_password(password),
        (None, None) => &mut options,
    };
    if let Some(will) = &endpoint.will {
        options.set_last_will(LastWill::new(will.topic.clone(), will.payload, QoS::AtLeastOnce, true, None));
    }
    Ok(options)
}

/// Where and over what.
fn target(endpoint: &Endpoint) -> Result<MqttOptions, OptionError> {
    let id = endpoint.client_id.clone();
    let tls = endpoint.tls.clone().map(TlsConfiguration::Rustls);
    Ok(match (&endpoint.address, tls) {
        (Address::Local(path), _) => MqttOptions::new(id, Broker::unix(path)),
        (Address::Net(server @ Server { path: Some(_), .. }), Some(tls)) => {
            MqttOptions::websocket_with_tls_config(id, server.to_string(), tls)?
        }
        (Address::Net(server @ Server { path: Some(_), .. }), None) => {
            MqttOptions::new(id, Broker::websocket(server.to_string())?)
        }
        (Address::Net(server), tls) => {
            let mut options = MqttOptions::new(id, (server.host.clone(), server.port));
            if let Some(tls) = tls {
                options.set_transport(Transport::tls_with_config(tls));
            }
            options
        }
    })
}

fn allowed(properties: &ConnAckProperties, window: u16) -> Allowed {
    Allowed {
        most_qos: properties.max_qos.and_then(|most| Qos::try_from(most).ok()).unwrap_or(Qos::ExactlyOnce),
        largest: properties.max_packet_size,
        ..Allowed::all(properties.receive_max.map_or(window, |most| most.min(window)))
    }
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn translate(event: Happened, sender: &Sender) -> Result<Option<Event>, Lost> {
    Ok(match event {
        Happened::Incoming(Packet::Publish(publish)) => Some(Event::Message(inbound(publish, sender))),
        Happened::Outgoing(Outgoing::Publish(packet)) => Some(Event::Written(packet)),
        Happened::Incoming(Packet::PubAck(ack)) => Some(answered(ack.pkid, ack.reason as u8)?),
        // A PUBREC without an error is followed by PUBREL and PUBCOMP.
        Happened::Incoming(Packet::PubRec(ack)) if is_refusal(ack.reason as u8) => {
            Some(answered(ack.pkid, ack.reason as u8)?)
        }
        // Whatever it says: the message is with the broker, or was before.
        Happened::Incoming(Packet::PubComp(ack)) => Some(Event::Acked(ack.pkid)),
        Happened::Incoming(Packet::SubAck(ack)) => {
            let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Some(Event::Subscribed(ack.return_codes.iter().map(granted).collect()))
        }
        Happened::Incoming(Packet::PingResp) => Some(Event::Alive),
        Happened::Outgoing(Outgoing::Disconnect) => Some(Event::Disconnected),
        _ => None,
    })
}

fn inbound(publish: Publish, sender: &Sender) -> Inbound {
    let ack = sender.to_acknowledge(&publish);
    let Publish { topic, payload, retain, properties, .. } = publish;
    let answering = properties.and_then(|properties| {
        let topic = properties.response_topic.filter(|topic| is_topic(topic))?;
        Some(Answering { topic, correlation: properties.correlation_data })
    });
    Inbound { topic, payload, retain, ack, answering }
}

fn is_refusal(code: u8) -> bool {
    code >= 0x80
}

/// What the broker's answer to a message means (MQTT 5, 3.4.2.1).
fn answered(packet: u16, code: u8) -> Result<Event, Lost> {
    const PACKET_IN_USE: u8 = PubAckReason::PacketIdentifierInUse as u8;
    let reason = match code {
        code if !is_refusal(code) => return Ok(Event::Acked(packet)),
        // It still holds a message of an earlier connection under this id, which the next one releases.
        PACKET_IN_USE => return Err(Lost("the broker still waits for an earlier message of this number".into())),
        0x87 => Reason::NotAuthorized,
        0x90 => Reason::Topic,
        0x97 => Reason::Quota,
        0x99 => Reason::Payload,
        code => Reason::Other(code),
    };
    Ok(Event::Refused(packet, reason))
}

fn connect_error(address: Address, error: ConnectionError) -> ConnectError {
    let version = MqttVersion::V5;
    match error {
        ConnectionError::ConnectionRefused(code) => ConnectError::Refused { address, refusal: refusal(code) },
        ConnectionError::Io(source)
        | ConnectionError::MqttState(StateError::Io(source) | StateError::Deserialization(Error::Io(source))) => {
            of_socket(address, version, source)
        }
        // rustls reports a bad certificate or a plain-text answer as an I/O error of kind InvalidData inside Tls.
        ConnectionError::Tls(source) => ConnectError::Tls { address, source: source.into() },
        ConnectionError::Timeout(_) => ConnectError::Silent { address },
        ConnectionError::MqttState(StateError::ConnectionAborted) => ConnectError::Closed { address },
        error @ (ConnectionError::Websocket(_)
        | ConnectionError::WsConnect(_)
        | ConnectionError::ResponseValidation(_)) => ConnectError::WebSocket { address, source: error.into() },
        other => ConnectError::Protocol { address, version, source: other.into() },
    }
}

fn refusal(code: ConnectReturnCode) -> Refusal {
    use ConnectReturnCode as Code;
    Refusal(match code {
        Code::Success => 0,
        Code::RefusedProtocolVersion => 1,
        Code::BadClientId => 2,
        Code::ServiceUnavailable => 3,
        Code::UnspecifiedError => 0x80,
        Code::MalformedPacket => 0x81,
        Code::ProtocolError => 0x82,
        Code::ImplementationSpecificError => 0x83,
        Code::UnsupportedProtocolVersion => 0x84,
        Code::ClientIdentifierNotValid => 0x85,
        Code::BadUserNamePassword => 0x86,
        Code::NotAuthorized => 0x87,
        Code::ServerUnavailable => 0x88,
        Code::ServerBusy => 0x89,
        Code::Banned => 0x8a,
        Code::BadAuthenticationMethod => 0x8c,
        Code::TopicNameInvalid => 0x90,
        Code::PacketTooLarge => 0x95,
        Code::QuotaExceeded => 0x97,
        Code::PayloadFormatInvalid => 0x99,
        Code::RetainNotSupported => RETAIN_NOT_SUPPORTED,
        Code::QoSNotSupported => 0x9b,
        Code::UseAnotherServer => 0x9c,
        Code::ServerMoved => 0x9d,
        Code::ConnectionRateExceeded => 0x9f,
    })
}

fn lost(error: &ConnectionError) -> Lost {
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => Lost("the server closed it".into()),
        ConnectionError::MqttState(StateError::AwaitPingResp) => Lost("no answer to a ping".into()),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            Lost(farewell(*reason_code, reason_string.as_deref()))
        }
        ConnectionError::Io(error)
        | ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(Error::Io(error))) => {
            Lost(error.to_string())
        }
        other => Lost(other.to_string()),
    }
}

/// What a broker says when it ends a connection (MQTT 5, 3.14.2.1).
fn farewell(code: DisconnectReasonCode, text: Option<&str>) -> String {
    let words = match code {
        DisconnectReasonCode::SessionTakenOver => {
            "another client with the same client_id has connected: each bridge needs its own"
        }
        DisconnectReasonCode::ServerShuttingDown => "the server shuts down",
        DisconnectReasonCode::KeepAliveTimeout => "the server heard nothing of us for too long",
        DisconnectReasonCode::NotAuthorized => "the server says: not authorised",
        DisconnectReasonCode::PacketTooLarge => "the server says: a packet is too large",
        DisconnectReasonCode::MessageRateTooHigh => "the server says: too many messages in a short time",
        DisconnectReasonCode::AdministrativeAction => "the server's administrator ended it",
        code => return format!("the server ended it with reason code 0x{:02x}{}", code as u8, quoted(text)),
    };
    format!("{words}{}", quoted(text))
}

fn quoted(text: Option<&str>) -> String {
    text.map(|text| format!(" ({})", text.chars().take(200).collect::<String>())).unwrap_or_default()
}

/// The client's own text repeats the whole request; only its kind is worth telling.
fn client_lost(error: &ClientError) -> Lost {
    Lost(match error {
        ClientError::RequestChannelFull(_) => "its send queue is full".into(),
        ClientError::RequestChannelDisconnected(_) => "it is closed".into(),
        _ => "the message is not valid MQTT".into(),
    })
}

impl SessionStore for Kept {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        let release = |pkid: &u16| PersistedRequest::PubRel(PersistedPubRel { pkid: *pkid });
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(SESSION_EXPIRY),
            outgoing_inflight_upper_limit: Some(self.window),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: self.unreleased.iter().map(release).collect(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async { Ok(Some(session)) })
    }

    fn save<'a>(&'a self, _: &'a SessionStoreKey, _: &'a PersistedSession) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> Stored<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}
