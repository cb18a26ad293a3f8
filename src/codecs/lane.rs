//! One lane: a queue of jobs and the thread that works on it at the moment.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use payload_codecs::{CodecError, Decoded, DownlinkInput, Limits, Reading, UplinkInput};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use super::bench::Bench;
use super::desk::{Bell, Desk};
use super::quarantine::Quarantine;
use super::turns::Turn;
use super::{Codec, Crossed, Encoded, Fault};
use crate::model::Uplink;

/// Jobs that wait in one lane.
pub const LANE_CAPACITY: usize = 256;

/// One thing for a codec to do.
#[derive(Debug)]
pub struct Job {
    pub codec: Arc<Codec>,
    pub task: Task,
}

/// What to do, and whom to tell.
#[derive(Debug)]
pub enum Task {
    Decode(Box<Uplink>, Turn),
    Encode { data: Box<RawValue>, f_port: Option<u8>, reply: oneshot::Sender<Result<Encoded, Fault>> },
}

impl Job {
    /// Answers a job that no codec will see: an uplink goes on raw. There is room for it: the channel holds as many as
    /// may be under way.
    pub fn refuse(self, fault: Fault, crossed: &mpsc::Sender<Crossed>) {
        match self.task {
            Task::Decode(uplink, _turn) => {
                crossed.try_send(Crossed { uplink, codec: self.codec, outcome: Err(fault), took: None }).ok();
            }
            Task::Encode { reply, .. } => {
                reply.send(Err(fault)).ok();
            }
        }
    }

    /// Answers for a worker that was given up: with what it had found, if there is such.
    pub fn give_up(self, found: Option<Reading>, fault: Fault, crossed: &mpsc::Sender<Crossed>) {
        let Self { codec, task } = self;
        match (task, found) {
            (Task::Decode(uplink, _turn), Some(mut reading)) => {
                reading.warnings.push(format!("normalizeUplink: {fault}"));
                crossed.try_send(Crossed { uplink, codec, outcome: Ok(reading), took: None }).ok();
            }
            (task, _) => Self { codec, task }.refuse(fault, crossed),
        }
    }
}

/// The receiving end of a lane. It outlives the thread that works on it.
#[derive(Clone)]
pub struct Lane {
    pub number: usize,
    pub jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    pub crossed: mpsc::Sender<Crossed>,
    pub limits: Limits,
    pub quarantine: Arc<Mutex<Quarantine>>,
    pub bell: Arc<Bell>,
}

impl Lane {
    /// Starts a thread on this lane.
    pub fn staff(&self) -> io::Result<Arc<Desk>> {
        let (desk, lane) = (Arc::new(Desk::new(self.bell.clone())), self.clone());
        let its_desk = desk.clone();
        thread::Builder::new().name(format!("codec-{}", self.number)).spawn(move || lane.work(&its_desk))?;
        Ok(desk)
    }

    /// Works until the lane is closed, or until the watch gave up on this thread.
    fn work(&self, desk: &Desk) {
        desk.sit_down();
        let mut bench = Bench::new(self.limits);
        while let Some(job) = self.next_job() {
            if let Some(fault) = self.objection(&job) {
                job.refuse(fault, &self.crossed);
                continue;
            }
            let (codec, input) = (job.codec.clone(), Input::of(&job.task));
            desk.put(job, self.limits.time);
            let began = Instant::now();
            let output = self.run(&mut bench, &codec, &input, desk);
            let took = began.elapsed();
            match desk.take() {
                Some(job) => self.answer(job, output, took),
                None => {
                    lock(&self.quarantine).came_back(codec.id, Instant::now());
                    return self.bell.ring();
                }
            }
        }
    }

    /// Lets the codec do its work, phase by phase.
    fn run(&self, bench: &mut Bench, codec: &Arc<Codec>, input: &Input, desk: &Desk) -> Output {
        let loaded = match bench.codec(codec, || desk.next_phase(codec.source.loading(&self.limits))) {
            Ok(loaded) => loaded,
            Err(error) => return Output::failed(input, error),
        };
        let output = input.run(loaded, desk, &self.limits);
        for line in loaded.take_console() {
            tracing::debug!(codec = codec.name, line, "Codec wrote to its console.");
        }
        output
    }

    /// Holds the lane's entrance only while it waits, so that a new thread can take over from one that is stuck.
    fn next_job(&self) -> Option<Job> {
        lock(&self.jobs).blocking_recv()
    }

    /// Why this job is not for its codec. Asked at its turn, not at the lane's entrance, so that an uplink its codec does
    /// not see stays behind those it does.
    fn objection(&self, job: &Job) -> Option<Fault> {
        let quarantine = lock(&self.quarantine);
        match &job.task {
            Task::Decode(uplink, _) if !uplink.is_decodable() => Some(Fault::NothingToDecode),
            _ if quarantine.is_exhausted() && job.codec.source.runs_scripts() => Some(Fault::TooManyStuck),
            _ if !quarantine.admits(job.codec.id, Instant::now()) => Some(Fault::Quarantined),
            _ => None,
        }
    }

    /// An answer finds no receiver only when its flow is gone: the process is past its drain.
    fn answer(&self, job: Job, output: Output, took: Duration) {
        lock(&self.quarantine).note(job.codec.id, output.timed_out(), Instant::now());
        match (job.task, output) {
            (Task::Decode(uplink, _turn), Output::Decoded(outcome)) => {
                let (codec, outcome) = (job.codec, outcome.map_err(Fault::Codec));
                self.crossed.blocking_send(Crossed { uplink, codec, outcome, took: Some(took) }).ok();
            }
            (Task::Encode { reply, .. }, Output::Encoded(outcome)) => {
                reply.send(outcome.map_err(Fault::Codec)).ok();
            }
            _ => unreachable!("an input's output is of its own kind"),
        }
    }
}

/// What a codec reads, apart from the job on the desk so that the watch can take that away meanwhile.
enum Input {
    Uplink { bytes: bytes::Bytes, f_port: u8, recv_time_ms: i64 },
    Command { data: Box<RawValue>, f_port: Option<u8> },
}

enum Output {
    Decoded(Result<Reading, CodecError>),
    Encoded(Result<Encoded, CodecError>),
}

impl Input {
    fn of(task: &Task) -> Self {
        match task {
            Task::Decode(uplink, _) => Self::Uplink {
                bytes: uplink.payload.clone(),
                f_port: uplink.f_port.unwrap_or(0),
                recv_time_ms: uplink.at.as_millisecond(),
            },
            Task::Encode { data, f_port, .. } => Self::Command { data: data.clone(), f_port: *f_port },
        }
    }

    /// Asks the codec; each question has the limit for itself.
    fn run(&self, codec: &mut dyn payload_codecs::Codec, desk: &Desk, limits: &Limits) -> Output {
        desk.next_phase(limits.time);
        match self {
            Self::Uplink { bytes, f_port, recv_time_ms } => {
                let input = UplinkInput { bytes, f_port: *f_port, recv_time_ms: Some(*recv_time_ms) };
                Output::Decoded(codec.decode_uplink(&input).map(|decoded| {
                    // A normalizer that never comes back must not cost the fields.
                    desk.lay(not_normalized(&decoded));
                    desk.next_phase(limits.time);
                    decoded.normalized_by(codec)
                }))
            }
            Self::Command { data, f_port } => {
                Output::Encoded(codec.encode_downlink(&DownlinkInput { data, f_port: *f_port }))
            }
        }
    }
}

fn not_normalized(Decoded { data, warnings }: &Decoded) -> Reading {
    Reading { data: data.clone(), measurements: None, warnings: warnings.clone() }
}

impl Output {
    fn failed(input: &Input, error: CodecError) -> Self {
        match input {
            Input::Uplink { .. } => Self::Decoded(Err(error)),
            Input::Command { .. } => Self::Encoded(Err(error)),
        }
    }

    fn timed_out(&self) -> bool {
        let error = match self {
            Self::Decoded(outcome) => outcome.as_ref().err(),
            Self::Encoded(outcome) => outcome.as_ref().err(),
        };
        matches!(error, Some(CodecError::TimedOut { .. }))
    }
}

/// A thread that panicked while it held the lock left nothing half-done: every critical section is one assignment.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
