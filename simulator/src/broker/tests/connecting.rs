//! CONNECT and its answers, wills, keep-alive, and what gets a client cut off.

use std::collections::HashMap;

use tokio::net::TcpListener;

use super::*;
use crate::wire::{ConnectAuth, Unsubscribe};

async fn refusal(broker: &Broker, connect: Connect) -> ConnectReturnCode {
    let (client, connack) = Client::greet(broker, connect).await;
    assert!(!connack.session_present);
    if connack.code != ConnectReturnCode::Success {
        client.expect_closed().await;
    }
    connack.code
}

fn will() -> LastWill {
    LastWill::new("state/a", "offline", QoS::AtLeastOnce, true)
}

/// Someone who sees whether the will of [`will`] was sent.
async fn witness(broker: &Broker) -> Client {
    let mut witness = Client::connect(broker, "witness").await;
    witness.subscribe("state/+", QoS::AtLeastOnce).await;
    witness
}

#[tokio::test]
async fn mqtt_5_and_3_1_are_refused_with_code_1() {
    let broker = broker().await;
    for connect in [
        &b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"[..],
        &b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x01a"[..],
    ] {
        let mut client = Client::open(&broker).await;
        client.send_raw(connect).await;
        let code = ConnectReturnCode::RefusedProtocolVersion;
        assert_eq!(client.next().await, Packet::ConnAck(ConnAck { session_present: false, code }));
        client.expect_closed().await;
    }
}

#[tokio::test]
async fn an_empty_client_id_needs_a_clean_session() {
    let broker = broker().await;
    let mut client = Client::open(&broker).await;
    client.send_raw(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x3c\x00\x00").await;
    let code = ConnectReturnCode::BadClientId;
    assert_eq!(client.next().await, Packet::ConnAck(ConnAck { session_present: false, code }));
    client.expect_closed().await;

    let _first = Client::connect(&broker, "").await;
    let _second = Client::connect(&broker, "").await;
    assert_eq!(broker.handle().connections().await.len(), 2);
}

#[tokio::test]
async fn users_are_let_in_by_name_and_password_only() {
    let users = Some(HashMap::from([("ferry".to_owned(), "secret".to_owned())]));
    let broker = Broker::start(BrokerConfig { users, ..BrokerConfig::default() }).await.unwrap();
    let with = |auth| Connect { auth, ..Connect::new("a") };
    let name = |name: &str, password: &'static str| ConnectAuth::UsernamePassword {
        username: name.to_owned(),
        password: Bytes::from(password),
    };
    assert_eq!(refusal(&broker, with(name("ferry", "secret"))).await, ConnectReturnCode::Success);
    for wrong in [name("ferry", "Secret"), name("other", "secret"), ConnectAuth::Username { username: "ferry".into() }]
    {
        assert_eq!(refusal(&broker, with(wrong)).await, ConnectReturnCode::BadUserNamePassword);
    }
    assert_eq!(refusal(&broker, with(ConnectAuth::None)).await, ConnectReturnCode::NotAuthorized);
}

#[tokio::test]
async fn a_connection_that_opens_otherwise_is_closed_without_an_answer() {
    let broker = broker().await;
    for opening in [
        &b"\xc0\x00"[..],
        b"GET / HTTP/1.1\r\nHost: localhost:1883\r\nAccept: text/html,application/json,image/png\r\n\r\n",
        b"\x10\x13\x00\x04MQTT\x04\x06\x00\x3c\x00\x01a\x00\x01#\x00\x01x",
    ] {
        let mut client = Client::open(&broker).await;
        client.send_raw(opening).await;
        let answer = timeout(PATIENCE, client.reader.next()).await.unwrap();
        assert!(!matches!(answer, Ok(Some(_))), "{opening:?} was answered with {answer:?}");
    }
}

#[tokio::test]
async fn a_will_is_sent_when_the_socket_closes_without_disconnect() {
    let broker = broker().await;
    let mut witness = witness(&broker).await;
    drop(Client::connect_with_will(&broker, "a", will()).await);
    assert_eq!(witness.receive().await, pair("state/a", "offline"));
    assert_eq!(broker.handle().retained("state/a").await.as_deref(), Some(&b"offline"[..]));
}

#[tokio::test]
async fn no_will_is_sent_after_disconnect() {
    let broker = broker().await;
    let mut witness = witness(&broker).await;
    let mut client = Client::connect_with_will(&broker, "a", will()).await;
    client.send(Packet::Disconnect).await;
    client.expect_closed().await;
    // The next one's will comes first: the one above was not sent before.
    drop(Client::connect_with_will(&broker, "b", LastWill::new("state/b", "gone", QoS::AtMostOnce, false)).await);
    assert_eq!(witness.receive().await, pair("state/b", "gone"));
}

#[tokio::test]
async fn silence_beyond_the_keep_alive_ends_the_connection_with_its_will() {
    let broker = broker().await;
    let mut witness = witness(&broker).await;
    let connect = Connect { keep_alive: 1, last_will: Some(will()), ..Connect::new("a") };
    let (client, _) = Client::greet(&broker, connect).await;
    let started = std::time::Instant::now();
    client.expect_closed().await;
    assert!(started.elapsed() >= Duration::from_millis(1400), "closed after {:?}", started.elapsed());
    assert_eq!(witness.receive().await, pair("state/a", "offline"));
}

#[tokio::test]
async fn what_mqtt_forbids_ends_the_connection_with_its_will() {
    let broker = broker().await;
    let mut witness = witness(&broker).await;
    let oversized = b"\x30\xff\xff\xff\x7f";
    for (what, bytes) in [
        ("a second CONNECT", &b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a"[..]),
        ("a topic with a wildcard", b"\x30\x05\x00\x03a/+"),
        ("an empty topic", b"\x30\x02\x00\x00"),
        ("QoS 3", b"\x36\x05\x00\x01a\x00\x01"),
        ("a filter with a misplaced #", b"\x82\x09\x00\x01\x00\x04a/#b\x00"),
        ("an empty filter", b"\x82\x05\x00\x01\x00\x00\x00"),
        ("UNSUBSCRIBE of nothing", b"\xa2\x02\x00\x01"),
        ("a packet of a server", b"\xd0\x00"),
        ("more than the largest packet", oversized),
    ] {
        let mut client = Client::connect_with_will(&broker, "a", will()).await;
        client.send_raw(bytes).await;
        client.expect_closed().await;
        assert_eq!(witness.receive().await, pair("state/a", "offline"), "after {what}");
    }
}

#[tokio::test]
async fn a_second_client_of_the_same_id_takes_over() {
    let broker = broker().await;
    let mut witness = witness(&broker).await;
    let first = Client::connect_with_will(&broker, "a", will()).await;
    let mut second = Client::connect(&broker, "a").await;
    first.expect_closed().await;
    assert_eq!(witness.receive().await, pair("state/a", "offline"));
    second.expect_nothing().await;
    assert_eq!(broker.handle().connections().await, ["a", "witness"]);
}

#[tokio::test]
async fn unsubscribing_is_acknowledged_and_ends_deliveries() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "a").await;
    client.subscribe("x/#", QoS::AtMostOnce).await;
    client.send(Packet::Unsubscribe(Unsubscribe { pkid: 5, topics: vec!["x/#".into(), "never".into()] })).await;
    assert!(matches!(client.next().await, Packet::UnsubAck(ack) if ack.pkid == 5));
    client.publish("x/y", "1", false).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn stopping_closes_connections_and_frees_the_port() {
    let broker = broker().await;
    let (addr, handle, mut watcher) = (broker.addr(), broker.handle(), broker.handle().watch());
    let client = Client::connect_with_will(&broker, "a", will()).await;
    broker.stop().await;
    client.expect_closed().await;
    TcpListener::bind(addr).await.expect("the port is free");
    assert_eq!(handle.publish("a", "1", QoS::AtMostOnce, false).await, Err(crate::broker::BrokerError::Stopped));
    assert!(watcher.recv().await.is_err(), "no will was routed, and the watcher sees the end");
}
