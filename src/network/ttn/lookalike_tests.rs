//! The HTTP client against the look-alike of The Things Stack: the same classes out of its own queues, limits and silences.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use simulator::nodes::{MbedExample, Node};
use simulator::stack::{
    ApiKey, Application, Batching, Device, Fault, Rate, RateLimits, Stack, StackConfig, StorageConfig,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::history::History;
use super::registry::Registry;
use super::topics::TtnTopics;
use super::{Api, Downlinks, Endpoints};
use crate::model::{ApplicationName, DeviceId, DeviceKey, DownlinkId, FPort, Priority, QueuedDownlink};
use crate::mqtt::{Address, tls};
use crate::network::{HistoryError, PushError, Source, Span};
use crate::telemetry::{Notice, Notices};

struct Rig {
    stack: Stack,
    key: String,
    node: Node,
    api: Api,
    downlinks: Downlinks,
}

async fn rig(rights: ApiKey, rate: RateLimits) -> Rig {
    rig_of(rights, StackConfig { rate, ..StackConfig::default() }).await
}

async fn rig_of(rights: ApiKey, config: StackConfig) -> Rig {
    let application = Application { id: "my-app".into(), tenant: Some("ttn".into()), keys: vec![rights.clone()] };
    let stack = Stack::start(StackConfig { applications: vec![application], ..config }).await.unwrap();
    let device = Device::new("node-1", [1; 8], [2; 8], [3; 16]);
    stack.handle().register("my-app", device.clone()).unwrap();
    let base = url::Url::parse(&format!("http://{}/api/v3", stack.http_addr())).unwrap();
    let mqtt = Address::tcp("localhost", 1883);
    let endpoints = Endpoints { mqtt, api: Some(base.clone()), identity: Some(base), uid: "my-app@ttn".into() };
    let limit = Duration::from_secs(1);
    let key = rights.key.clone();
    let api = Api::with_limit(&endpoints, "my-app", rights.key.into(), &tls::public(), limit).unwrap();
    Rig { key, stack, node: Node::new(&device, MbedExample::default()), downlinks: Downlinks::new(api.clone()), api }
}

fn node() -> DeviceId {
    DeviceId::parse("node-1").unwrap()
}

fn downlink(id: &str) -> QueuedDownlink {
    QueuedDownlink {
        id: DownlinkId::parse(id).unwrap(),
        key: DeviceKey::new(&ApplicationName::parse("my-app").unwrap(), node()),
        f_port: FPort::new(1).unwrap(),
        payload: vec![1],
        fields: None,
        confirmed: true,
        priority: Priority::Normal,
        attempts: Some(2),
        expires_at: None,
        not_before: None,
        supersedes: None,
    }
}

#[tokio::test]
async fn a_downlink_waits_for_the_session_is_listed_and_withdrawn() {
    let mut rig = rig(ApiKey::with_all_rights(), RateLimits::default()).await;
    assert_eq!(rig.downlinks.push(&node(), &[downlink("one")]).await, Err(PushError::NoSession));
    rig.node.join(&rig.stack.handle()).await.unwrap();
    rig.downlinks.push(&node(), &[downlink("one")]).await.unwrap();
    let queue = rig.stack.handle().queue("my-app", "node-1");
    assert_eq!(queue[0]["confirmed_retry"]["max_attempts"], 2, "{queue:?}");
    let waiting = rig.downlinks.waiting(&node()).await.unwrap();
    assert_eq!(waiting, [DownlinkId::parse("one").unwrap()]);
    assert_eq!(rig.downlinks.withdraw(&node(), &waiting).await, Ok(waiting));
    assert!(rig.stack.handle().queue("my-app", "node-1").is_empty());
}

#[tokio::test]
async fn silence_leaves_open_whether_it_acted_and_a_look_tells() {
    let mut rig = rig(ApiKey::with_all_rights(), RateLimits::default()).await;
    rig.node.join(&rig.stack.handle()).await.unwrap();
    for (fault, acted) in [(Fault::SilentBeforeActing { times: 1 }, 0), (Fault::SilentAfterActing { times: 1 }, 1)] {
        rig.stack.handle().set_fault(fault);
        let result = rig.downlinks.push(&node(), &[downlink("one")]).await;
        assert!(matches!(result, Err(PushError::Unknown(_))), "{result:?}");
        assert_eq!(rig.downlinks.waiting(&node()).await.unwrap().len(), acted);
    }
}

#[tokio::test]
async fn limits_and_a_full_queue_are_told_apart() {
    let once = Some(Rate { per_minute: 1, burst: 1 });
    let mut rig = rig(ApiKey::with_all_rights(), RateLimits { http_downlinks: once, ..RateLimits::default() }).await;
    rig.node.join(&rig.stack.handle()).await.unwrap();
    rig.stack.handle().set_fault(Fault::QueueFull { times: 1 });
    assert_eq!(rig.downlinks.push(&node(), &[downlink("one")]).await, Err(PushError::QueueFull));
    let mut last = Ok(());
    for name in ["two", "three"] {
        last = rig.downlinks.push(&node(), &[downlink(name)]).await.map(drop);
    }
    let Err(PushError::RateLimited { retry_after }) = last else { panic!("{last:?}") };
    assert!((1..=120).contains(&retry_after.as_secs()), "{retry_after:?}");
}

#[tokio::test]
async fn a_key_that_may_only_read_cannot_push_but_tells_its_rights() {
    let rig = rig(ApiKey::with_rights(["RIGHT_APPLICATION_TRAFFIC_READ"]), RateLimits::default()).await;
    let result = rig.downlinks.push(&node(), &[downlink("one")]).await;
    assert!(matches!(result, Err(PushError::Forbidden(_))), "{result:?}");
    assert_eq!(rig.api.rights().await.unwrap(), ["RIGHT_APPLICATION_TRAFFIC_READ"]);
}

#[tokio::test]
async fn registered_devices_are_listed_and_unknown_ones_refused() {
    let rig = rig(ApiKey::with_all_rights(), RateLimits::default()).await;
    let devices = rig.api.devices().await.unwrap();
    assert_eq!(devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>(), ["node-1"]);
    assert_eq!(devices[0].ids.dev_eui.as_deref(), Some("0101010101010101"));
    let nobody = DeviceId::parse("nobody").unwrap();
    let result = rig.downlinks.push(&nobody, &[downlink("one")]).await;
    assert!(matches!(&result, Err(PushError::Refused(failure)) if failure.name == "device_not_found"), "{result:?}");
}

/// A stack whose storage has these uplinks of `node-1`, none of which was heard.
async fn with_missed(count: u32, rights: ApiKey, storage: StorageConfig) -> Rig {
    let rig = rig_of(rights, StackConfig { storage, ..StackConfig::default() }).await;
    for f_cnt in 0..count {
        let message = json!({
            "end_device_ids": {"device_id": "node-1", "application_ids": {"application_id": "my-app"}},
            "received_at": Timestamp::now().to_string(),
            "uplink_message": {"session_key_id": "AQ==", "f_cnt": f_cnt, "f_port": 1, "frm_payload": "AQ=="},
        });
        rig.stack.handle().publish_up("my-app@ttn", "node-1", &message);
    }
    rig
}

/// Fetches everything of the last minute: where it came from, and the frame counters.
async fn missed(rig: &Rig) -> (Result<Source, HistoryError>, Vec<u64>) {
    let history = History::new(rig.api.clone(), TtnTopics::new("my-app@ttn"));
    let (after, before) = (Timestamp::now() - SignedDuration::from_mins(1), Timestamp::now());
    let (out, mut fetched) = mpsc::channel(1000);
    let end = history.missed(Span { after, before }, None, out).await;
    let mut counters = Vec::new();
    while let Some(raw) = fetched.recv().await {
        assert!(raw.backfilled && raw.topic == "v3/my-app@ttn/devices/node-1/up");
        let message: Value = serde_json::from_slice(&raw.payload).unwrap();
        counters.push(message["uplink_message"]["f_cnt"].as_u64().unwrap_or(0));
    }
    (end, counters)
}

#[tokio::test]
async fn all_that_was_missed_comes_once_each_through_small_pages() {
    let storage = StorageConfig { page: 10, batching: Batching::UntilFlushed, ..StorageConfig::default() };
    let rig = with_missed(250, ApiKey::with_all_rights(), storage).await;
    assert_eq!(missed(&rig).await, (Ok(Source::Storage), vec![]), "the batch is not written yet");
    rig.stack.handle().flush_storage();
    assert_eq!(missed(&rig).await, (Ok(Source::Storage), (0..250).collect()));
    let pages = rig.stack.handle().http_requests().iter().filter(|request| request.path.contains("storage")).count();
    assert!(pages > 25, "{pages}");
}

#[tokio::test]
async fn a_key_that_cannot_see_the_packages_reads_the_storage_all_the_same() {
    let rights = ApiKey::with_rights(["RIGHT_APPLICATION_TRAFFIC_READ"]);
    let rig = with_missed(3, rights, StorageConfig::default()).await;
    assert_eq!(missed(&rig).await, (Ok(Source::Storage), vec![0, 1, 2]));
    assert!(rig.api.stores_messages().await.is_err());
}

#[tokio::test]
async fn without_storage_the_event_history_has_the_newest() {
    let storage = StorageConfig { active: false, ..StorageConfig::default() };
    let rig = with_missed(5, ApiKey::with_all_rights(), storage).await;
    assert!(!rig.api.stores_messages().await.unwrap());
    assert_eq!(missed(&rig).await, (Ok(Source::Events), vec![0, 1, 2, 3, 4]));
    let rig = rig_of(ApiKey::with_all_rights(), StackConfig { storage, events: None, ..StackConfig::default() }).await;
    assert_eq!(missed(&rig).await.0, Err(HistoryError::NotActivated));
}

#[tokio::test]
async fn a_key_without_the_right_to_read_is_refused_its_history() {
    let rights = ApiKey::with_rights(["RIGHT_APPLICATION_INFO"]);
    let rig = with_missed(1, rights, StorageConfig::default()).await;
    let (end, _) = missed(&rig).await;
    assert!(matches!(end, Err(HistoryError::Refused(_))), "{end:?}");
}

/// Looks are an hour apart, on a clock that does not wait.
async fn within_a_day<T>(coming: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(86_400), coming).await.expect("it comes")
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_not_activated_is_told_once_and_so_is_that_it_is_later() {
    let storage = StorageConfig { active: false, ..StorageConfig::default() };
    let rig = with_missed(0, ApiKey::with_all_rights(), storage).await;
    let (arrivals, mut arrived) = mpsc::channel(10);
    let (notices, mut told) = mpsc::channel(10);
    let health = Arc::new(Health::default());
    let registry = Registry {
        application: ApplicationName::parse("my-app").unwrap(),
        api: Some(rig.api.clone()),
        health: health.clone(),
        arrivals,
        notices: Notices::new(notices),
    };
    let mut running = tokio::task::JoinSet::new();
    running.spawn(registry.run(CancellationToken::new()));
    let Some(Notice::Degraded { what, hint, .. }) = within_a_day(told.recv()).await else { panic!("not told") };
    assert!(what.contains("stores no messages") && hint.contains("Storage Integration → Activate"), "{what} {hint}");
    assert_eq!(health.read().degraded, std::slice::from_ref(&what));
    for _ in 0..2 {
        within_a_day(arrived.recv()).await.unwrap();
    }
    assert!(told.try_recv().is_err(), "told again at the next look");
    let url = rig.api.cluster_url(&["packages", "associations", "100"]).unwrap();
    let package =
        json!({"default": {"package_name": "storage-integration"}, "field_mask": {"paths": ["package_name"]}});
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls::public().as_ref().clone()).build().unwrap();
    let activated = client.put(url).bearer_auth(&rig.key).json(&package).send().await.unwrap();
    assert!(activated.status().is_success(), "{activated:?}");
    assert_eq!(
        told.recv().await,
        Some(Notice::Restored { application: ApplicationName::parse("my-app").unwrap(), what })
    );
    assert!(health.read().degraded.is_empty());
}

#[tokio::test]
async fn a_downlink_pushed_without_an_answer_stands_in_the_history() {
    let mut rig = rig(ApiKey::with_all_rights(), RateLimits::default()).await;
    rig.node.join(&rig.stack.handle()).await.unwrap();
    let since = Timestamp::now();
    let history = History::new(rig.api.clone(), TtnTopics::new("my-app@ttn"));
    for (fault, times) in [(Fault::SilentBeforeActing { times: 1 }, 0), (Fault::SilentAfterActing { times: 1 }, 1)] {
        rig.stack.handle().set_fault(fault);
        assert!(matches!(rig.downlinks.push(&node(), &[downlink("one")]).await, Err(PushError::Unknown(_))));
        let traced = history.downlinks(&node(), since).await.unwrap();
        assert!(traced.complete, "{traced:?}");
        let ours = |text: &bytes::Bytes| String::from_utf8_lossy(text).contains("ferry:one");
        let told = traced.messages.iter().filter(|message| ours(&message.payload)).count();
        assert_eq!(told.min(1), times, "{traced:?}");
    }
}
