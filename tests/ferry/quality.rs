//! Each quality of service against a real Mosquitto, in both versions of MQTT.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use ttn_ferry::mqtt::{Address, Connection, Endpoint, Event, Message, MqttVersion, Qos};

use crate::harness::{Ferry, Heard, Home, Mosquitto, Stage, in_time};

const VERSIONS: [MqttVersion; 2] = [MqttVersion::V3_1_1, MqttVersion::V5];

fn endpoint(mosquitto: &Mosquitto, version: MqttVersion) -> Endpoint {
    let address = Address::tcp(mosquitto.address.ip().to_string(), mosquitto.address.port());
    Endpoint { version, keep_session: true, window: 20, ..Endpoint::new(address, "bridge") }
}

fn message(number: usize, qos: Qos) -> Message {
    Message { qos, ..Message::new("numbers", number.to_string()) }
}

#[tokio::test]
async fn each_is_settled_when_it_is_due_and_arrives_once() {
    for version in VERSIONS {
        let mosquitto = Mosquitto::start().await;
        let mut home = Home::at(mosquitto.address).await;
        let mut connection = Connection::open(&endpoint(&mosquitto, version)).await.unwrap();
        let sender = connection.sender();
        let all = [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce];
        (0..15).for_each(|number| sender.publish(message(number, all[number % 3])).unwrap());
        let (mut written, mut acked) = (Vec::new(), 0);
        while written.len() < 15 || acked < 10 {
            match in_time("an event", connection.next()).await.unwrap() {
                Event::Written(packet) => written.push(packet),
                Event::Acked(_) => acked += 1,
                _ => {}
            }
        }
        assert_eq!(written.iter().filter(|packet| **packet == 0).count(), 5, "{written:?}");
        let heard = home.wait_for_many(15, "the numbers", |heard| heard.topic == "numbers").await;
        let numbers: BTreeSet<_> = heard.iter().map(|heard| heard.text.clone()).collect();
        assert_eq!(numbers.len(), 15, "{version}");
    }
}

#[tokio::test]
async fn what_was_cut_off_half_way_neither_blocks_nor_swallows_what_comes_next() {
    for version in VERSIONS {
        let mosquitto = Mosquitto::start().await;
        let mut home = Home::at(mosquitto.address).await;
        // Nobody knows what an earlier process left; the broker knows of nothing.
        let mut endpoint = Endpoint { unreleased: (1..=20).collect(), ..endpoint(&mosquitto, version) };
        // More in sum than the broker lets be under way (20).
        for round in 0..10 {
            let mut connection = Connection::open(&endpoint).await.unwrap();
            let sender = connection.sender();
            (0..5).for_each(|number| sender.publish(message(round * 5 + number, Qos::ExactlyOnce)).unwrap());
            endpoint.unreleased.clear();
            while endpoint.unreleased.len() < 5 {
                if let Event::Written(packet) = in_time("an event", connection.next()).await.unwrap() {
                    endpoint.unreleased.push(packet);
                }
            }
        }
        let mut connection = Connection::open(&endpoint).await.unwrap();
        let sender = connection.sender();
        (100..120).for_each(|number| sender.publish(message(number, Qos::ExactlyOnce)).unwrap());
        let mut written = Vec::new();
        let mut open = BTreeSet::new();
        while written.len() < 20 || !open.is_empty() {
            match in_time("an event", connection.next()).await.unwrap() {
                Event::Written(packet) => {
                    written.push(packet);
                    open.insert(packet);
                }
                Event::Acked(packet) => {
                    open.remove(&packet);
                }
                _ => {}
            }
        }
        let late = |heard: &Heard| heard.topic == "numbers" && heard.text.len() == 3;
        let heard = home.wait_for_many(20, "all that came last", late).await;
        let numbers: Vec<usize> = heard.iter().map(|heard| heard.text.parse().unwrap()).collect();
        assert_eq!(numbers, (100..120).collect::<Vec<_>>(), "{version}");
    }
}

/// Mosquitto acknowledges more than 20 of them at once and forgets the rest.
#[tokio::test]
async fn what_a_reload_makes_exactly_once_all_comes_out_of_a_broker_that_takes_few_at_once() {
    let mosquitto = Mosquitto::start().await;
    let mut ferry = Ferry::with(|setup| {
        setup.home_at = Some(mosquitto.address);
        setup.add_device("node", "qos = 1");
    })
    .await;
    ferry.reconfigure("qos = 1", "qos = 2");
    let (status, _, told) = ferry.ask("POST", "config/reload", "{}").await;
    assert!(status.is_success() && told["needs_restart"] == serde_json::json!([]), "{told}");
    // Some at least once among them: those of another device.
    (0..300).for_each(|f_cnt| ferry.network.up(if f_cnt % 3 == 0 { "other" } else { "node" }, f_cnt, b"x"));
    let uplink = |heard: &Heard| heard.topic.ends_with("/uplink");
    let heard = ferry.home.wait_for_many(300, "the uplinks", uplink).await;
    let all: BTreeSet<_> = heard.iter().map(|heard| heard.json()["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(all.len(), 300);
}

/// What the broker has not acknowledged goes again, and may then come twice.
#[tokio::test]
async fn connections_that_break_while_uplinks_flow_cost_none() {
    for lines in ["", "qos = 2", "mqtt_version = \"5\"", "mqtt_version = \"5\"\nqos = 2"] {
        let mosquitto = Mosquitto::start().await;
        let way = BrittleWay::to(mosquitto.address).await;
        let stage = Stage::set(|setup| {
            setup.home_at = Some(mosquitto.address);
            setup.home_url = Some(format!("mqtt://{}", way.address));
            setup.home = lines.into();
        })
        .await;
        let mut ferry = Ferry::on(stage).await;
        ferry.network.subscribed().await;
        (0..500).for_each(|f_cnt| ferry.network.up("node", f_cnt, b"x"));
        ferry.counted("everything taken in", |counts| counts.uplinks == 500).await;
        ferry.counted("everything settled", |counts| counts.waiting_at_home == 0 && counts.spooled == 0).await;
        let uplinks = ferry.home.all_on("ttn/node/uplink");
        let all: BTreeSet<_> = uplinks.iter().map(|uplink| uplink["f_cnt"].as_u64().unwrap()).collect();
        assert_eq!((all.len(), ferry.counters.snapshot().dropped), (500, 0), "{lines}");
        assert!(way.breaks() >= BREAKS, "{lines}");
    }
}

/// Connections that break on it, one after the other, before it holds.
const BREAKS: usize = 2;

/// A way to a broker on which the first connections end in the middle of a packet.
struct BrittleWay {
    address: SocketAddr,
    breaks: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl BrittleWay {
    async fn to(broker: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, mut task) = (listener.local_addr().unwrap(), JoinSet::new());
        let breaks = Arc::new(AtomicUsize::new(0));
        let counted = breaks.clone();
        task.spawn(async move {
            loop {
                let (mut near, mut far) =
                    (listener.accept().await.unwrap().0, TcpStream::connect(broker).await.unwrap());
                let ((from_near, mut to_near), (mut from_far, mut to_far)) = (near.split(), far.split());
                let most = if counted.load(Relaxed) < BREAKS { 30_011 } else { u64::MAX };
                let mut limited = from_near.take(most);
                tokio::select! {
                    _ = tokio::io::copy(&mut limited, &mut to_far) => {}
                    _ = tokio::io::copy(&mut from_far, &mut to_near) => {}
                }
                counted.fetch_add(1, Relaxed);
            }
        });
        Self { address, breaks, _task: task }
    }

    fn breaks(&self) -> usize {
        self.breaks.load(Relaxed)
    }
}
