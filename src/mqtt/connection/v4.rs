//! The client library for MQTT 3.1.1.

use bytes::Bytes;
use rumqttc::{
    AckMode, AsyncClient, Broker, ClientError, ConnectReturnCode, ConnectionError, Error, Event as Happened, EventLoop,
    LastWill, ManualAck, MqttOptions, NetworkOptions, OptionError, Outgoing, Packet, PersistedAckMode, PersistedPubRel,
    PersistedRequest, PersistedSession, Publish, PublishOptions, QoS, SessionStore, SessionStoreKey, StateError,
    SubscribeFilter, SubscribeReasonCode, TlsConfiguration, Transport,
};
use secrecy::ExposeSecret;

use super::error::of_socket;
use super::{Ack, Allowed, BATCH, CONNECT_LIMIT, CONTROL_REQUESTS, Duty, Endpoint, Event, Inbound, MqttVersion};
use super::{ConnectError, Lost, Refusal, Stored};
use crate::mqtt::outbox::{Message, Qos};
use crate::mqtt::{Address, address::Server};

/// The largest packet there can be, in bytes (MQTT 3.1.1, 2.2.3). The library ends the connection at a larger one than it
/// is told, and a retained message would do so at every reconnect: what is too large is refused later, by itself.
const MAX_PACKET: usize = 268_435_455;

/// QoS 2 messages under way at once, as a broker cannot say how many it takes: Mosquitto's `max_inflight_messages`. What
/// comes while so many are open, of QoS 1 too, Mosquitto acknowledges and passes on to nobody (observed on 2.0.11).
const MOST_EXACTLY_ONCE: u16 = 20;

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

/// What the library should know of a session that the broker may have kept. It never stores any of its own.
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
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_LIMIT.as_secs());
    events.set_network_options(network);
    events.poll().await.map_err(|error| connect_error(address.clone(), error))?;
    events.mqtt_options.clear_session_store();
    let sender = Sender { client, by_hand: endpoint.keep_session };
    let all = Allowed::all(endpoint.window);
    Ok((Wire { sender, events }, Allowed { exactly_once: all.window.min(MOST_EXACTLY_ONCE), ..all }))
}

impl Wire {
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

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

impl Sender {
    pub fn publish(&self, message: Message) -> Result<(), Lost> {
        let options = PublishOptions::new(qos(message.qos)).retain(message.retain);
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
        Ack(answer.map(|answer| Duty { answer: super::Answer::V4(answer), packet: publish.pkid, again: publish.dup }))
    }
}

impl Answer {
    pub fn give(self) -> Result<(), Lost> {
        self.client.try_manual_ack(self.answer).map_err(|error| client_lost(&error))
    }

    #[cfg(test)]
    pub fn on_lost_connection(packet: u16) -> Self {
        let mut options = MqttOptions::new("test", ("localhost", 1883));
        options.set_ack_mode(AckMode::Manual);
        let (client, _) = AsyncClient::builder(options).build();
        let mut publish = Publish::new("topic", QoS::AtLeastOnce, "");
        publish.pkid = packet;
        let answer = client.prepare_ack(&publish).expect("QoS 1 is acknowledged");
        Self { client, answer }
    }
}

fn options(endpoint: &Endpoint) -> Result<MqttOptions, OptionError> {
    let mut options = target(endpoint)?;
    options
        .set_keep_alive(endpoint.keep_alive.max(1))
        .set_clean_session(!endpoint.keep_session)
        .set_ack_mode(if endpoint.keep_session { AckMode::Manual } else { AckMode::Automatic })
        .set_max_packet_size(MAX_PACKET, MAX_PACKET)
        .set_inflight(endpoint.window)
        .set_max_request_batch(BATCH)
        .set_read_batch_size(BATCH)
        .set_request_channel_capacity(usize::from(endpoint.window) + CONTROL_REQUESTS);
    if endpoint.keep_session {
        options.set_session_store(Kept { window: endpoint.window, unreleased: endpoint.unreleased.clone() });
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

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
        Qos::ExactlyOnce => QoS::ExactlyOnce,
    }
}

fn translate(event: Happened, sender: &Sender) -> Option<Event> {
    match event {
        Happened::Incoming(Packet::Publish(publish)) => {
            let ack = sender.to_acknowledge(&publish);
            let Publish { topic, payload, retain, .. } = publish;
            Some(Event::Message(Inbound { topic, payload, retain, ack, answering: None }))
        }
        Happened::Outgoing(Outgoing::Publish(packet)) => Some(Event::Written(packet)),
        Happened::Incoming(Packet::PubAck(ack)) => Some(Event::Acked(ack.pkid)),
        Happened::Incoming(Packet::PubComp(ack)) => Some(Event::Acked(ack.pkid)),
        Happened::Incoming(Packet::SubAck(ack)) => {
            let granted = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            Some(Event::Subscribed(ack.return_codes.iter().map(granted).collect()))
        }
        Happened::Incoming(Packet::PingResp) => Some(Event::Alive),
        Happened::Outgoing(Outgoing::Disconnect) => Some(Event::Disconnected),
        _ => None,
    }
}

fn connect_error(address: Address, error: ConnectionError) -> ConnectError {
    let version = MqttVersion::V3_1_1;
    match error {
        ConnectionError::ConnectionRefused(code) => ConnectError::Refused { address, refusal: refusal(code) },
        ConnectionError::Io(source)
        | ConnectionError::MqttState(StateError::Io(source) | StateError::Deserialization(Error::Io(source))) => {
            of_socket(address, version, source)
        }
        // rustls reports a bad certificate or a plain-text answer as an I/O error of kind InvalidData inside Tls.
        ConnectionError::Tls(source) => ConnectError::Tls { address, source: source.into() },
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => ConnectError::Silent { address },
        ConnectionError::MqttState(StateError::ConnectionAborted) => ConnectError::Closed { address },
        error @ (ConnectionError::Websocket(_)
        | ConnectionError::WsConnect(_)
        | ConnectionError::ResponseValidation(_)) => ConnectError::WebSocket { address, source: error.into() },
        other => ConnectError::Protocol { address, version, source: other.into() },
    }
}

fn refusal(code: ConnectReturnCode) -> Refusal {
    Refusal(match code {
        ConnectReturnCode::Success => 0,
        ConnectReturnCode::RefusedProtocolVersion => 1,
        ConnectReturnCode::BadClientId => 2,
        ConnectReturnCode::ServiceUnavailable => 3,
        ConnectReturnCode::BadUserNamePassword => 4,
        ConnectReturnCode::NotAuthorized => 5,
    })
}

fn lost(error: &ConnectionError) -> Lost {
    match error {
        ConnectionError::MqttState(StateError::ConnectionAborted) => Lost("the server closed it".into()),
        ConnectionError::MqttState(StateError::AwaitPingResp) => Lost("no answer to a ping".into()),
        ConnectionError::Io(error)
        | ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(Error::Io(error))) => {
            Lost(error.to_string())
        }
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

impl SessionStore for Kept {
    fn load<'a>(&'a self, key: &'a SessionStoreKey) -> Stored<'a, Option<PersistedSession>> {
        let release = |pkid: &u16| PersistedRequest::PubRel(PersistedPubRel { pkid: *pkid });
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_session: false,
            max_inflight: self.window,
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
