//! The parts together: what is heard decides how uplinks are read, how pushes go out, and what reports mean.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::super::health::Health;
use super::super::scripted::{Server, answer, server};
use super::super::server::Ttn;
use super::super::topics::TtnTopics;
use super::*;
use crate::model::{DownlinkId, FPort, Kept, NetworkMessage, Priority};
use crate::network::{NetworkServer, RawMessage};

/// The KEK of the captured wrapped key.
const KEK: &str = "202122232425262728292A2B2C2D2E2F";
const WRAPPED: &str = "zjEUI8F5vFWZN1NJjxFfn2PfYmf7xKVM";
const SESSION: &str = "AaH7f3QJejZ9Wl95EbeojQ==";

/// What is on the disk; it may be full.
#[derive(Default)]
struct Disk {
    rows: Mutex<BTreeMap<DeviceId, String>>,
    full: AtomicBool,
    /// The next note takes its place only when this resolves.
    gate: Mutex<Option<oneshot::Receiver<()>>>,
}

impl DeviceNotes for Disk {
    fn note(&self, key: DeviceKey, body: String) -> BoxFuture<'_, ()> {
        let gate = self.gate.lock().unwrap().take();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.await.unwrap();
            }
            self.rows.lock().unwrap().insert(key.device, body);
        })
    }

    fn keep(&self, key: DeviceKey, body: String) -> BoxFuture<'_, Kept> {
        let result = if self.full.load(Ordering::Relaxed) { Err("disk full".into()) } else { Ok(()) };
        self.note(key, body).map(|()| -> Kept { std::future::ready(result).boxed() }).boxed()
    }
}

struct Rig {
    ttn: Ttn,
    server: Server,
    disk: Arc<Disk>,
    told: mpsc::Receiver<Notice>,
    _notices: Notices,
}

impl Rig {
    async fn new(answers: Vec<axum::http::Response<axum::body::Body>>) -> Self {
        Self::with(Keys::read([("as/mykek", &KEK.into())], []).unwrap(), answers, Arc::default()).await
    }

    async fn with(keys: Keys, answers: Vec<axum::http::Response<axum::body::Body>>, disk: Arc<Disk>) -> Self {
        let server = server(answers).await;
        let (notices, told) = mpsc::channel(16);
        let notices = Notices::new(notices);
        let name = ApplicationName::parse("my-app").unwrap();
        let noted = disk.rows.lock().unwrap().clone();
        let ttn = Ttn {
            end_to_end: EndToEnd::new(name.clone(), keys, noted, disk.clone(), &notices),
            name,
            topics: TtnTopics::new("my-app@ttn"),
            health: Arc::new(Health::default()),
            downlinks: Some(Downlinks::new(server.api.clone())),
            history: None,
            formatters: None,
        };
        Self { ttn, server, disk, told, _notices: notices }
    }

    async fn hear(&self, json: &Value) -> Vec<NetworkMessage> {
        self.ttn.hear(&raw(json)).await.unwrap()
    }

    async fn push(&self, id: &str) -> Result<(), PushError> {
        self.ttn.push(&node(), &[downlink(id)]).await.map(drop)
    }

    /// The downlinks that were pushed, one a request.
    fn pushed(&self) -> Vec<Value> {
        self.server.script.seen.lock().unwrap().iter().map(|seen| seen.body["downlinks"][0].clone()).collect()
    }

    fn happenings(&self, messages: Vec<NetworkMessage>) -> Vec<DownlinkHappening> {
        let of = |message| match message {
            NetworkMessage::Downlink(event) => Some(event.happening),
            _ => None,
        };
        messages.into_iter().filter_map(of).collect()
    }
}

fn node() -> DeviceId {
    DeviceId::parse("node-1").unwrap()
}

fn raw(json: &Value) -> RawMessage {
    let payload = Bytes::from(json.to_string());
    let topic = Bytes::from_static(b"v3/my-app@ttn/devices/node-1/any");
    RawMessage { topic, payload, at: Timestamp::UNIX_EPOCH, backfilled: false }
}

fn downlink(id: &str) -> QueuedDownlink {
    QueuedDownlink {
        id: DownlinkId::parse(id).unwrap(),
        key: DeviceKey::new(&ApplicationName::parse("my-app").unwrap(), node()),
        f_port: FPort::new(15).unwrap(),
        payload: vec![1, 2],
        fields: None,
        confirmed: true,
        priority: Priority::Normal,
        attempts: Some(3),
        expires_at: None,
        not_before: None,
        supersedes: None,
    }
}

/// The captured uplink that says "hello".
fn uplink() -> Value {
    json!({"end_device_ids": {"dev_addr": "2793B480"}, "uplink_message": {
        "session_key_id": SESSION, "f_port": 10, "frm_payload": "Z3Cb+eY=", "last_a_f_cnt_down": 4,
        "app_s_key": {"kek_label": "as/mykek", "encrypted_key": WRAPPED}}})
}

fn event(kind: &str, id: &str, f_cnt: u32) -> Value {
    let downlink = json!({"session_key_id": SESSION, "f_cnt": f_cnt, "correlation_ids": [format!("ferry:{id}")]});
    match kind {
        "downlink_failed" => json!({kind: {"downlink": downlink, "error": {"name": "f_cnt_too_low"}}}),
        "downlink_queue_invalidated" => {
            json!({kind: {"downlinks": [downlink], "last_f_cnt_down": f_cnt, "session_key_id": SESSION}})
        }
        _ => json!({kind: downlink}),
    }
}

fn refusal(name: &str, session: &str, min: u32) -> axum::http::Response<axum::body::Body> {
    let hint = json!({"@type": "x", "session_key_id": session, "min_f_cnt_down": min});
    let details = json!([{"namespace": "pkg/networkserver", "name": name, "details": [hint]}]);
    answer(400, json!({"code": 3, "message": "refused", "details": details}))
}

fn taken() -> axum::http::Response<axum::body::Body> {
    answer(200, json!({}))
}

/// What the device makes of a pushed downlink.
fn read_by_the_device(pushed: &Value) -> Vec<u8> {
    let key: [u8; 16] = hex::decode("C5A4B2EBC7E78200EF51CEA85F72EA3D").unwrap().try_into().unwrap();
    let mut payload = STANDARD.decode(pushed["frm_payload"].as_str().unwrap()).unwrap();
    let f_cnt = pushed["f_cnt"].as_u64().unwrap() as u32;
    AppSKey::new(key).apply(Direction::Down, [0x27, 0x93, 0xB4, 0x80], f_cnt, &mut payload);
    payload
}

#[tokio::test]
async fn an_encrypted_uplink_is_read_when_it_comes_and_when_it_comes_out_of_the_spool() {
    let rig = Rig::new(Vec::new()).await;
    let heard = rig.hear(&uplink()).await.remove(0);
    for message in [heard, rig.ttn.parse(&raw(&uplink())).unwrap()] {
        let NetworkMessage::Uplink(uplink) = message else { panic!("{message:?}") };
        assert_eq!((uplink.payload.as_ref(), uplink.encrypted), (&b"hello"[..], false));
    }
}

#[tokio::test]
async fn without_its_key_an_uplink_stays_as_it_is_and_the_missing_label_is_told_once() {
    let mut rig = Rig::with(Keys::default(), Vec::new(), Arc::default()).await;
    for _ in 0..2 {
        let NetworkMessage::Uplink(uplink) = rig.hear(&uplink()).await.remove(0) else { panic!() };
        assert_eq!((uplink.payload.len(), uplink.encrypted), (5, true));
    }
    let Ok(Notice::Degraded { what, hint, .. }) = rig.told.try_recv() else { panic!("nothing was told") };
    assert!(what.contains("node-1") && what.contains("`as/mykek`") && hint.contains("kek = "), "{what}; {hint}");
    assert!(rig.told.try_recv().is_err(), "it was told twice");
    assert!(matches!(rig.push("one").await, Err(PushError::Refused(failure)) if failure.name == "no_key"));
}

#[tokio::test]
async fn a_downlink_goes_out_encrypted_under_a_counter_that_was_stored_before() {
    let rig = Rig::new(vec![taken(), taken()]).await;
    rig.hear(&uplink()).await;
    rig.push("one").await.unwrap();
    rig.push("one").await.unwrap();
    let pushed = rig.pushed();
    let numbers: Vec<_> = pushed.iter().map(|downlink| downlink["f_cnt"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [5, 6], "after the last that the network knows of, and never the same twice");
    for downlink in &pushed {
        assert_eq!((read_by_the_device(downlink), &downlink["session_key_id"]), (vec![1, 2], &json!(SESSION)));
        assert_eq!((&downlink["confirmed"], &downlink["confirmed_retry"]), (&json!(true), &Value::Null));
    }
    assert!(rig.disk.rows.lock().unwrap()[&node()].contains("\"f_cnt_down\":6"));
    assert!(!rig.disk.rows.lock().unwrap()[&node()].contains("C5A4"));
}

#[tokio::test]
async fn a_restart_sends_at_once_and_goes_on_counting() {
    let rig = Rig::new(vec![taken()]).await;
    rig.hear(&uplink()).await;
    rig.push("one").await.unwrap();
    let keys = Keys::read([("as/mykek", &KEK.into())], []).unwrap();
    let again = Rig::with(keys, vec![taken()], rig.disk.clone()).await;
    again.push("two").await.unwrap();
    assert_eq!((&again.pushed()[0]["f_cnt"], read_by_the_device(&again.pushed()[0])), (&json!(6), vec![1, 2]));
}

#[tokio::test]
async fn nothing_is_sent_under_a_counter_that_cannot_be_stored() {
    let rig = Rig::new(vec![taken()]).await;
    rig.hear(&uplink()).await;
    rig.disk.full.store(true, Ordering::Relaxed);
    assert!(matches!(rig.push("one").await, Err(PushError::NotNow { why, .. }) if why.contains("disk full")));
    assert_eq!(rig.pushed(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_counter_or_session_that_does_not_fit_is_corrected_and_pushed_again() {
    let rejoined = json!({"end_device_ids": {"dev_addr": "00000001"}, "join_accept": {
        "session_key_id": "new", "app_s_key": {"kek_label": "as/mykek", "encrypted_key": WRAPPED}}});
    let answers = vec![refusal("f_cnt_too_low", "new", 20), refusal("unknown_session", SESSION, 9), taken()];
    let rig = Rig::new(answers).await;
    rig.hear(&uplink()).await;
    rig.hear(&rejoined).await;
    rig.push("one").await.unwrap();
    let sent: Vec<_> = rig.pushed().iter().map(|d| (d["session_key_id"].clone(), d["f_cnt"].clone())).collect();
    assert_eq!(sent, [(json!("new"), json!(1)), (json!("new"), json!(20)), (json!(SESSION), json!(9))]);
    assert_eq!(read_by_the_device(&rig.pushed()[2]), [1, 2], "the device did not hear the answer to its join");
}

#[tokio::test]
async fn a_session_that_is_not_known_here_waits_for_the_device_and_a_counter_that_never_fits_for_a_while() {
    let rig = Rig::new(vec![refusal("unknown_session", "other", 1)]).await;
    rig.hear(&uplink()).await;
    assert_eq!(rig.push("one").await, Err(PushError::NoSession));
    let rig = Rig::new((0..MOST_CORRECTIONS).map(|_| refusal("f_cnt_too_low", SESSION, 1)).collect()).await;
    rig.hear(&uplink()).await;
    assert!(matches!(rig.push("one").await, Err(PushError::NotNow { .. })));
    assert_eq!(rig.pushed().len(), MOST_CORRECTIONS);
}

#[tokio::test]
async fn where_a_key_is_configured_nothing_goes_out_in_the_clear_before_the_device_was_heard() {
    let rig = Rig::new(vec![taken()]).await;
    assert_eq!(rig.push("one").await, Err(PushError::NoSession));
    rig.hear(&json!({"uplink_message": {"session_key_id": SESSION, "f_port": 1, "frm_payload": "AQ=="}})).await;
    rig.push("one").await.unwrap();
    assert_eq!((&rig.pushed()[0]["frm_payload"], &rig.pushed()[0]["f_cnt"]), (&json!("AQI="), &Value::Null));
    let without = Rig::with(Keys::default(), vec![taken()], Arc::default()).await;
    without.push("one").await.unwrap();
    assert_eq!(without.pushed()[0]["frm_payload"], "AQI=");
}

#[tokio::test]
async fn nothing_goes_out_in_the_clear_where_it_was_encrypted_or_the_device_has_a_key_of_its_own() {
    let in_the_clear = json!({"end_device_ids": {"dev_addr": "2793B480"}, "uplink_message": {
        "session_key_id": SESSION, "f_port": 10, "frm_payload": "AQ=="}});
    let own = "000102030405060708090A0B0C0D0E0F".into();
    let own = Rig::with(Keys::read([], [(node(), &own)]).unwrap(), vec![taken()], Arc::default()).await;
    let disclosed = Rig::new(vec![taken()]).await;
    disclosed.hear(&uplink()).await;
    for rig in [own, disclosed] {
        rig.hear(&in_the_clear).await;
        let refused = rig.push("one").await;
        assert!(matches!(&refused, Err(PushError::Refused(failure)) if failure.name == "not_encrypted"), "{refused:?}");
        assert_eq!(rig.pushed(), Vec::<Value>::new());
        rig.hear(&uplink()).await;
        rig.push("one").await.unwrap();
        assert_ne!(rig.pushed()[0]["frm_payload"], "AQI=");
    }
}

#[tokio::test]
async fn an_older_note_never_comes_after_a_counter_that_was_given_out() {
    let rig = Rig::new(vec![taken()]).await;
    rig.hear(&uplink()).await;
    let (open, gate) = oneshot::channel();
    *rig.disk.gate.lock().unwrap() = Some(gate);
    let sent = event("downlink_sent", "another", 9);
    let mut hearing = Box::pin(rig.hear(&sent));
    assert!((&mut hearing).now_or_never().is_none(), "its note has no place yet");
    let mut pushing = Box::pin(rig.push("one"));
    assert!((&mut pushing).now_or_never().is_none());
    open.send(()).unwrap();
    let (_, pushed) = tokio::join!(hearing, pushing);
    pushed.unwrap();
    assert_eq!(rig.pushed()[0]["f_cnt"], 10);
    let noted = rig.disk.rows.lock().unwrap()[&node()].clone();
    assert!(noted.contains("\"f_cnt_down\":10"), "{noted}");
}

#[tokio::test]
async fn a_session_that_the_network_does_not_know_and_names_no_other_for_waits_for_the_device() {
    let nothing =
        json!({"code": 5, "message": "", "details": [{"namespace": "pkg/networkserver", "name": "unknown_session"}]});
    for refused in [answer(404, nothing), refusal("unknown_session", SESSION, 9)] {
        let rig = Rig::new(vec![refused, taken()]).await;
        rig.hear(&uplink()).await;
        assert_eq!(rig.push("one").await, Err(PushError::NoSession));
        assert_eq!(rig.pushed().len(), 1);
    }
}

#[tokio::test]
async fn what_the_network_gives_back_is_told_if_it_is_of_the_last_push() {
    let rig = Rig::new(vec![taken(), taken()]).await;
    rig.hear(&uplink()).await;
    rig.push("one").await.unwrap();
    let back = |id, f_cnt| event("downlink_queue_invalidated", id, f_cnt);
    let told = rig.hear(&back("one", 5)).await;
    assert_eq!(rig.happenings(told), [DownlinkHappening::GivenBack]);
    let told = rig.hear(&back("one", 5)).await;
    let lookup_at_most = |happenings: &[_]| matches!(happenings, [DownlinkHappening::Dropped(_)]);
    assert!(lookup_at_most(&rig.happenings(told)), "told twice, it must not end the push that follows");
    rig.push("one").await.unwrap();
    let told = rig.hear(&back("one", 5)).await;
    assert_eq!(rig.happenings(told), [], "that is of the push before");
    let told = rig.hear(&back("forgotten", 5)).await;
    assert!(matches!(rig.happenings(told)[..], [DownlinkHappening::Dropped(_)]), "nobody knows: it is looked up");
    let join = json!({"join_accept": {"session_key_id": "new", "invalidated_downlinks": [
        {"session_key_id": SESSION, "f_cnt": 6, "correlation_ids": ["ferry:one"]}]}});
    let told = rig.hear(&join).await;
    assert!(matches!(told[0], NetworkMessage::Join(_)));
    assert_eq!(rig.happenings(told), [DownlinkHappening::GivenBack]);
}

#[tokio::test]
async fn a_nack_is_the_end_of_a_push_only_where_the_network_cannot_encrypt() {
    let rig = Rig::new(vec![taken(), taken()]).await;
    let nack = |f_cnt| event("downlink_nack", "one", f_cnt);
    let told = rig.hear(&nack(5)).await;
    assert_eq!(rig.happenings(told), [DownlinkHappening::Nacked { attempt: None }]);
    rig.hear(&uplink()).await;
    rig.push("one").await.unwrap();
    let told = rig.hear(&nack(5)).await;
    assert_eq!(rig.happenings(told), [DownlinkHappening::NotRepeated]);
    rig.push("one").await.unwrap();
    let told = rig.hear(&nack(5)).await;
    assert_eq!(rig.happenings(told), []);
    let told = rig.hear(&event("downlink_failed", "one", 5)).await;
    assert_eq!(rig.happenings(told), [], "a refusal that was corrected");
    let told = rig.hear(&event("downlink_queued", "one", 5)).await;
    assert_eq!(rig.happenings(told), [], "it was given up since");
    let told = rig.hear(&event("downlink_queued", "one", 6)).await;
    assert_eq!(rig.happenings(told), [DownlinkHappening::Queued]);
    let told = rig.hear(&event("downlink_failed", "one", 6)).await;
    assert!(matches!(rig.happenings(told)[..], [DownlinkHappening::Dropped(_)]));
}
