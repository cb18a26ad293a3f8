//! The store's one thread: it owns the engine and does one job at a time.

use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::batch::Batch;
use super::engine::{Engine, Result};
use super::error::StoreError;
use super::rows::{Entry, SpoolStats};

/// A job is done.
pub struct Done {
    pub outcome: Outcome,
    /// What the spool holds after it.
    pub spool: SpoolStats,
}

/// What a job leaves to its giver.
pub enum Outcome {
    Applied(Box<Batch>, Result<()>),
    Found {
        found: Result<Vec<Entry>>,
        seq: u64,
        most: usize,
        reply: oneshot::Sender<std::result::Result<Vec<Entry>, StoreError>>,
    },
    /// Some of the old rows are deleted; whether there are more.
    Pruned(bool),
    /// It has told its result to whom it concerns.
    Nothing,
}

/// The way to the engine.
pub enum Thread {
    Running {
        jobs: mpsc::SyncSender<Job>,
        handle: JoinHandle<()>,
    },
    /// The engine works where it is asked, so that a test's paused clock cannot run on meanwhile.
    #[cfg(test)]
    Here(Box<dyn Engine>),
}

/// Something for the engine to do.
pub type Job = Box<dyn FnOnce(&mut dyn Engine) + Send>;

impl Thread {
    pub fn start(mut engine: Box<dyn Engine>) -> io::Result<Self> {
        // The writer hands over the next job when the last is done, so there is never more than one in here.
        let (jobs, given) = mpsc::sync_channel::<Job>(1);
        let work = move || given.into_iter().for_each(|job| job(engine.as_mut()));
        let handle = thread::Builder::new().name("store".into()).spawn(work)?;
        Ok(Self::Running { jobs, handle })
    }

    /// Gives the thread a job. The answer is an error if the thread is dead or dies over it.
    pub fn hand(&mut self, job: impl FnOnce(&mut dyn Engine) -> Outcome + Send + 'static) -> oneshot::Receiver<Done> {
        let (reply, done) = oneshot::channel();
        let job: Job = Box::new(move |engine| {
            let outcome = job(engine);
            reply.send(Done { outcome, spool: engine.spool() }).ok();
        });
        match self {
            Self::Running { jobs, .. } => {
                jobs.try_send(job).ok();
            }
            #[cfg(test)]
            Self::Here(engine) => job(engine.as_mut()),
        }
        done
    }

    /// Waits for the end of a thread that has nothing left to do.
    pub fn join(self) {
        match self {
            Self::Running { jobs, handle } => {
                drop(jobs);
                // A panic has been seen before: its job gave no answer.
                handle.join().ok();
            }
            #[cfg(test)]
            Self::Here(_) => {}
        }
    }
}
