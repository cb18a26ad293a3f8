//! The HTTP client against the look-alike of The Things Stack: the same classes out of its own queues, limits and silences.

use std::time::Duration;

use simulator::nodes::{MbedExample, Node};
use simulator::stack::{ApiKey, Application, Device, Fault, Rate, RateLimits, Stack, StackConfig};

use super::{Api, Downlinks, Endpoints};
use crate::model::{ApplicationName, DeviceId, DeviceKey, DownlinkId, FPort, Priority, QueuedDownlink};
use crate::mqtt::{Address, tls};
use crate::network::PushError;

struct Rig {
    stack: Stack,
    node: Node,
    api: Api,
    downlinks: Downlinks,
}

async fn rig(rights: ApiKey, rate: RateLimits) -> Rig {
    let application = Application { id: "my-app".into(), tenant: Some("ttn".into()), keys: vec![rights.clone()] };
    let stack =
        Stack::start(StackConfig { applications: vec![application], rate, ..StackConfig::default() }).await.unwrap();
    let device = Device::new("node-1", [1; 8], [2; 8], [3; 16]);
    stack.handle().register("my-app", device.clone()).unwrap();
    let base = url::Url::parse(&format!("http://{}/api/v3", stack.http_addr())).unwrap();
    let mqtt = Address { host: "localhost".into(), port: 1883, tls: false };
    let endpoints = Endpoints { mqtt, api: Some(base.clone()), identity: Some(base), uid: "my-app@ttn".into() };
    let limit = Duration::from_secs(1);
    let api = Api::with_limit(&endpoints, "my-app", rights.key.into(), &tls::public(), limit).unwrap();
    Rig { stack, node: Node::new(&device, MbedExample::default()), downlinks: Downlinks::new(api.clone()), api }
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
