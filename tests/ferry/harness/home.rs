//! The home side as tests see it: everything that went over the home broker, in its order.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use simulator::broker::{Broker, BrokerHandle, Message};
use simulator::wire::{
    Connect, ConnectReturnCode, Packet, PacketReader, PubAck, Publish, QoS, Subscribe, SubscribeFilter, write_packet,
};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::broadcast::{self, error::TryRecvError};
use tokio::task::JoinSet;

use super::{PATIENCE, in_time};

/// Messages a test may leave unread.
const HEARD: usize = 16 * 1024;

/// A listener on the home broker, and somebody who publishes there.
pub struct Home {
    messages: broadcast::Receiver<Message>,
    /// Everything heard so far.
    seen: Vec<Heard>,
    /// Where [`Home::wait_for`] begins to look.
    from: usize,
    door: Door,
    _listener: JoinSet<()>,
}

/// A message that went over the home broker.
#[derive(Debug, Clone)]
pub struct Heard {
    pub topic: String,
    pub text: String,
    /// As published; on a real broker only what it kept from before.
    pub retain: bool,
}

enum Door {
    Simulated(BrokerHandle),
    Real(SocketAddr),
}

impl Heard {
    /// The payload, which must be JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{}: {error}: {}", self.topic, self.text))
    }
}

impl Home {
    pub fn of(broker: &Broker) -> Self {
        let handle = broker.handle();
        let messages = handle.watch();
        Self { messages, seen: Vec::new(), from: 0, door: Door::Simulated(handle), _listener: JoinSet::new() }
    }

    /// Listens to a real broker, with acknowledgements, so that it drops nothing.
    pub async fn at(address: SocketAddr) -> Self {
        let mut client = Client::connect(address, "listener").await;
        client.subscribe("#").await;
        let (sender, messages) = broadcast::channel(HEARD);
        let mut listener = JoinSet::new();
        listener.spawn(async move { client.listen(sender).await });
        Self { messages, seen: Vec::new(), from: 0, door: Door::Real(address), _listener: listener }
    }

    /// Listens on to the broker that took the place of the one before.
    pub fn follow(&mut self, broker: &Broker) {
        self.heard();
        self.messages = broker.handle().watch();
        self.door = Door::Simulated(broker.handle());
    }

    /// Listens anew to a real broker that is back, or to what it keeps; what was heard before does not count any more.
    pub async fn reconnect(&mut self) {
        let Door::Real(address) = self.door else { panic!("this home broker is a simulated one") };
        *self = Self::at(address).await;
    }

    /// What a test can do to the simulated broker.
    pub fn broker(&self) -> &BrokerHandle {
        match &self.door {
            Door::Simulated(handle) => handle,
            Door::Real(_) => panic!("this home broker is a real one"),
        }
    }

    /// The first message that is wanted, since the start or the last [`Home::forget`].
    pub async fn wait_for(&mut self, what: &str, wanted: impl Fn(&Heard) -> bool) -> Heard {
        self.wait_for_many(1, what, wanted).await.remove(0)
    }

    /// The first so many messages that are wanted.
    pub async fn wait_for_many(&mut self, count: usize, what: &str, wanted: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        self.wait_within(PATIENCE, count, what, wanted).await
    }

    /// For what the bridge itself is in no hurry to do.
    pub async fn wait_within(
        &mut self,
        patience: Duration,
        count: usize,
        what: &str,
        wanted: impl Fn(&Heard) -> bool,
    ) -> Vec<Heard> {
        let limit = tokio::time::Instant::now() + patience;
        loop {
            let found: Vec<_> = self.heard().iter().filter(|heard| wanted(heard)).take(count).cloned().collect();
            if found.len() == count {
                return found;
            }
            match tokio::time::timeout_at(limit, self.messages.recv()).await {
                Ok(Ok(message)) => self.seen.push(message.into()),
                Ok(Err(error)) => panic!("waiting for {what}: {error}; {}", self.told()),
                Err(_) => panic!("{} of {count} came of {what}; {}", found.len(), self.told()),
            }
        }
    }

    /// The first message on this topic, as JSON.
    pub async fn on(&mut self, topic: &str) -> Value {
        self.wait_for(topic, |heard| heard.topic == topic).await.json()
    }

    /// The first message on `ttn/bridge/event` of this type.
    pub async fn event(&mut self, kind: &str) -> Value {
        self.wait_for(kind, |heard| heard.topic == "ttn/bridge/event" && heard.json()["type"] == kind).await.json()
    }

    /// What has been heard since the last [`Home::forget`], without waiting.
    pub fn heard(&mut self) -> &[Heard] {
        loop {
            match self.messages.try_recv() {
                Ok(message) => self.seen.push(message.into()),
                Err(TryRecvError::Lagged(missed)) => panic!("the listener missed {missed} messages"),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return &self.seen[self.from..],
            }
        }
    }

    /// What has been heard since the start, whatever was forgotten meanwhile.
    pub fn ever_heard(&mut self) -> &[Heard] {
        self.heard();
        &self.seen
    }

    /// The JSON of what was heard on this topic, without waiting.
    pub fn all_on(&mut self, topic: &str) -> Vec<Value> {
        self.heard().iter().filter(|heard| heard.topic == topic).map(Heard::json).collect()
    }

    /// From now on only what comes counts.
    pub fn forget(&mut self) {
        self.heard();
        self.from = self.seen.len();
    }

    pub async fn publish(&self, topic: &str, payload: impl Into<Bytes>) {
        self.send(topic, payload.into(), false).await;
    }

    pub async fn publish_retained(&self, topic: &str, payload: impl Into<Bytes>) {
        self.send(topic, payload.into(), true).await;
    }

    /// The retained message of a topic of the simulated broker.
    pub async fn retained(&self, topic: &str) -> Option<Value> {
        let payload = self.broker().retained(topic).await?;
        Some(serde_json::from_slice(&payload).unwrap())
    }

    async fn send(&self, topic: &str, payload: Bytes, retain: bool) {
        match &self.door {
            Door::Simulated(handle) => handle.publish(topic, payload, QoS::AtLeastOnce, retain).await.unwrap(),
            Door::Real(address) => Client::connect(*address, "commander").await.publish(topic, payload, retain).await,
        }
    }

    fn told(&self) -> String {
        let lines = self.seen[self.from..].iter().map(|heard| format!("\n  {} {}", heard.topic, heard.text));
        format!("heard at home:{}", lines.collect::<String>())
    }
}

impl From<Message> for Heard {
    fn from(message: Message) -> Self {
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        Self { topic: message.topic.to_string(), text, retain: message.retain }
    }
}

/// One connection to a real broker.
struct Client {
    reader: PacketReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    async fn connect(address: SocketAddr, client_id: &str) -> Self {
        let (read, writer) = TcpStream::connect(address).await.unwrap().into_split();
        let mut client = Self { reader: PacketReader::new(read), writer };
        // No keep-alive: the listener only ever answers.
        client.send(Packet::Connect(Connect { keep_alive: 0, ..Connect::new(client_id) })).await;
        match client.next().await {
            Packet::ConnAck(answer) if answer.code == ConnectReturnCode::Success => client,
            other => panic!("expected to be let in, got {other:?}"),
        }
    }

    async fn subscribe(&mut self, filter: &str) {
        let mut subscribe = Subscribe::new_many([SubscribeFilter::new(filter.to_owned(), QoS::AtLeastOnce)]);
        subscribe.pkid = 1;
        self.send(Packet::Subscribe(subscribe)).await;
        assert!(matches!(self.next().await, Packet::SubAck(_)));
    }

    async fn publish(&mut self, topic: &str, payload: Bytes, retain: bool) {
        let publish = Publish::from_bytes(topic, QoS::AtLeastOnce, payload);
        self.send(Packet::Publish(Publish { retain, pkid: 1, ..publish })).await;
        assert!(matches!(self.next().await, Packet::PubAck(_)));
    }

    async fn listen(mut self, heard: broadcast::Sender<Message>) {
        while let Ok(Some(packet)) = self.reader.next().await {
            let Packet::Publish(Publish { topic, payload, qos, retain, pkid, .. }) = packet else { continue };
            if qos == QoS::AtLeastOnce {
                self.send(Packet::PubAck(PubAck { pkid })).await;
            }
            let topic = String::from_utf8(topic.to_vec()).unwrap().into();
            heard.send(Message { topic, payload, qos, retain }).ok();
        }
    }

    async fn send(&mut self, packet: Packet) {
        write_packet(&mut self.writer, &packet).await.unwrap();
    }

    async fn next(&mut self) -> Packet {
        in_time("an answer of the broker", self.reader.next()).await.unwrap().expect("the connection is open")
    }
}
