//! The repair with its task, a store, and a network that answers by a script. The clock follows tokio's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::model::DownlinkId;
use crate::model::{DeviceId, DeviceKey, HomeName, NetworkMessage, QueuedDownlink, Uplink};
use crate::network::{
    Budget, Content, HistoryError, MissingFrames, NetworkHealth, PushError, RawMessage, Source, Tally, Unreadable,
};
use crate::store::{self, StoreConfig};
use crate::telemetry::{NetworkClock, Notice};

/// What a fetch brings: messages, then the result; nothing more at all without one.
type Answer = (Vec<&'static str>, Option<Result<Source, HistoryError>>);

/// A network with a history.
struct Scripted {
    name: ApplicationName,
    connected: AtomicBool,
    script: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<(Span, Instant)>>,
}

impl NetworkServer for Scripted {
    fn name(&self) -> &ApplicationName {
        &self.name
    }

    fn parse(&self, raw: &RawMessage) -> Result<NetworkMessage, Unreadable> {
        let f_cnt = std::str::from_utf8(&raw.payload).unwrap().parse();
        let mut uplink = Uplink::sample("node", f_cnt.map_err(|_| Unreadable::Missing("a counter"))?, 0);
        uplink.backfilled = raw.backfilled;
        Ok(NetworkMessage::Uplink(uplink))
    }

    fn push<'a>(&'a self, _: &'a DeviceId, _: &'a [QueuedDownlink]) -> BoxFuture<'a, Result<Budget, PushError>> {
        unreachable!("the repair sends nothing")
    }

    fn waiting<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        unreachable!("the repair sends nothing")
    }

    fn missed<'a>(
        &'a self,
        span: Span,
        _: Option<&'a DeviceId>,
        out: mpsc::Sender<RawMessage>,
    ) -> BoxFuture<'a, Result<Source, HistoryError>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push((span, Instant::now()));
            let next = self.script.lock().unwrap().pop_front();
            let (messages, result) = next.unwrap_or((Vec::new(), Some(Ok(Source::Storage))));
            for text in messages {
                let (topic, payload) = (Bytes::from_static(b"v3/app/up"), Bytes::from_static(text.as_bytes()));
                let raw = RawMessage { topic, payload, at: span.after, backfilled: true };
                out.send(raw).await.map_err(|_| HistoryError::Unavailable("nobody listens".into()))?;
            }
            match result {
                Some(result) => result,
                None => std::future::pending().await,
            }
        })
    }

    fn health(&self) -> NetworkHealth {
        let connected = self.connected.load(Ordering::Relaxed);
        NetworkHealth { connected, was_connected: connected, last_message: None, dropped: 0, degraded: Vec::new() }
    }
}

/// The task and all its ends.
struct Flow {
    server: Arc<Scripted>,
    other: Arc<Scripted>,
    outages: Outages,
    arrivals: mpsc::Receiver<Arrival>,
    tracked: mpsc::Receiver<Tracked>,
    notices: mpsc::Receiver<Notice>,
    handle: RepairHandle,
    began: Instant,
    stop: CancellationToken,
    task: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.task.abort();
        self.writer.abort();
    }
}

fn app() -> ApplicationName {
    ApplicationName::parse("app").unwrap()
}

fn at(second: i64) -> Timestamp {
    "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn outage(application: &str, from: i64, to: i64) -> Outage {
    let application = ApplicationName::parse(application).unwrap();
    Outage { application, from: at(from), to: at(to), why: "the connection was lost" }
}

fn server(name: &str) -> Arc<Scripted> {
    Arc::new(Scripted {
        name: ApplicationName::parse(name).unwrap(),
        connected: AtomicBool::new(true),
        script: Mutex::default(),
        asked: Mutex::default(),
    })
}

/// A bridge that has connected to both applications.
async fn start(folder: &TempDir, heard_until: Option<i64>) -> Flow {
    let mut flow = start_with(folder, heard_until, |_| {});
    for application in ["app", "other"].iter().skip(usize::from(heard_until.is_some())) {
        flow.outages.note(Outage { why: "not connected", ..outage(application, -40, -40) });
        assert!(flow.tracked.recv().await.is_some());
    }
    flow
}

#[allow(clippy::disallowed_methods, reason = "the tasks are owned by the Flow")]
fn start_with(folder: &TempDir, heard_until: Option<i64>, change: impl FnOnce(&Scripted)) -> Flow {
    let (server, other) = (server("app"), server("other"));
    change(&server);
    let (telling, notices) = mpsc::channel(64);
    // On a clock that jumps, every commit of the store takes too long: what it says about that is not for here.
    let (of_store, _) = mpsc::channel(1);
    let config = StoreConfig::default();
    let (store, writer, restored) =
        store::open(&folder.path().join(store::FILE), &config, Notices::new(of_store)).unwrap();
    let (arrivals_out, arrivals) = mpsc::channel(1);
    let (tracked_out, tracked) = mpsc::channel(8);
    let (outages, stop, began) = (Outages::default(), CancellationToken::new(), Instant::now());
    let mut directory = Directory::default();
    directory.add(DeviceKey::new(&app(), DeviceId::parse("node").unwrap()), HomeName::parse("kitchen").unwrap());
    let both = [server.clone(), other.clone()].map(|it| (it.name.clone(), it as Arc<dyn NetworkServer>));
    let parts = RepairParts {
        config: RepairConfig::default(),
        servers: HashMap::from(both),
        outages: outages.clone(),
        arrivals: arrivals_out,
        tracked: tracked_out,
        store,
        rows: restored.gaps,
        heard_until: heard_until.map(|second| (app(), at(second))).into_iter().collect(),
        directory: Arc::new(Mutex::new(directory)),
        counters: Counters::default(),
        notices: Notices::new(telling),
        clock: NetworkClock::default(),
    };
    let clock = Arc::new(move || at(0) + SignedDuration::try_from(began.elapsed()).unwrap());
    let (repair, handle) = Repair::with_clock(parts, clock);
    let (task, writer) = (tokio::spawn(repair.run(stop.clone())), tokio::spawn(writer.run()));
    Flow { server, other, outages, arrivals, tracked, notices, handle, began, stop, task, writer }
}

impl Flow {
    /// Takes what a fetch brings, up to its marker, and says how much of it was new and what is missing.
    async fn take(&mut self, new: u64, missing: Vec<MissingFrames>) -> Vec<u32> {
        let mut counters = Vec::new();
        loop {
            match self.arrivals.recv().await.expect("the repair runs") {
                Arrival::Message(raw, Content::Uplink(uplink)) => {
                    assert!(raw.backfilled && uplink.backfilled);
                    counters.push(uplink.f_cnt);
                }
                Arrival::Fetched { reply, .. } => {
                    reply.send(Tally { new, missing }).unwrap();
                    return counters;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn elapsed(&self) -> u64 {
        self.began.elapsed().as_secs()
    }

    fn script(&self, messages: Vec<&'static str>, result: Result<Source, HistoryError>) {
        self.server.script.lock().unwrap().push_back((messages, Some(result)));
    }

    /// Stops as the bridge does, and waits until everything is on the disk.
    async fn stop(mut self) {
        self.stop.cancel();
        let asked = Instant::now();
        (&mut self.task).await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO, "it is prompt");
        (&mut self.writer).await.unwrap();
    }
}

fn missing(first: u32, last: u32) -> MissingFrames {
    let key = DeviceKey::new(&app(), DeviceId::parse("node").unwrap());
    MissingFrames { key, session_key_id: "s".into(), first, last, after: at(-10), before: at(0) }
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_arrives_and_the_downlinks_hear_of_it_at_once() {
    let folder = TempDir::new().unwrap();
    let mut flow = start(&folder, None).await;
    // More than the flow and the fetch hold between them: the fetch waits, and nothing is left out.
    let texts: Vec<&'static str> = (0..200).map(|n: u32| &*n.to_string().leak()).collect();
    flow.script(texts, Ok(Source::Storage));
    flow.outages.note(outage("app", -30, 0));
    let Some(Tracked::Blind { since, .. }) = flow.tracked.recv().await else { panic!("no word of it") };
    assert_eq!((since, flow.elapsed()), (at(-30), 0));
    assert_eq!(flow.take(200, Vec::new()).await, (0..200).collect::<Vec<_>>());
    assert_eq!(flow.elapsed(), 5);
    assert!(matches!(flow.notices.recv().await, Some(Notice::GapFound { .. })));
    assert!(flow.take(0, Vec::new()).await.is_empty());
    assert_eq!(flow.elapsed(), 125);
    let Some(Notice::GapRepaired { repaired: 200, .. }) = flow.notices.recv().await else { panic!("no end") };
    flow.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_told_by_the_devices_names_at_home() {
    let folder = TempDir::new().unwrap();
    let mut flow = start(&folder, None).await;
    flow.script(vec!["1", "no counter", "2"], Ok(Source::Events));
    flow.outages.note(outage("app", -30, 0));
    assert_eq!(flow.take(2, vec![missing(3, 9)]).await, [1, 2]);
    assert!(matches!(flow.notices.recv().await, Some(Notice::GapFound { .. })));
    assert!(matches!(flow.notices.recv().await, Some(Notice::Unreadable { .. })));
    flow.take(0, vec![missing(4, 5), missing(8, 9)]).await;
    let Some(Notice::GapLost { lost, repaired: 2, .. }) = flow.notices.recv().await else { panic!("no end") };
    assert_eq!((lost.devices.len(), lost.devices[0].device.as_str()), (1, "kitchen"));
    assert_eq!((&lost.devices[0].frames[..], lost.devices[0].count), (&[[4, 5], [8, 9]][..], 4));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_it_waits_for_the_connection_and_asks_from_what_was_last_heard() {
    let folder = TempDir::new().unwrap();
    let mut flow = start_with(&folder, Some(-500), |server| server.connected.store(false, Ordering::Relaxed));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(flow.server.asked.lock().unwrap().is_empty());
    flow.server.connected.store(true, Ordering::Relaxed);
    flow.take(0, Vec::new()).await;
    let (span, _) = flow.server.asked.lock().unwrap()[0];
    assert!(span.after == at(-560) && (105..=106).contains(&flow.elapsed()), "{span:?} {}", flow.elapsed());
}

#[tokio::test(start_paused = true)]
async fn before_the_first_connection_ever_there_is_nothing_to_miss_and_after_it_there_is() {
    let folder = TempDir::new().unwrap();
    let mut flow = start_with(&folder, None, |_| {});
    flow.outages.note(outage("app", -30, 0));
    assert!(flow.tracked.recv().await.is_some());
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(flow.server.asked.lock().unwrap().is_empty() && flow.notices.try_recv().is_err());
    // Nothing was received meanwhile: the first message of all may be what is missing now.
    flow.outages.note(outage("app", 600, 630));
    assert!(flow.take(0, Vec::new()).await.is_empty());
    assert_eq!(flow.server.asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_fetch_at_once_and_the_next_start_begins_it_again() {
    let folder = TempDir::new().unwrap();
    let mut flow = start(&folder, None).await;
    flow.server.script.lock().unwrap().push_back((vec!["1", "2"], None));
    flow.outages.note(outage("app", -30, 0));
    assert!(matches!(flow.arrivals.recv().await, Some(Arrival::Message(..))));
    // Noted too late to be looked at.
    flow.outages.note(outage("other", -30, 0));
    flow.stop().await;

    let mut flow = start(&folder, None).await;
    flow.script(vec!["1", "2"], Ok(Source::Storage));
    assert_eq!(flow.take(2, Vec::new()).await, [1, 2]);
    flow.take(0, Vec::new()).await;
    assert_eq!(flow.other.asked.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_application_that_answers_slowly_holds_up_no_other() {
    let folder = TempDir::new().unwrap();
    let mut flow = start(&folder, None).await;
    flow.server.script.lock().unwrap().push_back((Vec::new(), None));
    flow.outages.note(outage("app", -30, 0));
    flow.outages.note(outage("other", -30, 0));
    flow.take(0, Vec::new()).await;
    assert_eq!((flow.elapsed(), flow.other.asked.lock().unwrap().len()), (5, 1));
    // Silent for five minutes is no answer; ten seconds later it is asked again.
    flow.take(0, Vec::new()).await;
    flow.take(0, Vec::new()).await;
    assert_eq!(flow.elapsed(), 305);
    flow.take(0, Vec::new()).await;
    assert_eq!((flow.elapsed(), flow.server.asked.lock().unwrap().len()), (315, 2));
}

#[tokio::test(start_paused = true)]
async fn counters_that_jump_cause_one_quiet_look() {
    let folder = TempDir::new().unwrap();
    let mut flow = start(&folder, None).await;
    for second in [-3, -20, -10] {
        flow.handle.frame_gap(app(), at(second));
    }
    flow.take(0, vec![missing(1, 1)]).await;
    flow.take(0, vec![missing(1, 1)]).await;
    assert_eq!(flow.elapsed(), 125);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let asked: Vec<_> = flow.server.asked.lock().unwrap().iter().map(|(span, _)| span.after).collect();
    assert_eq!(asked, [at(-80); 2]);
    assert!(flow.notices.try_recv().is_err(), "radio is like that");
}

#[tokio::test(start_paused = true)]
async fn a_backfill_by_hand_answers_after_its_first_fetch() {
    let folder = TempDir::new().unwrap();
    let mut flow = start(&folder, None).await;
    flow.script(vec!["7"], Ok(Source::Storage));
    let handle = flow.handle.clone();
    let (outcome, counters) = tokio::join!(handle.backfill(app(), at(-100), None), flow.take(1, vec![missing(8, 8)]));
    let outcome = outcome.unwrap();
    assert_eq!((outcome.repaired, outcome.missing.frames(), outcome.source), (1, 1, Source::Storage));
    assert_eq!((counters, flow.elapsed()), (vec![7], 0));
    flow.take(0, Vec::new()).await;
    assert_eq!(flow.elapsed(), 120, "late batches");

    flow.script(Vec::new(), Err(HistoryError::NotActivated));
    let (outcome, _) = tokio::join!(handle.backfill(app(), at(-100), Some(at(-50))), flow.take(0, Vec::new()));
    assert_eq!(outcome, Err(BackfillError::History(HistoryError::NotActivated)));
    let stranger = ApplicationName::parse("stranger").unwrap();
    let refused = handle.backfill(stranger.clone(), at(-100), None).await;
    assert_eq!(refused, Err(BackfillError::UnknownApplication(stranger)));
    assert_eq!(handle.backfill(app(), at(1_000_000), None).await, Err(BackfillError::EmptySpan));
    flow.stop().await;
    assert_eq!(handle.backfill(app(), at(-100), None).await, Err(BackfillError::Stopped));
}
