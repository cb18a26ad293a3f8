//! The read loop against the look-alike and against a server that goes silent: which outages it notes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use simulator::stack::{ApiKey, Application, Stack, StackConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::stream::Stream;
use crate::model::ApplicationName;
use crate::mqtt::{Address, Endpoint};
use crate::network::{Outage, Outages, RawMessage};
use crate::telemetry::{Notice, Notices};

/// A read loop at work. The clock is paused in all of these tests: waits take no time.
struct Rig {
    raw: mpsc::Receiver<RawMessage>,
    outages: Outages,
    health: Arc<Health>,
    notices: mpsc::Receiver<Notice>,
    _running: JoinSet<()>,
}

impl Rig {
    fn start(server: SocketAddr, key: &ApiKey, capacity: usize) -> Self {
        let (raw, heard) = mpsc::channel(capacity);
        let (notices, told) = mpsc::channel(100);
        let (outages, health) = (Outages::default(), Arc::new(Health::default()));
        let endpoint = Endpoint {
            username: Some("my-app@ttn".into()),
            password: Some(key.key.clone().into()),
            window: 1,
            ..Endpoint::new(Address::tcp(server.ip().to_string(), server.port()), "test")
        };
        let stream = Stream {
            application: ApplicationName::parse("my-app").unwrap(),
            endpoint,
            filters: vec!["v3/my-app@ttn/devices/+/up".into()],
            raw,
            outages: outages.clone(),
            health: health.clone(),
            notices: Notices::new(notices),
        };
        let mut running = JoinSet::new();
        running.spawn(stream.run(CancellationToken::new()));
        Self { raw: heard, outages, health, notices: told, _running: running }
    }

    async fn outage(&self) -> Outage {
        let mut noted = within(self.outages.next()).await;
        assert_eq!(noted.len(), 1, "{noted:?}");
        noted.remove(0)
    }

    async fn lost(&mut self) -> String {
        loop {
            if let Some(Notice::NetworkLost { reason, .. }) = within(self.notices.recv()).await {
                return reason;
            }
        }
    }
}

/// What comes within ten minutes of a clock that does not wait.
async fn within<T>(coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), coming).await.expect("it comes")
}

async fn stack() -> (Stack, ApiKey) {
    let key = ApiKey::with_all_rights();
    let application = Application { id: "my-app".into(), tenant: Some("ttn".into()), keys: vec![key.clone()] };
    let config = StackConfig { applications: vec![application], ..StackConfig::default() };
    (Stack::start(config).await.unwrap(), key)
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_an_outage_from_the_last_message_to_the_next_subscription() {
    let (stack, key) = stack().await;
    let started = Timestamp::now();
    let mut rig = Rig::start(stack.mqtt_addr(), &key, 10);
    let first = rig.outage().await;
    assert_eq!(first.why, "not connected");
    assert!(first.from >= started && first.to >= first.from, "{first:?}");
    let published = Timestamp::now();
    stack.handle().publish_raw("v3/my-app@ttn/devices/node-1/up", "{}");
    let heard = within(rig.raw.recv()).await.unwrap().at;
    stack.handle().drop_connections();
    let cut = Timestamp::now();
    let outage = rig.outage().await;
    // The paused clock ran ahead of the world's by the wait before the reconnect.
    let ahead = outage.to.duration_since(outage.from) + SignedDuration::from_secs(1);
    assert!(outage.from <= heard && outage.from >= published - ahead, "{published} {heard} {outage:?}");
    assert!(outage.to >= cut, "{cut} {outage:?}");
    assert!(rig.health.read().connected);
}

/// Accepts one connection after the other, takes the login and the subscription, and never says anything again.
async fn silent_server(listener: TcpListener) {
    let mut silent = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut packet = [0; 1024];
        assert_ne!(stream.read(&mut packet).await.unwrap(), 0);
        stream.write_all(&[0x20, 2, 0, 0]).await.unwrap();
        assert_ne!(stream.read(&mut packet).await.unwrap(), 0);
        // The packet id follows the type and one byte of length.
        stream.write_all(&[0x90, 3, packet[2], packet[3], 0]).await.unwrap();
        silent.push(stream);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_silent_is_left_after_two_keep_alives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut rig = Rig::start(listener.local_addr().unwrap(), &ApiKey::with_all_rights(), 10);
    let mut server = JoinSet::new();
    server.spawn(silent_server(listener));
    rig.outage().await;
    let connected = Instant::now();
    assert!(rig.lost().await.contains("no answer to a ping"));
    assert!((55..=65).contains(&connected.elapsed().as_secs()), "{:?}", connected.elapsed());
    let outage = rig.outage().await;
    assert_eq!(outage.why, "not connected");
}

#[tokio::test(start_paused = true)]
async fn messages_dropped_for_want_of_room_are_an_outage_from_the_first_to_the_last() {
    let (stack, key) = stack().await;
    let mut rig = Rig::start(stack.mqtt_addr(), &key, 2);
    rig.outage().await;
    let before = Timestamp::now();
    for n in 0..5 {
        stack.handle().publish_raw("v3/my-app@ttn/devices/node-1/up", format!("{n}"));
    }
    within(async {
        while rig.health.read().dropped < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    rig.raw.recv().await.unwrap();
    let outage = rig.outage().await;
    assert_eq!(outage.why, "the bridge was too far behind");
    assert!(outage.from >= before && outage.to <= Timestamp::now(), "told although nothing came after them");
    let told = std::iter::from_fn(|| rig.notices.try_recv().ok()).last();
    assert!(matches!(told, Some(Notice::UplinksDropped { count: 3, .. })), "{told:?}");
}
