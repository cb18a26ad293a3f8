//! Payload formatters asked of the look-alike and of a scripted server: which one counts, what is asked how often, and
//! what each refusal is taken for.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use simulator::stack::{
    ALL_RIGHTS, ApiKey, Application, Device, Formatter as Typed, Formatters as Chosen, RepositoryCodec, Stack,
    StackConfig, StackHandle,
};
use tokio::sync::mpsc;

use super::formatters::Formatters;
use super::health::Health;
use super::scripted::{answer, error, server};
use super::{Api, Endpoints};
use crate::model::{ApplicationName, DeviceId, VersionIds};
use crate::mqtt::{Address, tls};
use crate::network::{Formatter, FormatterError, Script};
use crate::telemetry::{Notice, Notices};

const UP: &str = "function decodeUplink(input) { return {data: {}}; }";
const DOWN: &str = "function encodeDownlink(input) { return {bytes: []}; }";

struct Rig {
    _stack: Stack,
    network: StackHandle,
    formatters: Formatters,
    health: Arc<Health>,
    _notices: Notices,
    told: mpsc::Receiver<Notice>,
}

impl Rig {
    async fn with_rights(rights: &[&str]) -> Self {
        let key = ApiKey::with_rights(rights.iter().copied());
        let application = Application { id: "my-app".into(), tenant: None, keys: vec![key.clone()] };
        let stack = Stack::start(StackConfig { applications: vec![application], ..StackConfig::default() });
        let stack = stack.await.unwrap();
        let network = stack.handle();
        for (number, device) in ["node-1", "node-2"].into_iter().enumerate() {
            network.register("my-app", Device::new(device, [number as u8; 8], [2; 8], [3; 16])).unwrap();
        }
        let base = url::Url::parse(&format!("http://{}/api/v3", stack.http_addr())).unwrap();
        let mqtt = Address::tcp("localhost", 1883);
        let endpoints = Endpoints { mqtt, api: Some(base.clone()), identity: Some(base), uid: "my-app".into() };
        let api = Api::new(&endpoints, "my-app", key.key.into(), &tls::public()).unwrap();
        let (formatters, health, notices, told) = of(api);
        Self { _stack: stack, network, formatters, health, _notices: notices, told }
    }

    async fn start() -> Self {
        Self::with_rights(&ALL_RIGHTS).await
    }

    fn asked(&self, part: &str) -> usize {
        self.network.http_requests().iter().filter(|request| request.path.contains(part)).count()
    }
}

fn of(api: Api) -> (Formatters, Arc<Health>, Notices, mpsc::Receiver<Notice>) {
    let (notices, told) = mpsc::channel(10);
    let (notices, health) = (Notices::new(notices), Arc::new(Health::default()));
    let name = ApplicationName::parse("my-app").unwrap();
    (Formatters::new(name, api, health.clone(), notices.downgrade()), health, notices, told)
}

fn id(device: &str) -> DeviceId {
    DeviceId::parse(device).unwrap()
}

fn javascript(script: &str) -> Option<Script> {
    Some(Script::JavaScript(script.into()))
}

fn thermo() -> VersionIds {
    VersionIds {
        brand_id: "acme".into(),
        model_id: "thermo".into(),
        hardware_version: String::new(),
        firmware_version: "1.0".into(),
        band_id: "EU_863_870".into(),
    }
}

fn published(decoder: Option<&str>, encoder: Option<&str>) -> RepositoryCodec {
    let VersionIds { brand_id, model_id, hardware_version, firmware_version, band_id } = thermo();
    let version_ids = simulator::stack::VersionIds { brand_id, model_id, hardware_version, firmware_version, band_id };
    let (decoder, encoder) = (decoder.map(str::to_owned), encoder.map(str::to_owned));
    RepositoryCodec { version_ids, codec_id: "thermo".into(), decoder, encoder }
}

#[tokio::test]
async fn a_devices_own_formatters_go_before_the_applications_even_if_they_are_none() {
    let rig = Rig::start().await;
    assert_eq!(rig.formatters.of(&id("node-1"), None).await, Ok(None), "nobody set any");
    assert_eq!(rig.formatters.of(&id("nobody"), None).await, Ok(None), "no such device");
    let rig = Rig::start().await;
    let default = Chosen { up: Typed::CayenneLpp, down: Typed::None };
    rig.network.set_default_formatters("my-app", Some(default)).unwrap();
    let expected = Formatter { name: "ttn/my-app".into(), up: Some(Script::CayenneLpp), down: None };
    assert_eq!(rig.formatters.of(&id("node-1"), None).await, Ok(Some(expected)));
    rig.network.set_formatters("my-app", "node-1", Some(Chosen::default())).unwrap();
    assert_eq!(rig.formatters.of(&id("node-1"), None).await, Ok(None));
    let typed = Chosen { up: Typed::JavaScript(UP.into()), down: Typed::JavaScript(DOWN.into()) };
    rig.network.set_formatters("my-app", "node-1", Some(typed)).unwrap();
    let expected = Formatter { name: "ttn/my-app/node-1".into(), up: javascript(UP), down: javascript(DOWN) };
    assert_eq!(rig.formatters.of(&id("node-1"), None).await, Ok(Some(expected)));
}

#[tokio::test]
async fn the_repositorys_script_is_fetched_once_for_all_devices_of_a_product() {
    let rig = Rig::start().await;
    rig.network.publish_codec(published(Some(UP), None));
    let default = Chosen { up: Typed::Repository, down: Typed::Repository };
    rig.network.set_default_formatters("my-app", Some(default)).unwrap();
    let expected = Formatter { name: "ttn/acme/thermo".into(), up: javascript(UP), down: None };
    for device in ["node-1", "node-2"] {
        assert_eq!(rig.formatters.of(&id(device), Some(&thermo())).await, Ok(Some(expected.clone())));
    }
    assert_eq!((rig.asked("/link"), rig.asked("uplink/decoder"), rig.asked("downlink/encoder")), (1, 1, 1));
    assert_eq!(rig.formatters.of(&id("node-1"), None).await, Ok(None), "of what product?");
    let unknown = VersionIds { model_id: "other".into(), ..thermo() };
    assert_eq!(rig.formatters.of(&id("node-1"), Some(&unknown)).await, Ok(None));
}

#[tokio::test]
async fn a_right_that_is_missing_is_told_once_and_not_asked_for_again() {
    let rights = ALL_RIGHTS.into_iter().filter(|right| !right.ends_with("SETTINGS_BASIC")).collect::<Vec<_>>();
    let mut rig = Rig::with_rights(&rights).await;
    for device in ["node-1", "node-2", "node-1"] {
        let result = rig.formatters.of(&id(device), None).await;
        assert!(matches!(result, Err(FormatterError::Forbidden(_))), "{result:?}");
    }
    assert_eq!(rig.asked("/link"), 1);
    let Some(Notice::Degraded { what, hint, .. }) = rig.told.recv().await else { panic!("not told") };
    assert!(what.contains("default payload formatter") && hint.contains("basic application settings"), "{what} {hint}");
    assert_eq!(rig.health.read().degraded, [what]);
    assert!(rig.told.try_recv().is_err(), "told again");
    let typed = Chosen { up: Typed::JavaScript(UP.into()), down: Typed::None };
    rig.network.set_formatters("my-app", "node-2", Some(typed)).unwrap();
    assert!(rig.formatters.of(&id("node-2"), None).await.unwrap().is_some(), "its own can be seen");

    let rig = Rig::with_rights(&["RIGHT_APPLICATION_TRAFFIC_READ"]).await;
    for device in ["node-1", "node-2"] {
        assert!(matches!(rig.formatters.of(&id(device), None).await, Err(FormatterError::Forbidden(_))));
    }
    assert_eq!(rig.asked("field_mask=formatters"), 1);
}

#[tokio::test]
async fn each_refusal_is_taken_for_what_it_is() {
    let mut limited = error(429, "pkg/ratelimit", "rate_limit_exceeded");
    limited.headers_mut().insert("x-rate-limit-retry", "7".parse().unwrap());
    let long =
        json!({"formatters": {"up_formatter": "FORMATTER_JAVASCRIPT", "up_formatter_parameter": "x".repeat(1 << 21)}});
    let server = server(vec![
        limited,
        error(401, "pkg/auth", "token_not_found"),
        answer(503, json!({})),
        answer(404, json!("no such route")),
        error(400, "pkg/errors", "validation"),
        answer(200, long),
        answer(200, json!({"formatters": {"up_formatter": "FORMATTER_GRPC_SERVICE"}})),
    ])
    .await;
    let (formatters, health, ..) = of(server.api.clone());
    let ask = async || formatters.of(&id("node-1"), None).await;
    assert_eq!(ask().await, Err(FormatterError::RateLimited { retry_after: Duration::from_secs(7) }));
    for _ in 0..3 {
        let result = ask().await;
        assert!(matches!(result, Err(FormatterError::Unknown(_))), "{result:?}");
    }
    for _ in 0..2 {
        let result = ask().await;
        assert!(matches!(result, Err(FormatterError::Refused(_))), "{result:?}");
    }
    assert_eq!(ask().await, Ok(None));
    assert!(health.read().degraded.is_empty());
    let line = &server.script.seen.lock().unwrap()[0].line;
    assert_eq!(line, "GET /api/v3/as/applications/my-app/devices/node-1?field_mask=formatters,version_ids");
}
