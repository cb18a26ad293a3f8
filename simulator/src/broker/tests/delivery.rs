//! Publishing and subscribing: QoS, retained messages, the window, slow subscribers.

use super::*;
use crate::wire::{PubComp, PubRec, PubRel};

#[tokio::test]
async fn a_delivery_has_the_lower_qos_of_publisher_and_subscriber() {
    let broker = broker().await;
    let (mut low, mut high) = (Client::connect(&broker, "low").await, Client::connect(&broker, "high").await);
    assert_eq!(low.subscribe("a/b", QoS::AtMostOnce).await, granted(QoS::AtMostOnce));
    assert_eq!(high.subscribe("a/+", QoS::AtLeastOnce).await, granted(QoS::AtLeastOnce));
    let handle = broker.handle();
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
        handle.publish("a/b", "1", qos, false).await.unwrap();
        assert_eq!(low.expect_publish().await.qos, QoS::AtMostOnce);
        assert_eq!(high.expect_publish().await.qos, qos);
    }
}

#[tokio::test]
async fn qos_2_is_granted_as_1() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "a").await;
    assert_eq!(client.subscribe("#", QoS::ExactlyOnce).await, granted(QoS::AtLeastOnce));
    broker.handle().publish("a", "1", QoS::ExactlyOnce, false).await.unwrap();
    assert_eq!(client.expect_publish().await.qos, QoS::AtLeastOnce);
}

#[tokio::test]
async fn a_qos_2_publish_is_shaken_through_and_routed_once() {
    let broker = broker().await;
    let (mut publisher, mut subscriber) = (Client::connect(&broker, "p").await, Client::connect(&broker, "s").await);
    subscriber.subscribe("#", QoS::AtLeastOnce).await;
    for _sent_again in 0..2 {
        publisher.send(message("a", "1", QoS::ExactlyOnce, false, 5)).await;
        assert_eq!(publisher.next().await, Packet::PubRec(PubRec { pkid: 5 }));
    }
    publisher.send(Packet::PubRel(PubRel { pkid: 5 })).await;
    assert_eq!(publisher.next().await, Packet::PubComp(PubComp { pkid: 5 }));
    assert_eq!(subscriber.receive().await, pair("a", "1"));
    subscriber.expect_nothing().await;
    publisher.send(message("a", "2", QoS::ExactlyOnce, false, 5)).await;
    assert_eq!(subscriber.receive().await, pair("a", "2"), "the released id is free for a new message");
}

#[tokio::test]
async fn overlapping_subscriptions_make_one_delivery_of_the_highest_qos() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "a").await;
    client.subscribe("a/#", QoS::AtMostOnce).await;
    client.subscribe("a/+", QoS::AtLeastOnce).await;
    broker.handle().publish("a/b", "1", QoS::AtLeastOnce, false).await.unwrap();
    assert_eq!(client.expect_publish().await.qos, QoS::AtLeastOnce);
    client.expect_nothing().await;
}

#[tokio::test]
async fn wildcards_deliver_what_they_match_and_leave_dollar_topics_out() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "a").await;
    client.subscribe("ttn/#", QoS::AtMostOnce).await;
    client.subscribe("+/up", QoS::AtMostOnce).await;
    let handle = broker.handle();
    for topic in ["ttn", "$SYS/up", "other/x", "ttn/a/b", "x/up"] {
        handle.publish(topic, "1", QoS::AtMostOnce, false).await.unwrap();
    }
    for topic in ["ttn", "ttn/a/b", "x/up"] {
        assert_eq!(client.receive().await, pair(topic, "1"));
    }
    client.expect_nothing().await;
}

#[tokio::test]
async fn retained_messages_come_with_the_flag_to_new_subscriptions_only() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "a").await;
    client.publish("s/1", "old", true).await;
    client.publish("s/1", "new", true).await;
    client.subscribe("s/#", QoS::AtLeastOnce).await;
    let kept = client.expect_publish().await;
    assert_eq!((kept.retain, kept.qos, &kept.payload[..]), (true, QoS::AtLeastOnce, &b"new"[..]));
    broker.handle().publish("s/1", "live", QoS::AtMostOnce, true).await.unwrap();
    assert!(!client.expect_publish().await.retain, "not set on what is published while subscribed");
    client.subscribe("s/#", QoS::AtMostOnce).await;
    let kept = client.expect_publish().await;
    assert_eq!((kept.retain, &kept.payload[..]), (true, &b"live"[..]), "a repeated subscription gets it again");
}

#[tokio::test]
async fn an_empty_retained_payload_is_delivered_and_clears_the_topic() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "a").await;
    client.publish("s/1", "on", true).await;
    client.subscribe("s/1", QoS::AtMostOnce).await;
    assert_eq!(client.receive().await, pair("s/1", "on"));
    broker.handle().publish("s/1", "", QoS::AtMostOnce, true).await.unwrap();
    assert_eq!(client.receive().await, pair("s/1", ""));
    assert_eq!(broker.handle().retained("s/1").await, None);
    client.subscribe("s/1", QoS::AtMostOnce).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_subscriber_owes_no_more_acknowledgements_than_its_window() {
    let broker = Broker::start(BrokerConfig { max_inflight: 3, ..BrokerConfig::default() }).await.unwrap();
    let mut client = Client::connect(&broker, "a").await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    for n in 0..5 {
        broker.handle().publish("a", n.to_string(), QoS::AtLeastOnce, false).await.unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(client.expect_publish().await.pkid);
    }
    client.expect_nothing().await;
    client.send(Packet::PubAck(PubAck { pkid: ids[1] })).await;
    assert_eq!(client.expect_publish().await.payload, "3");
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_holds_nobody_up_and_misses_qos_0() {
    const MESSAGES: usize = 400;
    let broker = Broker::start(BrokerConfig { max_queued: 8, ..BrokerConfig::default() }).await.unwrap();
    let (mut slow, mut fast) = (Client::connect(&broker, "slow").await, Client::connect(&broker, "fast").await);
    slow.subscribe("#", QoS::AtMostOnce).await;
    fast.subscribe("#", QoS::AtLeastOnce).await;
    // 400 × 64 KiB is more than the sockets' buffers hold.
    let payload = "x".repeat(64 * 1024);
    for _ in 0..MESSAGES {
        broker.handle().publish("a", payload.clone(), QoS::AtLeastOnce, false).await.unwrap();
        assert_eq!(fast.receive().await.1.len(), payload.len());
    }
    slow.send(Packet::PingReq).await;
    let mut taken = 0;
    while slow.next().await != Packet::PingResp {
        taken += 1;
    }
    assert!(taken > 0 && taken < MESSAGES, "took {taken} of {MESSAGES}");
}

#[tokio::test]
async fn a_message_of_a_megabyte_arrives_whole() {
    let broker = broker().await;
    let mut client = Client::connect(&broker, "a").await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    let payload = "0123456789abcdef".repeat(64 * 1024);
    client.send(message("a", &payload, QoS::AtMostOnce, false, 0)).await;
    assert!(client.receive().await == pair("a", &payload));
}
