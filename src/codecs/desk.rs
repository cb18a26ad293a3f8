//! What a worker is doing at the moment, and the bell that wakes the watch in time.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use payload_codecs::Reading;
use rustix::process::{Pid, setpriority_process};
use tokio::sync::Notify;

use super::lane::{Job, lock};

/// How long a codec may stay beyond its own limit before its thread is given up. The engine ends a script at its limit;
/// only a native loop inside the engine stays longer. With the watch's own delay it is known within 100 ms.
pub const OVERSTAY: Duration = Duration::from_millis(50);

/// The nice value of a thread that is given up (Linux has one for each thread).
const LEAST_PRIORITY: i32 = 19;

/// A worker's desk, shared with the watch. Whoever takes the job from it answers for it: the worker when it is done, or
/// the watch when the worker has overstayed. A worker that finds its job taken is abandoned, and ends.
#[derive(Debug)]
pub struct Desk {
    thread: OnceLock<Pid>,
    work: Mutex<Option<Work>>,
    bell: Arc<Bell>,
}

/// A job, when the worker must have come on with it, and what it has found so far.
#[derive(Debug)]
struct Work {
    due: Instant,
    job: Job,
    found: Option<Reading>,
}

impl Desk {
    pub fn new(bell: Arc<Bell>) -> Self {
        Self { thread: OnceLock::new(), work: Mutex::default(), bell }
    }

    /// The thread that calls this is the one that works here.
    pub fn sit_down(&self) {
        self.thread.get_or_init(rustix::thread::gettid);
    }

    /// Gives up on the thread.
    pub fn send_to_the_back(&self) {
        self.thread.get().copied().into_iter().for_each(send_to_the_back);
    }

    /// Begins with a job, for which there is so much time.
    pub fn put(&self, job: Job, limit: Duration) {
        let due = Instant::now() + limit + OVERSTAY;
        *lock(&self.work) = Some(Work { due, job, found: None });
        self.bell.wake_by(due);
    }

    /// The worker came on: each phase of a job has a limit of its own.
    pub fn next_phase(&self, limit: Duration) {
        let due = Instant::now() + limit + OVERSTAY;
        if let Some(work) = &mut *lock(&self.work) {
            work.due = due;
        }
        self.bell.wake_by(due);
    }

    /// Lays down what is found so far: whoever answers for the job has it.
    pub fn lay(&self, reading: Reading) {
        if let Some(work) = &mut *lock(&self.work) {
            work.found = Some(reading);
        }
    }

    /// Takes the job, if the watch has not.
    pub fn take(&self) -> Option<Job> {
        lock(&self.work).take().map(|work| work.job)
    }

    /// Takes the job away if its worker should have come on with it, and what was found so far.
    pub fn take_overdue(&self, now: Instant) -> Option<(Job, Option<Reading>)> {
        lock(&self.work).take_if(|work| work.due <= now).map(|work| (work.job, work.found))
    }

    /// Whether strangers' code is run here.
    pub fn runs_script(&self) -> bool {
        lock(&self.work).as_ref().is_some_and(|work| work.job.codec.source.runs_scripts())
    }

    /// When the watch has to look here, unless the worker comes on before.
    pub fn due(&self) -> Option<Instant> {
        lock(&self.work).as_ref().map(|work| work.due)
    }
}

/// A thread that is given up runs on, but only when nobody else has use for the processor.
pub fn send_to_the_back(thread: Pid) {
    if let Err(error) = setpriority_process(Some(thread), LEAST_PRIORITY) {
        tracing::debug!(error = %error, "The abandoned thread keeps its priority.");
    }
}

/// Wakes the watch at the first moment at which a worker may have overstayed, and not before: while nothing is done it
/// sleeps, and a worker rings only if it must be looked at sooner than the watch wakes anyway.
#[derive(Debug, Default)]
pub struct Bell {
    due: Mutex<Option<Instant>>,
    rung: Notify,
}

impl Bell {
    /// Sees to it that the watch is awake at this moment.
    fn wake_by(&self, due: Instant) {
        let mut planned = lock(&self.due);
        if planned.is_none_or(|planned| due < planned) {
            *planned = Some(due);
            self.rung.notify_one();
        }
    }

    /// Wakes the watch now.
    pub fn ring(&self) {
        self.rung.notify_one();
    }

    /// Plans the next look. Desks are read while the plan is held, so that none is filled unseen.
    pub fn plan(&self, due: impl FnOnce() -> Option<Instant>) {
        let mut planned = lock(&self.due);
        *planned = due();
    }

    /// Resolves when the watch has to look, or when that time has changed.
    pub async fn wait(&self) {
        let due = *lock(&self.due);
        let sleep = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.rung.notified() => {}
            () = sleep => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;
    use crate::codecs::lane::Task;

    impl Desk {
        /// The nice value of the thread that works here, once it does.
        pub fn nice(&self) -> i32 {
            let thread = self.thread.wait();
            rustix::process::getpriority_process(Some(*thread)).unwrap()
        }
    }

    fn job() -> Job {
        let codec = super::super::Codec::sample(1, "test", "");
        let data = serde_json::value::RawValue::NULL.to_owned();
        Job { codec, task: Task::Encode { data, f_port: None, reply: tokio::sync::oneshot::channel().0 } }
    }

    #[test]
    fn a_job_is_overdue_within_its_limit_and_100_ms_of_each_phase() {
        let (desk, limit) = (Desk::new(Arc::default()), Duration::from_millis(100));
        let late = || Instant::now() + limit + Duration::from_millis(100);
        desk.put(job(), limit);
        assert!(desk.take_overdue(Instant::now() + limit).is_none(), "the engine ends a script at its limit");
        desk.next_phase(Duration::from_secs(60));
        assert!(desk.take_overdue(late()).is_none() && desk.due().is_some());
        desk.next_phase(limit);
        assert!(desk.take_overdue(late()).is_some());
        assert!(desk.take().is_none() && desk.due().is_none(), "it answers for the job who took it");
    }

    #[tokio::test(start_paused = true)]
    async fn the_watch_sleeps_until_it_is_needed() {
        let bell = Arc::new(Bell::default());
        let desk = Desk::new(bell.clone());
        let is_woken = async || {
            let (mut wait, soon) = (pin!(bell.wait()), tokio::time::sleep(Duration::from_millis(1)));
            tokio::select! { () = &mut wait => true, () = soon => false }
        };
        assert!(!is_woken().await, "an idle bridge looks at nothing");
        desk.put(job(), Duration::from_secs(60));
        assert!(is_woken().await, "there is a time now");
        desk.next_phase(Duration::from_secs(3600));
        assert!(!is_woken().await, "it will look soon enough");
        desk.next_phase(Duration::from_secs(1));
        assert!(is_woken().await, "it must look sooner");
        desk.take();
        bell.plan(|| desk.due());
        assert!(!is_woken().await);
    }
}
