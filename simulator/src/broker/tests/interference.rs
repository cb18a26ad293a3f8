//! What tests do to the broker through its handle.

use super::*;
use crate::{broker::BrokerError, wire::PubRec};

#[tokio::test]
async fn a_denied_publish_is_acknowledged_and_dropped_wills_too() {
    let config = BrokerConfig { denied_publish: vec!["secret/#".into()], ..BrokerConfig::default() };
    let broker = Broker::start(config).await.unwrap();
    let mut watcher = broker.handle().watch();
    let will = LastWill::new("secret/will", "x", QoS::AtMostOnce, true);
    let mut client = Client::connect_with_will(&broker, "a", will).await;
    client.publish("secret/a", "x", true).await;
    broker.handle().drop_connections().await.unwrap();
    assert!(broker.handle().retained_all().await.is_empty());
    broker.handle().publish("secret/b", "allowed", QoS::AtMostOnce, false).await.unwrap();
    assert_eq!(watcher.recv().await.unwrap().payload, "allowed", "the first that was routed");
}

#[tokio::test]
async fn withheld_acknowledgements_come_when_released() {
    let broker = broker().await;
    let (handle, mut watcher) = (broker.handle(), broker.handle().watch());
    let mut client = Client::connect(&broker, "a").await;
    handle.withhold_acks(true).await.unwrap();
    client.send(message("x", "1", QoS::AtLeastOnce, false, 1)).await;
    client.send(message("x", "2", QoS::ExactlyOnce, false, 2)).await;
    for payload in ["1", "2"] {
        assert_eq!(watcher.recv().await.unwrap().payload, payload, "routed all the same");
    }
    client.expect_nothing().await;
    handle.withhold_acks(false).await.unwrap();
    assert_eq!(client.next().await, Packet::PubAck(PubAck { pkid: 1 }));
    assert_eq!(client.next().await, Packet::PubRec(PubRec { pkid: 2 }));
    client.publish("x", "3", false).await;
}

#[tokio::test]
async fn dropped_connections_leave_wills_and_sessions() {
    let broker = broker().await;
    let mut watcher = broker.handle().watch();
    let will = Some(LastWill::new("state", "offline", QoS::AtLeastOnce, true));
    let connect = Connect { clean_session: false, last_will: will, ..Connect::new("a") };
    let (client, _) = Client::greet(&broker, connect).await;
    broker.handle().drop_connections().await.unwrap();
    assert_eq!(broker.handle().connections().await, [""; 0]);
    assert_eq!(watcher.recv().await.unwrap().payload, "offline");
    client.expect_closed().await;
    assert!(Client::resume(&broker, "a").await.1);
}

#[tokio::test]
async fn the_handle_publishes_and_shows_what_is_retained() {
    let broker = broker().await;
    let handle = broker.handle();
    handle.publish("b", "2", QoS::AtLeastOnce, true).await.unwrap();
    handle.publish("a/x", "1", QoS::AtMostOnce, true).await.unwrap();
    handle.publish("c", "3", QoS::AtMostOnce, false).await.unwrap();
    assert_eq!(handle.retained("a/x").await.as_deref(), Some(&b"1"[..]));
    let all: Vec<_> = handle.retained_all().await.into_iter().collect();
    assert_eq!(all, [("a/x".into(), Bytes::from("1")), ("b".into(), Bytes::from("2"))]);
    let wildcard = handle.publish("a/+", "1", QoS::AtMostOnce, false).await;
    assert_eq!(wildcard, Err(BrokerError::InvalidTopic("a/+".into())));
}

#[tokio::test]
async fn a_watcher_sees_every_message_once_as_published() {
    let broker = broker().await;
    let mut watcher = broker.handle().watch();
    let mut client = Client::connect(&broker, "a").await;
    client.subscribe("#", QoS::AtMostOnce).await;
    client.send(message("x", "1", QoS::AtLeastOnce, true, 1)).await;
    broker.handle().publish("y", "2", QoS::AtMostOnce, false).await.unwrap();
    let mut seen = [watcher.recv().await.unwrap(), watcher.recv().await.unwrap()];
    seen.sort_by(|a, b| a.topic.cmp(&b.topic));
    assert_eq!((&*seen[0].topic, seen[0].qos, seen[0].retain), ("x", QoS::AtLeastOnce, true));
    assert_eq!((&*seen[1].topic, seen[1].qos, seen[1].retain), ("y", QoS::AtMostOnce, false));
    assert!(watcher.try_recv().is_err());
}
