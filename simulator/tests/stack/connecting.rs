//! Who is let in, what refuses them, and what ends a connection.

use std::time::{Duration, Instant};

use simulator::stack::{ApiKey, Fault};
use simulator::wire::{ConnAck, ConnectReturnCode, Packet, QoS};

use crate::client::{Mqtt, connect};
use crate::scene::{APP, Scene};

async fn code_for(scene: &Scene, user: &str, key: &str) -> ConnectReturnCode {
    let mut client = Mqtt::open(scene.stack.mqtt_addr()).await;
    client.send(Packet::Connect(connect(user, key))).await;
    match client.receive().await {
        Packet::ConnAck(ConnAck { session_present: false, code }) => code,
        other => panic!("expected a CONNACK, got {other:?}"),
    }
}

#[tokio::test]
async fn every_refusal_of_credentials_is_code_5() {
    let scene = Scene::start().await;
    let stranger = ApiKey::with_all_rights();
    for (user, key) in
        [(APP, stranger.key.as_str()), (APP, "nonsense"), ("app2", &scene.key.key), ("app1@ttn", &scene.key.key)]
    {
        assert_eq!(code_for(&scene, user, key).await, ConnectReturnCode::NotAuthorized, "{user}");
    }
    let mut anonymous = Mqtt::open(scene.stack.mqtt_addr()).await;
    anonymous.send(Packet::Connect(simulator::wire::Connect::new("anonymous"))).await;
    let refusal = ConnAck::new(ConnectReturnCode::NotAuthorized, false);
    assert_eq!(anonymous.receive().await, Packet::ConnAck(refusal));
}

#[tokio::test]
async fn a_broken_identity_server_looks_like_a_wrong_key_and_heals() {
    let scene = Scene::start().await;
    for fault in [Fault::IdentityServerDown, Fault::RefuseConnect] {
        scene.handle.set_fault(fault);
        assert_eq!(code_for(&scene, APP, &scene.key.key).await, ConnectReturnCode::NotAuthorized);
        scene.handle.clear_faults();
        assert_eq!(code_for(&scene, APP, &scene.key.key).await, ConnectReturnCode::Success);
    }
}

#[tokio::test]
async fn the_tenant_belongs_to_the_user_name_where_there_is_one() {
    let scene = Scene::with(|config| config.applications[0].tenant = Some("ttn".into())).await;
    assert_eq!(code_for(&scene, "app1@ttn", &scene.key.key).await, ConnectReturnCode::Success);
    assert_eq!(code_for(&scene, "app1", &scene.key.key).await, ConnectReturnCode::NotAuthorized);
}

#[tokio::test]
async fn an_mqtt_5_client_is_closed_without_a_connack() {
    let scene = Scene::start().await;
    let connect = b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04test";
    assert!(Mqtt::say(scene.stack.mqtt_addr(), connect).await.is_closed().await);
}

#[tokio::test]
async fn another_protocol_level_that_still_parses_is_refused_with_code_1() {
    let scene = Scene::start().await;
    let refusal = Packet::ConnAck(ConnAck::new(ConnectReturnCode::RefusedProtocolVersion, false));
    for connect in
        [&b"\x10\x10\x00\x04MQTT\x06\x02\x00\x3c\x00\x04test"[..], b"\x10\x0f\x00\x03TTM\x04\x02\x00\x3c\x00\x04test"]
    {
        let mut client = Mqtt::say(scene.stack.mqtt_addr(), connect).await;
        assert_eq!(client.receive().await, refusal);
        assert!(client.is_closed().await);
    }
}

#[tokio::test]
async fn mqtt_3_1_is_spoken_too() {
    let scene = Scene::start().await;
    let key = scene.key.key.as_bytes();
    let mut body = b"\x00\x06MQIsdp\x03\xc2\x00\x3c\x00\x04test\x00\x04app1".to_vec();
    body.extend((key.len() as u16).to_be_bytes());
    body.extend(key);
    let mut frame = vec![0x10, body.len() as u8 & 0x7f | 0x80, (body.len() >> 7) as u8];
    frame.extend(body);
    let mut client = Mqtt::say(scene.stack.mqtt_addr(), &frame).await;
    assert_eq!(client.receive().await, Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)));
}

#[tokio::test]
async fn one_connection_too_many_is_refused_with_code_3() {
    let scene = Scene::with(|config| config.connection_limit = Some(1)).await;
    let first = scene.mqtt().await;
    assert_eq!(code_for(&scene, APP, &scene.key.key).await, ConnectReturnCode::ServiceUnavailable);
    let mut connections = scene.handle.connections();
    drop(first);
    connections.wait_for(|count| *count == 0).await.unwrap();
    assert_eq!(code_for(&scene, APP, &scene.key.key).await, ConnectReturnCode::Success);
}

#[tokio::test]
async fn no_session_is_ever_present() {
    let scene = Scene::start().await;
    for _ in 0..2 {
        let mut client = Mqtt::open(scene.stack.mqtt_addr()).await;
        let mut connect = connect(APP, &scene.key.key);
        connect.clean_session = false;
        client.send(Packet::Connect(connect)).await;
        assert_eq!(client.receive().await, Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)));
    }
}

#[tokio::test]
async fn two_connections_with_one_client_id_both_hear_everything() {
    let scene = Scene::start().await;
    let (mut first, mut second) = (scene.listener().await, scene.listener().await);
    assert_eq!(*scene.handle.connections().borrow(), 2);
    scene.handle.publish_raw("v3/app1/devices/dev1/up", "{}");
    assert_eq!(first.message().await.0, "v3/app1/devices/dev1/up");
    assert_eq!(second.message().await.0, "v3/app1/devices/dev1/up");
}

#[tokio::test]
async fn the_first_packet_has_to_be_a_connect_and_to_come_soon() {
    let scene = Scene::with(|config| config.first_packet = Duration::from_millis(20)).await;
    assert!(Mqtt::open(scene.stack.mqtt_addr()).await.is_closed().await);
    assert!(Mqtt::say(scene.stack.mqtt_addr(), b"\xc0\x00").await.is_closed().await);
}

#[tokio::test]
async fn a_second_connect_closes_the_connection() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    client.send(Packet::Connect(connect(APP, &scene.key.key))).await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn silence_of_one_and_a_half_keep_alives_closes_the_connection() {
    let scene = Scene::start().await;
    let mut client = Mqtt::open(scene.stack.mqtt_addr()).await;
    let mut connect = connect(APP, &scene.key.key);
    connect.keep_alive = 1;
    client.send(Packet::Connect(connect)).await;
    client.receive().await;
    let begun = Instant::now();
    assert!(client.is_closed().await);
    assert!(begun.elapsed() > Duration::from_millis(1_400), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_disconnect_does_not_make_the_server_close() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    client.send(Packet::Disconnect).await;
    assert!(client.is_quiet().await);
}

#[tokio::test]
async fn connections_can_be_cut_and_come_back() {
    let scene = Scene::start().await;
    let mut client = scene.listener().await;
    scene.handle.drop_connections();
    assert!(client.is_closed().await);
    let mut again = scene.listener().await;
    assert!(again.is_quiet().await);
    scene.handle.set_fault(Fault::CloseOnAccept);
    assert!(Mqtt::open(scene.stack.mqtt_addr()).await.is_closed().await);
    assert!(again.is_quiet().await);
}

#[tokio::test]
async fn a_stopped_stack_closes_what_is_open() {
    let scene = Scene::start().await;
    let mut client = scene.mqtt().await;
    client.publish("v3/app1/x", QoS::AtMostOnce, 0, "").await;
    scene.stack.stop().await;
    assert!(client.is_closed().await);
}
