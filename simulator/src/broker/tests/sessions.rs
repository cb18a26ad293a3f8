//! Sessions that outlive their connections.

use super::*;

#[tokio::test]
async fn a_session_keeps_subscriptions_and_qos_1_messages_while_its_client_is_away() {
    let broker = broker().await;
    let (mut client, present) = Client::resume(&broker, "a").await;
    assert!(!present);
    client.subscribe("#", QoS::AtLeastOnce).await;
    client.send(Packet::Disconnect).await;
    client.expect_closed().await;
    gone(&broker).await;
    let handle = broker.handle();
    handle.publish("x", "1", QoS::AtLeastOnce, false).await.unwrap();
    handle.publish("x", "not kept", QoS::AtMostOnce, false).await.unwrap();
    handle.publish("x", "2", QoS::AtLeastOnce, false).await.unwrap();

    let (mut client, present) = Client::resume(&broker, "a").await;
    assert!(present);
    assert_eq!(client.receive().await, pair("x", "1"));
    assert_eq!(client.receive().await, pair("x", "2"));
    client.expect_nothing().await;
    handle.publish("x", "3", QoS::AtLeastOnce, false).await.unwrap();
    assert_eq!(client.receive().await, pair("x", "3"));
}

#[tokio::test]
async fn unacknowledged_deliveries_come_again_first_as_duplicates_of_the_same_id() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "a").await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    for payload in ["1", "2"] {
        broker.handle().publish("x", payload, QoS::AtLeastOnce, false).await.unwrap();
    }
    let first = client.expect_publish().await;
    client.expect_publish().await;
    client.send(Packet::PubAck(PubAck { pkid: first.pkid })).await;
    client.expect_nothing().await;
    drop(client);
    gone(&broker).await;
    broker.handle().publish("x", "3", QoS::AtLeastOnce, false).await.unwrap();

    let (mut client, _) = Client::resume(&broker, "a").await;
    let again = client.expect_publish().await;
    assert_eq!((again.dup, &again.payload[..]), (true, &b"2"[..]));
    let new = client.expect_publish().await;
    assert_eq!((new.dup, &new.payload[..]), (false, &b"3"[..]));
    assert_ne!(again.pkid, new.pkid);
}

#[tokio::test]
async fn a_full_session_loses_its_oldest_messages() {
    let config = BrokerConfig { max_inflight: 1, max_queued: 2, ..BrokerConfig::default() };
    let broker = Broker::start(config).await.unwrap();
    let (mut client, _) = Client::resume(&broker, "a").await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    drop(client);
    gone(&broker).await;
    for n in 0..6 {
        broker.handle().publish("x", n.to_string(), QoS::AtLeastOnce, false).await.unwrap();
    }
    let (mut client, _) = Client::resume(&broker, "a").await;
    // One for the window and two behind it.
    for n in 3..6 {
        assert_eq!(client.receive().await, pair("x", &n.to_string()));
    }
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_clean_session_ends_the_old_one_and_leaves_none() {
    let broker = broker().await;
    let (mut client, _) = Client::resume(&broker, "a").await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    let mut client = Client::connect(&broker, "a").await;
    client.publish("x", "1", false).await;
    client.expect_nothing().await;
    client.subscribe("#", QoS::AtLeastOnce).await;
    let (mut client, present) = Client::resume(&broker, "a").await;
    assert!(!present, "a clean session is not resumed");
    client.publish("x", "2", false).await;
    client.expect_nothing().await;
}

#[tokio::test]
async fn a_session_is_taken_over_with_what_it_holds() {
    let broker = broker().await;
    let (mut first, _) = Client::resume(&broker, "a").await;
    first.subscribe("#", QoS::AtLeastOnce).await;
    broker.handle().publish("x", "1", QoS::AtLeastOnce, false).await.unwrap();
    first.expect_publish().await;
    let (mut second, present) = Client::resume(&broker, "a").await;
    assert!(present);
    first.expect_closed().await;
    let again = second.expect_publish().await;
    assert_eq!((again.dup, &again.payload[..]), (true, &b"1"[..]));
}

/// Until the broker knows that its only client left: the client's socket may close before.
async fn gone(broker: &Broker) {
    let left = async {
        while !broker.handle().connections().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, left).await.expect("the client leaves in time");
}
