//! The broker as clients see it: packets over loopback sockets.
//!
//! That something is *not* sent is shown without waiting: everything for one client leaves in one order, so after the
//! publisher has its acknowledgement, a PINGRESP that comes first proves it.

mod connecting;
mod delivery;
mod interference;
mod mosquitto;
mod sessions;

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::{Broker, BrokerConfig};
use crate::wire::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Packet, PacketReader, PubAck, Publish, QoS, SubAck, Subscribe,
    SubscribeFilter, SubscribeReasonCode, write_packet,
};

const PATIENCE: Duration = Duration::from_secs(10);

async fn broker() -> Broker {
    Broker::start(BrokerConfig::default()).await.unwrap()
}

/// A client that does nothing by itself.
struct Client {
    reader: PacketReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    /// A socket that has sent nothing yet.
    async fn open(broker: &Broker) -> Self {
        let (reader, writer) = TcpStream::connect(broker.addr()).await.unwrap().into_split();
        Self { reader: PacketReader::new(reader), writer }
    }

    async fn greet(broker: &Broker, connect: Connect) -> (Self, ConnAck) {
        let mut client = Self::open(broker).await;
        client.send(Packet::Connect(connect)).await;
        match client.next().await {
            Packet::ConnAck(connack) => (client, connack),
            other => panic!("expected a CONNACK, got {other:?}"),
        }
    }

    /// Connected with a clean session.
    async fn connect(broker: &Broker, client_id: &str) -> Self {
        let (client, connack) = Self::greet(broker, Connect::new(client_id)).await;
        assert_eq!(connack, ConnAck { session_present: false, code: ConnectReturnCode::Success });
        client
    }

    /// Connected with a session that stays; whether one was there.
    async fn resume(broker: &Broker, client_id: &str) -> (Self, bool) {
        let (client, connack) = Self::greet(broker, Connect { clean_session: false, ..Connect::new(client_id) }).await;
        assert_eq!(connack.code, ConnectReturnCode::Success);
        (client, connack.session_present)
    }

    async fn connect_with_will(broker: &Broker, client_id: &str, will: LastWill) -> Self {
        let connect = Connect { last_will: Some(will), keep_alive: 0, ..Connect::new(client_id) };
        Self::greet(broker, connect).await.0
    }

    async fn send(&mut self, packet: Packet) {
        write_packet(&mut self.writer, &packet).await.unwrap();
    }

    async fn send_raw(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    async fn next(&mut self) -> Packet {
        let packet = timeout(PATIENCE, self.reader.next()).await.expect("a packet in time");
        packet.unwrap().expect("the connection is open")
    }

    async fn expect_publish(&mut self) -> Publish {
        match self.next().await {
            Packet::Publish(publish) => publish,
            other => panic!("expected a PUBLISH, got {other:?}"),
        }
    }

    /// A delivery by its topic and payload, acknowledged if it asks for it.
    async fn receive(&mut self) -> (String, String) {
        let Publish { topic, payload, qos, pkid, .. } = self.expect_publish().await;
        if qos == QoS::AtLeastOnce {
            self.send(Packet::PubAck(PubAck { pkid })).await;
        }
        (String::from_utf8(topic.into()).unwrap(), String::from_utf8(payload.into()).unwrap())
    }

    async fn expect_nothing(&mut self) {
        self.send(Packet::PingReq).await;
        assert_eq!(self.next().await, Packet::PingResp);
    }

    /// The broker closed this connection; what it sent before does not matter.
    async fn expect_closed(mut self) {
        let closed = async { while matches!(self.reader.next().await, Ok(Some(_))) {} };
        timeout(PATIENCE, closed).await.expect("the connection closes in time");
    }

    async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubscribeReasonCode {
        let mut subscribe = Subscribe::new_many([SubscribeFilter::new(filter.to_owned(), qos)]);
        subscribe.pkid = 9;
        self.send(Packet::Subscribe(subscribe)).await;
        match self.next().await {
            Packet::SubAck(SubAck { pkid: 9, return_codes }) => return_codes[0],
            other => panic!("expected a SUBACK, got {other:?}"),
        }
    }

    /// Publishes with QoS 1 and waits until the broker has it.
    async fn publish(&mut self, topic: &str, payload: &str, retain: bool) {
        self.send(message(topic, payload, QoS::AtLeastOnce, retain, 77)).await;
        assert_eq!(self.next().await, Packet::PubAck(PubAck { pkid: 77 }));
    }
}

fn message(topic: &str, payload: &str, qos: QoS, retain: bool, pkid: u16) -> Packet {
    let publish = Publish::from_bytes(topic, qos, Bytes::copy_from_slice(payload.as_bytes()));
    Packet::Publish(Publish { retain, pkid, ..publish })
}

fn pair(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

fn granted(qos: QoS) -> SubscribeReasonCode {
    SubscribeReasonCode::Success(qos)
}
