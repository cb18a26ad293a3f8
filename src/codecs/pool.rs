//! The lanes and the watch over them.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::desk::{Bell, Desk};
use super::lane::{Job, LANE_CAPACITY, Lane, Task, lock};
use super::quarantine::Quarantine;
use super::turns::Turns;
use super::{Codec, CodecsConfig, Crossed, Encoded, Fault};
use crate::model::Uplink;
use crate::telemetry::{Notice, WeakNotices};

/// Threads, unless the configuration says otherwise: one a processor, but no more than these.
const MOST_THREADS: usize = 4;
/// How long the watch waits before it tries again to start a thread.
const NO_THREAD: Duration = Duration::from_secs(1);

/// The lanes. A codec always has the same one, so that it is loaded once in the process.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Vec<Staffed>,
    turns: Mutex<Turns>,
    crossed: mpsc::Sender<Crossed>,
    quarantine: Arc<Mutex<Quarantine>>,
    bell: Arc<Bell>,
}

/// A lane, its entrance, and the desk of the thread that works on it now, if there is one.
struct Staffed {
    entrance: mpsc::Sender<Job>,
    lane: Lane,
    desk: Mutex<Option<Arc<Desk>>>,
}

impl Pool {
    pub fn start(config: &CodecsConfig, crossed: mpsc::Sender<Crossed>) -> io::Result<Self> {
        let count = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS),
            count => count,
        };
        let (quarantine, bell) = (Arc::default(), Arc::default());
        let start = |number| {
            let (entrance, jobs) = mpsc::channel(LANE_CAPACITY);
            let (jobs, crossed) = (Arc::new(Mutex::new(jobs)), crossed.clone());
            let (quarantine, bell) = (Arc::clone(&quarantine), Arc::clone(&bell));
            let lane = Lane { number, jobs, crossed, limits: config.limits(), quarantine, bell };
            let desk = Mutex::new(Some(lane.staff()?));
            Ok(Staffed { entrance, lane, desk })
        };
        let lanes = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { shared: Arc::new(Shared { lanes, turns: Mutex::default(), crossed, quarantine, bell }) })
    }

    pub fn decode(&self, uplink: Box<Uplink>, codec: Arc<Codec>) {
        let (lane, turn) = lock(&self.shared.turns).take(&uplink.key, self.lane_of(&codec));
        self.submit(lane, Job { codec, task: Task::Decode(uplink, turn) });
    }

    pub fn encode(
        &self,
        codec: Arc<Codec>,
        data: Box<RawValue>,
        f_port: Option<u8>,
        reply: oneshot::Sender<Result<Encoded, Fault>>,
    ) {
        self.submit(self.lane_of(&codec), Job { codec, task: Task::Encode { data, f_port, reply } });
    }

    /// Looks after the workers. Ends only when too many are lost and somebody starts the process again.
    pub async fn watch(&self, notices: &WeakNotices, is_started_again: bool) {
        let mut is_exhausted = false;
        loop {
            self.shared.bell.wait().await;
            self.shared.lanes.iter().for_each(|lane| self.look_at(lane));
            if is_exhausted != lock(&self.shared.quarantine).is_exhausted() {
                is_exhausted = !is_exhausted;
                notices.tell(if is_exhausted { exhausted(is_started_again) } else { recovered() });
            }
            // Those that still run may be stuck, too, and nobody else would ever tell their uplinks' flow.
            if is_exhausted && is_started_again && !self.shared.lanes.iter().any(Staffed::runs_script) {
                return;
            }
            self.shared.bell.plan(|| self.shared.lanes.iter().filter_map(Staffed::due).min());
        }
    }

    fn submit(&self, lane: usize, job: Job) {
        match self.shared.lanes[lane].entrance.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => job.refuse(Fault::Busy, &self.shared.crossed),
            Err(TrySendError::Closed(job)) => job.refuse(Fault::Stopping, &self.shared.crossed),
        }
    }

    /// Gives up on a worker that overstayed.
    fn look_at(&self, lane: &Staffed) {
        // Locked before the job is taken: a thread that comes back at this moment is counted out before it is counted
        // back.
        let mut quarantine = lock(&self.shared.quarantine);
        let Some(desk) = lock(&lane.desk).clone() else { return lane.restaff() };
        let Some((job, found)) = desk.take_overdue(Instant::now()) else { return };
        let rest_s = quarantine.abandoned(job.codec.id, Instant::now()).as_secs();
        drop(quarantine);
        tracing::error!(codec = job.codec.name, rest_s, "Codec never came back; its thread is abandoned.");
        desk.send_to_the_back();
        // In this order: the new thread goes on with what came after.
        job.give_up(found, Fault::Stuck { rest_s }, &self.shared.crossed);
        lane.restaff();
    }

    fn lane_of(&self, codec: &Codec) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&codec.name);
        hash as usize % self.shared.lanes.len()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl Staffed {
    /// A new thread for the lane; the old one ends by itself if its codec ever comes back.
    fn restaff(&self) {
        let staffed = self.lane.staff();
        if let Err(error) = &staffed {
            tracing::error!(error = %error, "No new codec thread could be started.");
        }
        *lock(&self.desk) = staffed.ok();
    }

    fn runs_script(&self) -> bool {
        lock(&self.desk).as_ref().is_some_and(|desk| desk.runs_script())
    }

    /// When the watch has to look here.
    fn due(&self) -> Option<Instant> {
        match &*lock(&self.desk) {
            Some(desk) => desk.due(),
            None => Some(Instant::now() + NO_THREAD),
        }
    }
}

fn exhausted(is_started_again: bool) -> Notice {
    let hint = match is_started_again {
        true => "the bridge starts again; the log names the codecs that never came back",
        false => "start the bridge again, and mend the codecs that the log names",
    };
    let what = "scripts: too many codecs never came back, and no script runs any more".into();
    Notice::BridgeDegraded { what, hint: hint.into() }
}

fn recovered() -> Notice {
    Notice::BridgeRestored { what: "scripts: a codec came back, and scripts run again".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Notices;

    const GOOD: &str = "function decodeUplink() { return {data: {}}; }";
    /// The engine cannot interrupt its own sorting: some seconds.
    const STUCK: &str = "function decodeUplink() { new Array(15e6).sort(); return {data: {}}; }";

    fn pool(threads: usize, time_limit: Duration) -> (Pool, mpsc::Receiver<Crossed>) {
        let (crossed, back) = mpsc::channel(LANE_CAPACITY);
        let config = CodecsConfig { threads, time_limit, ..CodecsConfig::default() };
        (Pool::start(&config, crossed).unwrap(), back)
    }

    /// Notices that nobody hears.
    fn nobody() -> WeakNotices {
        Notices::new(mpsc::channel(1).0).downgrade()
    }

    /// The counters of the next uplinks to come back, and whether they were decoded.
    async fn returned(pool: &Pool, back: &mut mpsc::Receiver<Crossed>, count: usize) -> Vec<(u32, bool)> {
        let mut all = Vec::new();
        let collect = async {
            while all.len() < count {
                let crossed = back.recv().await.unwrap();
                all.push((crossed.uplink.f_cnt, crossed.outcome.is_ok()));
            }
        };
        let nobody = nobody();
        tokio::select! {
            () = pool.watch(&nobody, false) => unreachable!("it would not be started again"),
            ended = tokio::time::timeout(Duration::from_secs(20), collect) => ended.unwrap(),
        }
        all
    }

    /// One thread, so that a codec that is stuck would hold up everything behind it.
    #[tokio::test]
    async fn a_stuck_codec_loses_its_thread_and_everything_behind_it_keeps_its_order() {
        let (pool, mut back) = pool(1, Duration::from_millis(100));
        let (stuck, good) = (Codec::sample(1, "stuck", STUCK), Codec::sample(2, "good", GOOD));
        for f_cnt in 0..3 {
            pool.decode(Uplink::sample("node", f_cnt, 0), stuck.clone());
        }
        pool.decode(Uplink::sample("node", 3, 0), good);
        let all = returned(&pool, &mut back, 4).await;
        assert_eq!(all.iter().map(|(f_cnt, _)| *f_cnt).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(all.iter().filter(|(_, decoded)| *decoded).count(), 1, "{all:?}");
    }

    #[tokio::test]
    async fn a_thread_that_is_given_up_gets_out_of_the_others_way() {
        let (pool, mut back) = pool(1, Duration::from_millis(100));
        let before = lock(&pool.shared.lanes[0].desk).clone().unwrap();
        pool.decode(Uplink::sample("node", 0, 0), Codec::sample(1, "stuck", STUCK));
        assert_eq!(returned(&pool, &mut back, 1).await, [(0, false)]);
        let after = lock(&pool.shared.lanes[0].desk).clone().unwrap();
        assert!(before.nice() == 19 && after.nice() < 19, "{} and {}", before.nice(), after.nice());
    }

    #[tokio::test]
    async fn a_normalizer_that_is_stuck_costs_no_fields() {
        let (pool, mut back) = pool(1, Duration::from_millis(100));
        let script = format!("{GOOD} function normalizeUplink() {{ new Array(15e6).sort(); return {{data: {{}}}}; }}");
        let codec = Codec::sample(1, "stuck", &script);
        for f_cnt in 0..2 {
            pool.decode(Uplink::sample("node", f_cnt, 0), codec.clone());
        }
        assert_eq!(returned(&pool, &mut back, 2).await, [(0, true), (1, false)]);
    }

    #[tokio::test]
    async fn a_frame_without_a_port_takes_its_place_in_the_row() {
        let (pool, mut back) = pool(1, Duration::from_secs(10));
        let good = Codec::sample(1, "good", GOOD);
        for f_cnt in 0..10 {
            let mut uplink = Uplink::sample("node", f_cnt, 0);
            uplink.f_port = (f_cnt % 2 == 0).then_some(1);
            pool.decode(uplink, good.clone());
        }
        let expected: Vec<_> = (0..10).map(|f_cnt| (f_cnt, f_cnt % 2 == 0)).collect();
        assert_eq!(returned(&pool, &mut back, 10).await, expected);
    }

    #[tokio::test]
    async fn a_device_that_changes_its_codec_keeps_its_order() {
        let (pool, mut back) = pool(2, Duration::from_secs(10));
        let slow = "function decodeUplink() { for (var i = 0; i < 20000; i++); return {data: {}}; }";
        let slow = Codec::sample(0, "slow", slow);
        let other_lane = |name: &String| pool.lane_of(&Codec::sample(1, name, GOOD)) != pool.lane_of(&slow);
        let name = (0..100).map(|number| number.to_string()).find(other_lane).unwrap();
        let fast = Codec::sample(1, &name, GOOD);
        for f_cnt in 0..20 {
            pool.decode(Uplink::sample("node", f_cnt, 0), if f_cnt < 10 { slow.clone() } else { fast.clone() });
        }
        assert_eq!(returned(&pool, &mut back, 20).await, (0..20).map(|f_cnt| (f_cnt, true)).collect::<Vec<_>>());
    }

    /// A slow codec sees to it that the lanes take turns: the fourth thread is lost while a fifth codec is stuck already.
    #[tokio::test]
    async fn the_watch_does_not_end_before_every_uplink_is_answered_for() {
        let (pool, mut back) = pool(2, Duration::from_millis(200));
        let slow = "function decodeUplink() { for (var t = Date.now(); Date.now() < t + 120;); return {data: {}}; }";
        let decode = |lane, number: usize, script| {
            let of_lane = |name: &String| pool.lane_of(&Codec::sample(0, name, script)) == lane;
            let name = (0..).map(|suffix| format!("codec-{number}-{suffix}")).find(of_lane).unwrap();
            pool.decode(Uplink::sample(&format!("node-{number}"), 0, 0), Codec::sample(number, &name, script));
        };
        [(1, slow), (0, STUCK), (0, STUCK), (0, STUCK), (1, STUCK), (1, STUCK)]
            .into_iter()
            .enumerate()
            .for_each(|(number, (lane, script))| decode(lane, number, script));
        tokio::time::timeout(Duration::from_secs(20), pool.watch(&nobody(), true)).await.unwrap();
        let answered = std::iter::from_fn(|| back.try_recv().ok()).count();
        assert_eq!(answered, 6);
    }

    #[tokio::test]
    async fn the_watch_ends_when_too_many_threads_are_lost_and_the_process_is_started_again() {
        let (pool, _back) = pool(4, Duration::from_millis(100));
        let (notices, mut told) = mpsc::channel(1);
        let notices = Notices::new(notices);
        for id in 0..4 {
            let name = format!("stuck-{id}");
            pool.decode(Uplink::sample(&name, 0, 0), Codec::sample(id, &name, STUCK));
        }
        tokio::time::timeout(Duration::from_secs(20), pool.watch(&notices.downgrade(), true)).await.unwrap();
        assert!(matches!(told.recv().await, Some(Notice::BridgeDegraded { .. })));
    }
}
