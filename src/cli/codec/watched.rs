//! The thread that runs the codecs of a command, and the watch over it, by the same rules as in the bridge: a codec that is
//! not back shortly after its limit is given up together with its thread, and the next call has a new one.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use payload_codecs::examples::{Call, Failure, Output};
use payload_codecs::{Codec, CodecError, Engines, Limits, Source};

use crate::codecs::OVERSTAY;

/// Threads given up and still busy at once; each holds a processor, so after that no codec runs any more.
const MOST_ABANDONED: usize = 4;
/// How often one codec may cost a thread, so that a single bad one does not cost all others theirs.
const MOST_STRIKES: u32 = 2;
/// Codecs kept loaded.
const MOST_LOADED: usize = 256;

/// Runs codecs under watch.
pub struct Watched {
    limits: Limits,
    worker: Option<Worker>,
    abandoned: Vec<JoinHandle<()>>,
    subjects: usize,
}

/// A codec to be run, and how often it did not come back.
pub struct Subject {
    id: usize,
    source: Source,
    strikes: u32,
}

/// What became of a call.
pub struct Answer {
    pub outcome: Result<Output, Failure>,
    /// The call alone, without loading.
    pub took: Duration,
    /// What the script wrote to its `console` meanwhile.
    pub console: Vec<String>,
}

struct Worker {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

type Job = Box<dyn FnOnce(&mut Bench) + Send>;

/// What the thread works with.
struct Bench {
    engines: Engines,
    loaded: HashMap<usize, Box<dyn Codec>>,
}

impl Watched {
    pub fn new(limits: Limits) -> Self {
        Self { limits, worker: None, abandoned: Vec::new(), subjects: 0 }
    }

    pub fn subject(&mut self, source: Source) -> Subject {
        self.subjects += 1;
        Subject { id: self.subjects, source, strikes: 0 }
    }

    /// Makes a call. Loading comes before it and has a limit of its own.
    pub fn call(&mut self, subject: &mut Subject, call: Call) -> Answer {
        let started = Instant::now();
        match self.load(subject) {
            Err(failure) => Answer::none(failure, started.elapsed()),
            Ok(()) => self.call_loaded(subject, call),
        }
    }

    /// Does something with the engines themselves that may take as long as loading so many codecs.
    pub fn with_engines<T: Send + 'static>(
        &mut self,
        loads: u32,
        job: impl FnOnce(&Engines, &Limits) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let limits = self.limits;
        self.watch(limits.loading() * loads, move |bench| job(&bench.engines, &limits))
    }

    fn load(&mut self, subject: &mut Subject) -> Result<(), Failure> {
        let (id, source) = (subject.id, subject.source.clone());
        let loaded = self.watch_subject(subject, self.limits.loading(), move |bench| bench.load(id, &source))?;
        loaded.map_err(Failure::from)
    }

    fn call_loaded(&mut self, subject: &mut Subject, call: Call) -> Answer {
        let (id, asked) = (subject.id, Instant::now());
        let answer = self.watch_subject(subject, self.limits.time, move |bench| {
            let codec = bench.loaded.get_mut(&id).expect("the job before this one loaded it on this thread");
            let started = Instant::now();
            let outcome = call.make(codec.as_mut());
            Answer { outcome, took: started.elapsed(), console: codec.take_console() }
        });
        answer.unwrap_or_else(|failure| Answer::none(failure, asked.elapsed()))
    }

    fn watch_subject<T: Send + 'static>(
        &mut self,
        subject: &mut Subject,
        limit: Duration,
        job: impl FnOnce(&mut Bench) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        if subject.strikes >= MOST_STRIKES {
            return Err(Failure::Other(format!("not run, for {MOST_STRIKES} calls of this codec did not come back")));
        }
        let abandoned = self.abandoned.len();
        let outcome = self.watch(limit, job);
        subject.strikes += u32::from(self.abandoned.len() > abandoned);
        outcome
    }

    /// Has the thread do a job, and waits for it no longer than it may take.
    fn watch<T: Send + 'static>(
        &mut self,
        limit: Duration,
        job: impl FnOnce(&mut Bench) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (reply, answer) = sync_channel(1);
        let job: Job = Box::new(move |bench| {
            // Nobody listens any more once the watch gave up.
            reply.send(job(bench)).ok();
        });
        let broken = |reason: &str| Failure::Other(format!("the thread that runs codecs failed: {reason}"));
        let worker = self.worker().map_err(|error| broken(&error.to_string()))?;
        worker.jobs.send(job).map_err(|_| broken("it has ended"))?;
        match answer.recv_timeout(limit + OVERSTAY) {
            Ok(done) => Ok(done),
            Err(RecvTimeoutError::Disconnected) => {
                self.worker = None;
                Err(broken("it gave no answer"))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.abandoned.extend(self.worker.take().map(|worker| worker.thread));
                Err(Failure::Other(format!("it did not come back within {} ms and was given up", limit.as_millis())))
            }
        }
    }

    /// The thread, a new one if there is none.
    fn worker(&mut self) -> io::Result<&Worker> {
        self.abandoned.retain(|thread| !thread.is_finished());
        if self.worker.is_none() && self.abandoned.len() >= MOST_ABANDONED {
            return Err(io::Error::other(format!("{MOST_ABANDONED} codecs never came back and keep it busy")));
        }
        match &mut self.worker {
            Some(worker) => Ok(worker),
            none => Ok(none.insert(Worker::start(self.limits)?)),
        }
    }
}

impl Answer {
    fn none(failure: Failure, took: Duration) -> Self {
        Self { outcome: Err(failure), took, console: Vec::new() }
    }
}

impl Drop for Watched {
    /// An idle thread ends when its entrance closes. One that was given up ends with the process.
    fn drop(&mut self) {
        if let Some(Worker { jobs, thread }) = self.worker.take() {
            drop(jobs);
            thread.join().ok();
        }
    }
}

impl Worker {
    fn start(limits: Limits) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel::<Job>(1);
        let thread = Builder::new().name("codec".to_owned()).spawn(move || work(&limits, &waiting))?;
        Ok(Self { jobs, thread })
    }
}

/// Engines that cannot be set up end the thread: every job then finds it gone.
fn work(limits: &Limits, waiting: &Receiver<Job>) {
    let Ok(engines) = Engines::new(limits) else { return };
    let mut bench = Bench { engines, loaded: HashMap::new() };
    while let Ok(job) = waiting.recv() {
        job(&mut bench);
    }
}

impl Bench {
    fn load(&mut self, id: usize, source: &Source) -> Result<(), CodecError> {
        if self.loaded.contains_key(&id) {
            return Ok(());
        }
        if self.loaded.len() >= MOST_LOADED {
            self.loaded.clear();
        }
        let codec = self.engines.load(source)?;
        self.loaded.insert(id, codec);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use payload_codecs::examples::{Input, Operation};

    /// Longer than a busy machine holds up a thread, shorter than the loops below.
    const LIMIT: Duration = Duration::from_millis(400);

    fn script(watched: &mut Watched, script: &str) -> Subject {
        watched.subject(Source::JavaScript { name: "test".into(), script: script.into() })
    }

    fn decode(watched: &mut Watched, subject: &mut Subject, byte: u8) -> Result<String, String> {
        let input = Input { bytes: Some(vec![byte]), ..Input::default() };
        let answer = watched.call(subject, Call { operation: Operation::DecodeUplink, input });
        let text = |output: Output| output.data.unwrap().get().to_owned();
        answer.outcome.map(text).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_codec_that_is_stuck_is_given_up_in_time_and_the_next_call_is_served() {
        let mut watched = Watched::new(Limits { time: LIMIT, ..Limits::default() });
        // The engine cannot interrupt its own joining of half a billion items: many seconds.
        let mut stuck = script(
            &mut watched,
            "function decodeUplink(input) {
            if (input.bytes[0]) { new Array(0x1fffffff).join(); }
            return {data: {fine: true}}; }",
        );
        let mut other = script(&mut watched, "function decodeUplink() { return {data: {other: true}}; }");
        let started = Instant::now();
        let told = decode(&mut watched, &mut stuck, 1).unwrap_err();
        let took = started.elapsed();
        assert!(told.contains("did not come back within 400 ms"), "{told}");
        assert!(took >= LIMIT && took < LIMIT + Duration::from_secs(3), "{took:?}");
        assert_eq!(decode(&mut watched, &mut stuck, 0).unwrap(), r#"{"fine":true}"#);
        decode(&mut watched, &mut stuck, 1).unwrap_err();
        assert!(decode(&mut watched, &mut stuck, 0).unwrap_err().starts_with("not run"));
        assert_eq!(decode(&mut watched, &mut other, 0).unwrap(), r#"{"other":true}"#);
    }

    #[test]
    fn a_loop_of_its_own_is_ended_by_the_engine_and_costs_no_thread() {
        let mut watched = Watched::new(Limits { time: LIMIT, ..Limits::default() });
        let mut endless = script(&mut watched, "function decodeUplink() { for (;;); }");
        assert!(decode(&mut watched, &mut endless, 0).unwrap_err().contains("400 ms"));
        assert!(watched.abandoned.is_empty());
    }

    #[test]
    fn what_does_not_load_says_why() {
        let mut watched = Watched::new(Limits::default());
        let mut broken = script(&mut watched, "function decodeUplink( {");
        assert!(decode(&mut watched, &mut broken, 0).unwrap_err().contains("does not load"));
    }
}
