//! MQTT 5 on the wire, with a server that says what no real one can be made to say.

use std::time::Duration;

use bytes::BytesMut;
use rumqttc_v5::mqttbytes::v5::{
    ConnAck, ConnAckProperties, ConnectReturnCode, Packet, PubAck, PubAckReason, PubComp, PubRec, Publish,
    PublishProperties, SubAck, SubscribeReasonCode,
};
use rumqttc_v5::mqttbytes::{self, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// One side of a connection that the test itself plays.
struct Server {
    socket: TcpStream,
    read: BytesMut,
}

impl Server {
    async fn next(&mut self) -> Packet {
        loop {
            match Packet::read(&mut self.read, None) {
                Ok(packet) => return packet,
                Err(mqttbytes::Error::InsufficientBytes(_)) => {
                    assert_ne!(self.socket.read_buf(&mut self.read).await.unwrap(), 0, "the bridge went");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn publish(&mut self) -> Publish {
        match self.next().await {
            Packet::Publish(publish) => publish,
            other => panic!("a publish, not {other:?}"),
        }
    }

    async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, None).unwrap();
        self.socket.write_all(&bytes).await.unwrap();
    }
}

fn granting(properties: ConnAckProperties) -> ConnAck {
    ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: Some(properties) }
}

fn nothing() -> ConnAckProperties {
    ConnAckProperties {
        session_expiry_interval: None,
        receive_max: None,
        max_qos: None,
        retain_available: None,
        max_packet_size: None,
        assigned_client_identifier: None,
        topic_alias_max: None,
        reason_string: None,
        user_properties: Vec::new(),
        wildcard_subscription_available: None,
        subscription_identifiers_available: None,
        shared_subscription_available: None,
        server_keep_alive: None,
        response_information: None,
        server_reference: None,
        authentication_method: None,
        authentication_data: None,
    }
}

/// A connection whose CONNECT was answered by this, the other side of it, and what it said.
async fn opened(
    change: impl FnOnce(&mut Endpoint),
    answer: ConnAck,
) -> (Result<Connection, ConnectError>, Server, Packet) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::tcp("127.0.0.1", listener.local_addr().unwrap().port());
    let mut endpoint = Endpoint { version: MqttVersion::V5, ..Endpoint::new(address, "test") };
    change(&mut endpoint);
    let serve = async {
        let mut server = Server { socket: listener.accept().await.unwrap().0, read: BytesMut::new() };
        let connect = server.next().await;
        server.send(Packet::ConnAck(answer)).await;
        (server, connect)
    };
    let (connection, (server, connect)) = tokio::join!(Connection::open(&endpoint), serve);
    (connection, server, connect)
}

async fn connected(change: impl FnOnce(&mut Endpoint), properties: ConnAckProperties) -> (Connection, Server) {
    let (connection, server, _) = opened(change, granting(properties)).await;
    (connection.unwrap(), server)
}

/// The first event that is not merely that something was written.
async fn answer(connection: &mut Connection) -> Result<Event, Lost> {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), connection.next()).await.unwrap() {
            Ok(Event::Written(_)) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_refused_publish_is_told_with_its_reason() {
    let (mut connection, mut server) = connected(|_| {}, nothing()).await;
    let sender = connection.sender();
    for (qos, code, reason) in [
        (Qos::AtLeastOnce, PubAckReason::NotAuthorized, Reason::NotAuthorized),
        (Qos::AtLeastOnce, PubAckReason::QuotaExceeded, Reason::Quota),
        (Qos::AtLeastOnce, PubAckReason::UnspecifiedError, Reason::Other(0x80)),
        (Qos::ExactlyOnce, PubAckReason::NotAuthorized, Reason::NotAuthorized),
    ] {
        sender.publish(Message { qos, ..Message::new("topic", "x") }).unwrap();
        let served = async {
            let pkid = server.publish().await.pkid;
            let mut refused = PubAck::new(pkid, None);
            refused.reason = code;
            let mut refused_halfway = PubRec::new(pkid, None);
            refused_halfway.reason = rumqttc_v5::PubRecReason::NotAuthorized;
            let packet =
                if qos == Qos::ExactlyOnce { Packet::PubRec(refused_halfway) } else { Packet::PubAck(refused) };
            server.send(packet).await;
            pkid
        };
        let (event, pkid) = tokio::join!(answer(&mut connection), served);
        assert!(matches!(event, Ok(Event::Refused(packet, told)) if packet == pkid && told == reason), "{event:?}");
    }
}

#[tokio::test]
async fn a_message_without_a_subscriber_is_delivered_all_the_same() {
    let (mut connection, mut server) = connected(|_| {}, nothing()).await;
    connection.sender().publish(Message::new("topic", "x")).unwrap();
    let served = async {
        let mut ack = PubAck::new(server.publish().await.pkid, None);
        ack.reason = PubAckReason::NoMatchingSubscribers;
        server.send(Packet::PubAck(ack)).await;
    };
    let (event, ()) = tokio::join!(answer(&mut connection), served);
    assert!(matches!(event, Ok(Event::Acked(_))), "{event:?}");
}

#[tokio::test]
async fn expiry_correlation_and_quality_of_service_go_out_with_the_message() {
    let (mut connection, mut server) = connected(|_| {}, nothing()).await;
    let message = Message {
        expiry: Some(Duration::from_secs(90)),
        correlation: Some("which".into()),
        qos: Qos::ExactlyOnce,
        ..Message::new("topic", "x").retained()
    };
    connection.sender().publish(message).unwrap();
    let served = async {
        let publish = server.publish().await;
        let properties = publish.properties.clone().unwrap();
        assert_eq!((properties.message_expiry_interval, properties.correlation_data), (Some(90), Some("which".into())));
        assert_eq!((publish.qos, publish.retain), (QoS::ExactlyOnce, true));
        server.send(Packet::PubRec(PubRec::new(publish.pkid, None))).await;
        assert!(matches!(server.next().await, Packet::PubRel(release) if release.pkid == publish.pkid));
        server.send(Packet::PubComp(PubComp::new(publish.pkid, None))).await;
        publish.pkid
    };
    let (event, pkid) = tokio::join!(answer(&mut connection), served);
    assert!(matches!(event, Ok(Event::Acked(packet)) if packet == pkid), "{event:?}");
}

#[tokio::test]
async fn where_an_answer_is_wanted_comes_with_the_question() {
    let (mut connection, mut server) = connected(|_| {}, nothing()).await;
    let asked = [("answers/1", Some("answers/1")), ("answers/#", None), ("", None)];
    for (topic, answering) in asked {
        let properties = PublishProperties {
            response_topic: Some(topic.into()),
            correlation_data: Some("which".into()),
            ..PublishProperties::default()
        };
        server.send(Packet::Publish(Publish::new("ask", QoS::AtMostOnce, "?", Some(properties)))).await;
        let Ok(Event::Message(message)) = answer(&mut connection).await else { panic!("no message") };
        let wanted = answering.map(|topic| Answering { topic: topic.into(), correlation: Some("which".into()) });
        assert_eq!(message.answering, wanted, "{topic}");
    }
}

#[tokio::test]
async fn what_the_broker_takes_is_known_before_anything_is_sent() {
    let (connection, _server) = connected(
        |endpoint| endpoint.window = 100,
        ConnAckProperties { receive_max: Some(3), max_qos: Some(1), max_packet_size: Some(100), ..nothing() },
    )
    .await;
    let allowed = connection.allowed();
    assert_eq!(allowed, Allowed { window: 3, exactly_once: 3, most_qos: Qos::AtLeastOnce, largest: Some(100) });
    assert!(allowed.fits(&Message::new("topic", vec![0; 50])));
    assert!(!allowed.fits(&Message::new("topic", vec![0; 90])));
}

#[tokio::test]
async fn refused_filters_are_told_one_by_one() {
    let (mut connection, mut server) = connected(|_| {}, nothing()).await;
    connection.sender().subscribe(&["a".into(), "b".into()], Qos::AtLeastOnce).unwrap();
    let served = async {
        let Packet::Subscribe(subscribe) = server.next().await else { panic!("no subscription") };
        let codes = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce), SubscribeReasonCode::NotAuthorized];
        server.send(Packet::SubAck(SubAck { pkid: subscribe.pkid, return_codes: codes, properties: None })).await;
    };
    let (event, ()) = tokio::join!(answer(&mut connection), served);
    assert!(matches!(event, Ok(Event::Subscribed(granted)) if granted == [true, false]));
}

#[tokio::test]
async fn a_kept_session_is_gone_on_with_and_what_was_half_sent_is_released() {
    let kept = |endpoint: &mut Endpoint| {
        endpoint.keep_session = true;
        endpoint.unreleased = vec![2, 5];
    };
    let (connection, mut server, connect) =
        opened(kept, ConnAck { session_present: true, ..granting(nothing()) }).await;
    let Packet::Connect(connect, _, _) = connect else { panic!("{connect:?}") };
    assert_eq!(connect.properties.unwrap().session_expiry_interval, Some(7 * 24 * 60 * 60));
    assert!(!connect.clean_start);
    let mut connection = connection.unwrap();
    connection.sender().publish(Message::new("topic", "x")).unwrap();
    let served = async {
        let (mut released, mut published) = (Vec::new(), None);
        while released.len() < 2 || published.is_none() {
            match server.next().await {
                Packet::PubRel(release) => {
                    released.push(release.pkid);
                    server.send(Packet::PubComp(PubComp::new(release.pkid, None))).await;
                }
                Packet::Publish(publish) => published = Some(publish.pkid),
                other => panic!("{other:?}"),
            }
        }
        server.send(Packet::PubAck(PubAck::new(published.unwrap(), None))).await;
        (released, published)
    };
    let heard = async { [answer(&mut connection).await, answer(&mut connection).await, answer(&mut connection).await] };
    let (heard, (released, published)) = tokio::join!(heard, served);
    assert_eq!(released, [2, 5]);
    let last = heard.last().unwrap();
    assert!(matches!(last, Ok(Event::Acked(packet)) if Some(*packet) == published), "{heard:?}");
}

#[tokio::test]
async fn a_packet_id_that_is_still_in_use_ends_the_connection_rather_than_the_message() {
    let (mut connection, mut server) = connected(|_| {}, nothing()).await;
    connection.sender().publish(Message { qos: Qos::ExactlyOnce, ..Message::new("topic", "x") }).unwrap();
    let served = async {
        let mut used = PubRec::new(server.publish().await.pkid, None);
        used.reason = rumqttc_v5::PubRecReason::PacketIdentifierInUse;
        server.send(Packet::PubRec(used)).await;
    };
    let (event, ()) = tokio::join!(answer(&mut connection), served);
    assert!(event.unwrap_err().to_string().contains("earlier message"));
}

#[tokio::test]
async fn a_login_that_is_refused_is_explained() {
    for (code, told, hint) in [
        (ConnectReturnCode::NotAuthorized, "not authorised (reason code 0x87)", "user name and password"),
        (ConnectReturnCode::BadUserNamePassword, "wrong user name", "user name and password"),
        (ConnectReturnCode::ClientIdentifierNotValid, "client id", "client_id"),
        (ConnectReturnCode::UnsupportedProtocolVersion, "version", "mqtt_version"),
        (ConnectReturnCode::Banned, "banned", "shut this client out"),
        (ConnectReturnCode::RetainNotSupported, "last will", "retain"),
    ] {
        let (connection, ..) = opened(|_| {}, ConnAck { session_present: false, code, properties: None }).await;
        let error = connection.err().expect("it is refused");
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.hint().contains(hint), "{}", error.hint());
    }
}

#[tokio::test]
async fn a_password_may_come_without_a_user() {
    let (_, _, connect) = opened(|endpoint| endpoint.password = Some("token".into()), granting(nothing())).await;
    let Packet::Connect(_, _, auth) = connect else { panic!("{connect:?}") };
    assert_eq!(auth, rumqttc_v5::ConnectAuth::Password { password: "token".into() });
}

#[tokio::test]
async fn a_broker_that_keeps_nothing_is_none_for_a_last_will() {
    let will = |endpoint: &mut Endpoint| endpoint.will = Some(Will { topic: "t".into(), payload: "gone" });
    let properties = ConnAckProperties { retain_available: Some(0), ..nothing() };
    let (connection, ..) = opened(will, granting(properties)).await;
    assert!(matches!(connection.err(), Some(ConnectError::Refused { refusal: Refusal(0x9a), .. })));
}
