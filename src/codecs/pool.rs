//! The lanes and the watch over them.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use payload_codecs::Limits;
use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};

use super::lane::{Desk, Job, LANE_CAPACITY, Lane, Task, lock};
use super::quarantine::Quarantine;
use super::{Codec, CodecsConfig, Crossed, Encoded, Fault};
use crate::model::{DeviceKey, Uplink};

/// Limits that one job may lawfully use up: compiling, loading, decoding and normalising have one each.
const LIMITS_A_JOB: u32 = 4;
/// How long a codec may stay beyond its own limits before its thread is given up. The engine ends a script at its
/// limit; only a native loop inside the engine stays longer.
const OVERSTAY: Duration = Duration::from_millis(100);
/// How often the watch looks while there is work.
const LOOK: Duration = Duration::from_millis(50);
/// Threads, unless the configuration says otherwise: one a processor, but no more than these.
const MOST_THREADS: usize = 4;

/// The lanes. A device always takes the same one, so its uplinks keep their order.
#[derive(Debug, Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Vec<Staffed>,
    crossed: mpsc::Sender<Crossed>,
    quarantine: Arc<Mutex<Quarantine>>,
    /// Rung when work arrives: an idle bridge looks at nothing.
    work: Notify,
    time_limit: Duration,
}

/// A lane, its entrance, and the desk of the thread that works on it now.
struct Staffed {
    entrance: mpsc::Sender<Job>,
    lane: Lane,
    desk: Mutex<Arc<Desk>>,
}

impl Pool {
    pub fn start(config: &CodecsConfig, crossed: mpsc::Sender<Crossed>) -> io::Result<Self> {
        let limits = config.limits();
        let count = match config.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS),
            count => count,
        };
        let quarantine = Arc::default();
        let lanes = (0..count)
            .map(|number| Staffed::start(number, limits, &crossed, &quarantine))
            .collect::<io::Result<_>>()?;
        let shared = Shared { lanes, crossed, quarantine, work: Notify::new(), time_limit: config.time_limit };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub fn decode(&self, uplink: Box<Uplink>, codec: Arc<Codec>) {
        let lane = self.lane_of(&uplink.key);
        self.submit(lane, Job { codec, task: Task::Decode(uplink) });
    }

    pub fn encode(
        &self,
        device: &DeviceKey,
        codec: Arc<Codec>,
        data: Box<RawValue>,
        f_port: Option<u8>,
        reply: oneshot::Sender<Result<Encoded, Fault>>,
    ) {
        let lane = self.lane_of(device);
        self.submit(lane, Job { codec, task: Task::Encode { data, f_port, reply } });
    }

    /// Looks after the workers while there is work. Never ends.
    pub async fn watch(&self) {
        loop {
            self.shared.work.notified().await;
            // Not at once: the worker that was woken with us has yet to take the job up.
            loop {
                tokio::time::sleep(LOOK).await;
                if !self.look_once() {
                    break;
                }
            }
        }
    }

    fn submit(&self, lane: &Staffed, job: Job) {
        match lane.entrance.try_send(job) {
            Ok(()) => self.shared.work.notify_one(),
            Err(TrySendError::Full(job)) => job.refuse(Fault::Busy, &self.shared.crossed),
            Err(TrySendError::Closed(job)) => job.refuse(Fault::Stopping, &self.shared.crossed),
        }
    }

    /// Gives up on workers that overstayed. Returns whether any lane still has work.
    fn look_once(&self) -> bool {
        let limit = self.shared.time_limit * LIMITS_A_JOB + OVERSTAY;
        for lane in &self.shared.lanes {
            // Locked before the job is taken: a thread that comes back at this moment is counted out before it is
            // counted back.
            let mut quarantine = lock(&self.shared.quarantine);
            let overdue = lock(&lane.desk).take_overdue(limit, Instant::now());
            if let Some(job) = overdue {
                let rest = quarantine.abandoned(job.codec.id, Instant::now());
                drop(quarantine);
                tracing::error!(
                    codec = job.codec.name,
                    rest_s = rest.as_secs(),
                    "Codec never came back; its thread is abandoned."
                );
                // In this order: the new thread goes on with what came after.
                job.refuse(Fault::Stuck { rest_s: rest.as_secs() }, &self.shared.crossed);
                lane.restaff();
            }
        }
        self.shared.lanes.iter().any(Staffed::has_work)
    }

    fn lane_of(&self, device: &DeviceKey) -> &Staffed {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(device);
        &self.shared.lanes[hash as usize % self.shared.lanes.len()]
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("lanes", &self.lanes.len()).finish_non_exhaustive()
    }
}

impl Staffed {
    fn start(
        number: usize,
        limits: Limits,
        crossed: &mpsc::Sender<Crossed>,
        quarantine: &Arc<Mutex<Quarantine>>,
    ) -> io::Result<Self> {
        let (entrance, jobs) = mpsc::channel(LANE_CAPACITY);
        let jobs = Arc::new(Mutex::new(jobs));
        let lane = Lane { number, jobs, crossed: crossed.clone(), limits, quarantine: quarantine.clone() };
        let desk = Mutex::new(lane.staff()?);
        Ok(Self { entrance, lane, desk })
    }

    /// A new thread for the lane; the old one ends by itself if its codec ever comes back.
    fn restaff(&self) {
        match self.lane.staff() {
            Ok(desk) => *lock(&self.desk) = desk,
            Err(error) => tracing::error!(error = %error, "No new codec thread could be started."),
        }
    }

    fn has_work(&self) -> bool {
        self.entrance.capacity() < LANE_CAPACITY || !lock(&self.desk).is_free()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(id: usize, script: &str) -> Arc<Codec> {
        let source = payload_codecs::Source::JavaScript { name: "test".into(), script: script.into() };
        Arc::new(Codec { id, name: "test".into(), source, fields: Arc::default(), commands: Arc::default() })
    }

    fn pool(time_limit: Duration) -> (Pool, mpsc::Receiver<Crossed>) {
        let (crossed, back) = mpsc::channel(LANE_CAPACITY);
        let config = CodecsConfig { threads: 1, time_limit, ..CodecsConfig::default() };
        (Pool::start(&config, crossed).unwrap(), back)
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
        tokio::select! {
            () = pool.watch() => unreachable!("the watch never ends"),
            ended = tokio::time::timeout(Duration::from_secs(20), collect) => ended.unwrap(),
        }
        all
    }

    /// One thread, so that a codec that is stuck would hold up everything behind it.
    #[tokio::test]
    async fn a_stuck_codec_loses_its_thread_and_everything_behind_it_keeps_its_order() {
        let (pool, mut back) = pool(Duration::from_millis(100));
        // The engine cannot interrupt its own sorting: some seconds.
        let stuck = script(1, "function decodeUplink() { new Array(15e6).sort(); return {data: {}}; }");
        let good = script(2, "function decodeUplink() { return {data: {}}; }");
        for f_cnt in 0..3 {
            pool.decode(Uplink::sample("node", f_cnt, 0), stuck.clone());
        }
        pool.decode(Uplink::sample("node", 3, 0), good);
        let all = returned(&pool, &mut back, 4).await;
        assert_eq!(all.iter().map(|(f_cnt, _)| *f_cnt).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(all.iter().filter(|(_, decoded)| *decoded).count(), 1, "{all:?}");
    }

    #[tokio::test]
    async fn a_frame_without_a_port_takes_its_place_in_the_row() {
        let (pool, mut back) = pool(Duration::from_secs(10));
        let good = script(1, "function decodeUplink() { return {data: {}}; }");
        for f_cnt in 0..10 {
            let mut uplink = Uplink::sample("node", f_cnt, 0);
            uplink.f_port = (f_cnt % 2 == 0).then_some(1);
            pool.decode(uplink, good.clone());
        }
        let expected: Vec<_> = (0..10).map(|f_cnt| (f_cnt, f_cnt % 2 == 0)).collect();
        assert_eq!(returned(&pool, &mut back, 10).await, expected);
    }
}
