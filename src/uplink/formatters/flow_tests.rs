//! The task before a network that answers by a script, on a clock that does not wait.

use std::collections::VecDeque;
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::*;
use crate::codecs::{CodecsConfig, Finder, Shown, Wishes};
use crate::model::{DownlinkId, NetworkMessage, QueuedDownlink};
use crate::network::{Budget, NetworkHealth, PushError, RawMessage, Unreadable};

const DAY: Duration = Duration::from_secs(86_400);

type Answer = Result<Option<Formatter>, FormatterError>;

/// Answers in the order of its script, then that there is nothing.
struct Scripted {
    name: ApplicationName,
    answers: Mutex<VecDeque<Answer>>,
    asked: mpsc::Sender<(String, Instant)>,
}

impl NetworkServer for Scripted {
    fn name(&self) -> &ApplicationName {
        &self.name
    }

    fn parse(&self, _: &RawMessage) -> Result<NetworkMessage, Unreadable> {
        unreachable!("no message comes")
    }

    fn push<'a>(&'a self, _: &'a DeviceId, _: &'a [QueuedDownlink]) -> BoxFuture<'a, Result<Budget, PushError>> {
        unreachable!("nothing is pushed")
    }

    fn waiting<'a>(&'a self, _: &'a DeviceId) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        unreachable!("nothing waits")
    }

    fn formatter<'a>(&'a self, device: &'a DeviceId, _: Option<&'a VersionIds>) -> BoxFuture<'a, Answer> {
        async move {
            self.asked.send((device.to_string(), Instant::now())).await.unwrap();
            self.answers.lock().unwrap().pop_front().unwrap_or(Ok(None))
        }
        .boxed()
    }

    fn health(&self) -> NetworkHealth {
        unreachable!("nobody asks")
    }
}

/// The task and what goes in and out of it.
struct Rig {
    wants: Wants,
    codecs: Codecs,
    asked: mpsc::Receiver<(String, Instant)>,
    state: tempfile::TempDir,
    _running: JoinSet<()>,
}

impl Rig {
    fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), answers, Finder::default())
    }

    fn start_in(state: tempfile::TempDir, answers: impl IntoIterator<Item = Answer>, finder: Finder) -> Self {
        let (crossed, _) = mpsc::channel(1);
        let shown = Shown::new(Arc::default(), watch::Sender::default());
        let config = CodecsConfig { threads: 1, ..CodecsConfig::default() };
        let codecs = Codecs::start(finder, &config, crossed, shown).unwrap();
        let (asking, asked) = mpsc::channel(100);
        let answers = Mutex::new(answers.into_iter().collect());
        let server: Arc<dyn NetworkServer> = Arc::new(Scripted { name: app(), answers, asked: asking });
        let (wants, all) = Formatters::of_all(&[server], &codecs, state.path(), DAY);
        let mut running = JoinSet::new();
        all.into_iter().for_each(|task| drop(running.spawn(task.run(CancellationToken::new()))));
        Self { wants, codecs, asked, state, _running: running }
    }

    fn want(&self, devices: &[&str]) {
        devices.iter().for_each(|device| self.wants.want(&key(device), None));
    }

    /// The next device that was asked for, and when.
    async fn asked(&mut self) -> (String, Instant) {
        let asked = tokio::time::timeout(2 * DAY, self.asked.recv()).await;
        asked.expect("somebody is asked for").expect("the task runs")
    }

    /// Why a device has the codec it has, once it has one.
    fn chosen_by(&self, device: &str) -> Option<(String, &'static str)> {
        let chosen = self.codecs.choose(&key(device), &Wishes::default())?;
        Some((chosen.codec.name.clone(), chosen.by))
    }
}

fn app() -> ApplicationName {
    ApplicationName::parse("my-app").unwrap()
}

fn key(device: &str) -> DeviceKey {
    DeviceKey::new(&app(), DeviceId::parse(device).unwrap())
}

fn formatter(up: Option<Script>, down: Option<Script>) -> Formatter {
    Formatter { name: "ttn/my-app/one".into(), up, down }
}

fn javascript(script: &str) -> Option<Script> {
    Some(Script::JavaScript(script.into()))
}

/// Timers are good to a millisecond.
fn seconds(from: Instant, to: Instant) -> u64 {
    (to - from).as_secs()
}

const UP: &str = "function decodeUplink() { return {data: {}}; }";

#[tokio::test(start_paused = true)]
async fn a_formatter_is_learned_kept_and_asked_for_again_a_day_later() {
    let mut rig = Rig::start([Ok(Some(formatter(javascript(UP), None)))]);
    rig.want(&["one", "one"]);
    let (_, first) = rig.asked().await;
    let (_, second) = rig.asked().await;
    assert_eq!(seconds(first, second), DAY.as_secs(), "wanting it twice asks once");
    // The second answer was that there is none any more.
    rig.asked().await;
    assert_eq!(rig.chosen_by("one"), None);
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_is_there_at_the_next_start_before_anybody_was_asked() {
    let mut rig = Rig::start([Ok(Some(formatter(javascript(UP), None)))]);
    rig.want(&["one", "two"]);
    rig.asked().await;
    // When the second is asked for, the first is settled.
    rig.asked().await;
    let learned = Some(("ttn/my-app/one".to_owned(), "network's formatter"));
    assert_eq!(rig.chosen_by("one"), learned);
    let mut rig = Rig::start_in(rig.state, [Err(FormatterError::Unknown("down".into()))], Finder::default());
    assert_eq!(rig.chosen_by("one"), learned);
    rig.want(&["one"]);
    rig.asked().await;
    assert_eq!(rig.chosen_by("one"), learned, "an answer that does not come takes nothing away");
}

#[tokio::test(start_paused = true)]
async fn the_network_is_given_the_time_it_asks_for_and_one_device_that_fails_holds_up_no_other() {
    let limit = Duration::from_secs(42);
    let mut rig = Rig::start([
        Err(FormatterError::RateLimited { retry_after: limit }),
        Err(FormatterError::Unknown("503".into())),
        Ok(None),
    ]);
    rig.want(&["one", "two"]);
    let asked = [rig.asked().await, rig.asked().await, rig.asked().await, rig.asked().await];
    assert_eq!(asked.each_ref().map(|(device, _)| device.as_str()), ["one", "two", "one", "two"]);
    let waits: Vec<_> = asked.windows(2).map(|two| seconds(two[0].1, two[1].1)).collect();
    assert_eq!(waits[0], limit.as_secs());
    assert!((FIRST_WAIT.as_secs()..=2 * FIRST_WAIT.as_secs()).contains(&waits[1]), "{waits:?}");
    assert_eq!(waits[2], PACE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn what_the_key_may_not_see_is_not_asked_for_before_the_next_refresh() {
    let mut rig = Rig::start([
        Err(FormatterError::Forbidden("no rights".into())),
        Err(FormatterError::Refused("no such thing".into())),
    ]);
    rig.want(&["one"]);
    let asked = [rig.asked().await.1, rig.asked().await.1, rig.asked().await.1];
    assert_eq!(asked.map(|at| seconds(asked[0], at)), [0, DAY.as_secs(), 2 * DAY.as_secs()]);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_has_a_better_codec_by_now_is_not_asked_for() {
    let mut finder = Finder::default();
    finder.assign(key("better"), "cayenne-lpp").unwrap();
    let mut rig = Rig::start_in(tempfile::tempdir().unwrap(), [], finder);
    assert!(rig.chosen_by("better").is_some());
    rig.want(&["better", "none"]);
    assert_eq!(rig.asked().await.0, "none");
}

#[test]
fn each_direction_gets_what_the_network_runs_for_it() {
    let source = |up, down| learned(&formatter(up, down)).source;
    let name = || Arc::from("ttn/my-app/one");
    let script = |text: &str| Source::JavaScript { name: name(), script: text.into() };
    assert_eq!(source(javascript("x"), javascript("x")), script("x"));
    assert_eq!(source(Some(Script::CayenneLpp), Some(Script::CayenneLpp)), Source::CayenneLpp);
    let both = Source::ByDirection { uplink: Some(Source::CayenneLpp.into()), downlink: Some(script("y").into()) };
    assert_eq!(source(Some(Script::CayenneLpp), javascript("y")), both);
    let up_only = Source::ByDirection { uplink: Some(script("x").into()), downlink: None };
    assert_eq!(source(javascript("x"), None), up_only);
    assert!(!source(None, javascript("y")).reads_uplinks());
}
