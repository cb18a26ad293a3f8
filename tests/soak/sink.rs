//! The home: counts what arrives there, by its stable id.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use simulator::wire::{
    Connect, ConnectReturnCode, Packet, PacketReader, PubAck, Publish, QoS, Subscribe, SubscribeFilter, write_packet,
};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::in_time;

/// A client of the home broker that listens to everything.
pub struct Sink {
    tally: Arc<Mutex<Tally>>,
    changed: watch::Receiver<u64>,
    bell: Arc<watch::Sender<u64>>,
    address: SocketAddr,
    listener: JoinSet<()>,
}

/// Everything that arrived.
#[derive(Debug, Default)]
pub struct Tally {
    /// By id: how often, and what it said.
    pub uplinks: HashMap<String, Seen>,
    /// Uplinks that came live and later than a newer one of their device.
    pub disorder: u32,
    newest: HashMap<String, u32>,
    /// Copies that differ from what came first under their id.
    pub contradictions: u32,
    /// The states of each downlink, in their order.
    pub downlinks: BTreeMap<String, Vec<(String, Option<String>)>>,
    /// What `bridge/event` told, by its type.
    pub events: BTreeMap<String, Vec<Value>>,
}

#[derive(Debug)]
pub struct Seen {
    pub device: String,
    pub f_cnt: u32,
    pub backfilled: bool,
    pub times: u32,
}

#[derive(Deserialize)]
struct UplinkBody {
    id: String,
    device_id: String,
    f_cnt: u32,
    backfilled: bool,
}

#[derive(Deserialize)]
struct StepBody {
    id: String,
    state: String,
    reason: Option<String>,
}

impl Sink {
    pub async fn at(address: SocketAddr) -> Self {
        let (bell, changed) = watch::channel(0);
        let (tally, bell) = (Arc::<Mutex<Tally>>::default(), Arc::new(bell));
        let listener = listen(address, tally.clone(), bell.clone()).await;
        Self { tally, changed, bell, address, listener }
    }

    /// Listens to a broker that was away; what was counted counts on.
    pub async fn reconnect(&mut self) {
        self.listener = listen(self.address, self.tally.clone(), self.bell.clone()).await;
    }

    pub fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap()
    }

    /// Waits until this is so, or nothing new came for so long. Whether it is so.
    pub async fn until(&mut self, quiet: std::time::Duration, wanted: impl Fn(&Tally) -> bool) -> bool {
        loop {
            if wanted(&self.tally()) {
                return true;
            }
            if tokio::time::timeout(quiet, self.changed.changed()).await.is_err() {
                return wanted(&self.tally());
            }
        }
    }
}

/// Publishes commands at home, each acknowledged by the broker.
pub struct Commander {
    client: Client,
}

impl Commander {
    pub async fn at(address: SocketAddr) -> Self {
        Self { client: Client::connect(address, "commander").await }
    }

    pub async fn publish(&mut self, topic: &str, payload: String) {
        let publish = Publish::from_bytes(topic, QoS::AtLeastOnce, Bytes::from(payload));
        self.client.send(Packet::Publish(Publish { pkid: 1, ..publish })).await;
        let answer = in_time("an acknowledgement", self.client.reader.next()).await;
        assert!(matches!(answer, Ok(Some(Packet::PubAck(_)))), "{answer:?}");
    }
}

async fn listen(address: SocketAddr, tally: Arc<Mutex<Tally>>, bell: Arc<watch::Sender<u64>>) -> JoinSet<()> {
    let mut client = Client::connect(address, "sink").await;
    let mut subscribe = Subscribe::new_many([SubscribeFilter::new("ttn/#".to_owned(), QoS::AtLeastOnce)]);
    subscribe.pkid = 1;
    client.send(Packet::Subscribe(subscribe)).await;
    assert!(matches!(in_time("SUBACK", client.reader.next()).await, Ok(Some(Packet::SubAck(_)))));
    let mut listener = JoinSet::new();
    listener.spawn(async move {
        while let Ok(Some(packet)) = client.reader.next().await {
            let Packet::Publish(Publish { topic, payload, qos, pkid, retain, .. }) = packet else { continue };
            if qos == QoS::AtLeastOnce {
                client.send(Packet::PubAck(PubAck { pkid })).await;
            }
            if !retain {
                tally.lock().unwrap().note(std::str::from_utf8(&topic).unwrap(), &payload);
                bell.send_modify(|count| *count += 1);
            }
        }
    });
    listener
}

impl Tally {
    fn note(&mut self, topic: &str, payload: &[u8]) {
        if topic == "ttn/bridge/event" {
            let event: Value = serde_json::from_slice(payload).unwrap();
            self.events.entry(event["type"].as_str().unwrap_or_default().into()).or_default().push(event);
        } else if topic.ends_with("/uplink") {
            self.uplink(serde_json::from_slice(payload).unwrap());
        } else if topic.ends_with("/downlink/state") && !payload.is_empty() {
            let StepBody { id, state, reason } = serde_json::from_slice(payload).unwrap();
            self.downlinks.entry(id).or_default().push((state, reason));
        }
    }

    fn uplink(&mut self, UplinkBody { id, device_id, f_cnt, backfilled }: UplinkBody) {
        if let Some(seen) = self.uplinks.get_mut(&id) {
            seen.times += 1;
            self.contradictions += u32::from(seen.device != device_id || seen.f_cnt != f_cnt);
            return;
        }
        if !backfilled {
            let newest = self.newest.entry(device_id.clone()).or_insert(f_cnt);
            self.disorder += u32::from(f_cnt < *newest);
            *newest = f_cnt.max(*newest);
        }
        self.uplinks.insert(id, Seen { device: device_id, f_cnt, backfilled, times: 1 });
    }

    /// Copies of uplinks that had come before.
    pub fn copies(&self) -> u32 {
        self.uplinks.values().map(|seen| seen.times - 1).sum()
    }

    pub fn backfilled(&self) -> usize {
        self.uplinks.values().filter(|seen| seen.backfilled).count()
    }
}

struct Client {
    reader: PacketReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Client {
    async fn connect(address: SocketAddr, client_id: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, writer) = stream.into_split();
        let mut client = Self { reader: PacketReader::new(read), writer };
        client.send(Packet::Connect(Connect { keep_alive: 0, ..Connect::new(client_id) })).await;
        let answer = in_time("CONNACK", client.reader.next()).await;
        assert!(
            matches!(&answer, Ok(Some(Packet::ConnAck(ack))) if ack.code == ConnectReturnCode::Success),
            "{answer:?}"
        );
        client
    }

    /// A broker that was killed takes nothing more; whoever reads will notice.
    async fn send(&mut self, packet: Packet) {
        write_packet(&mut self.writer, &packet).await.ok();
    }
}
