//! Runs a codec on a thread of its own, where nothing depends on it: to see whether it loads, and what it makes of a payload.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use payload_codecs::metadata::Field;
use payload_codecs::{CodecError, DownlinkInput, Encoded, Limits, Reading, Source, UplinkInput};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::desk::send_to_the_back;

/// How long a codec may take beyond the limits that the engine keeps itself: only a native loop inside it does.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads that may be lost to scripts that never end.
const MOST_LOST: usize = 4;

/// Tries codecs, one after the other.
#[derive(Debug)]
pub struct Trial {
    limits: Limits,
    /// Those at work, and those that never end.
    threads: Vec<JoinHandle<()>>,
}

/// What a codec is asked.
#[derive(Debug, Clone)]
pub enum Question {
    /// What the payload of an uplink says, and when it came; without that, just now.
    Decode { payload: Vec<u8>, f_port: u8, at: Option<Timestamp> },
    /// Which bytes tell a device these fields.
    Encode { fields: Box<RawValue>, f_port: Option<u8> },
}

/// What came of it.
#[derive(Debug)]
pub struct Tried {
    pub outcome: Result<Answer, CodecError>,
    /// What the script wrote to its `console` meanwhile.
    pub console: Vec<String>,
}

/// What came of several questions to one codec.
#[derive(Debug)]
pub struct Examined {
    /// What it says of its fields itself.
    pub described: Vec<Field>,
    /// In the order of the questions.
    pub tried: Vec<Tried>,
}

/// What a codec answers.
#[derive(Debug)]
pub enum Answer {
    Decoded(Reading),
    Encoded(Encoded),
}

/// Why a codec is not used.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("it never came back")]
    Stuck,
    #[error("too many codecs never came back; no other is tried until one does or the bridge is started again")]
    TooManyStuck,
    #[error("no thread could be started for it")]
    Thread(#[from] io::Error),
}

impl Trial {
    pub fn new(limits: Limits) -> Self {
        Self { limits, threads: Vec::new() }
    }

    /// How many questions one codec can surely answer in that time.
    pub fn most_within(&self, time: Duration) -> usize {
        let each = (2 * self.limits.time).max(Duration::from_millis(1));
        usize::try_from(time.as_millis() / each.as_millis()).unwrap_or(usize::MAX).max(1)
    }

    /// Loads it and drops it again.
    pub async fn load(&mut self, source: Source) -> Result<(), TrialError> {
        let (limits, patience) = (self.limits, source.loading(&self.limits));
        Ok(self.apart(patience, move || load(&source, &limits)).await??)
    }

    /// Loads it, asks it, and drops it again. An uplink's fields are normalised too.
    ///
    /// # Errors
    /// It did not come back, or no thread could be had for it. What the codec itself says is in the answers; one that does
    /// not load says so to each question.
    pub async fn ask(&mut self, source: Source, questions: Vec<Question>) -> Result<Examined, TrialError> {
        let limits = self.limits;
        // Decoding and normalising have the limit each.
        let each = 2 * limits.time;
        let patience = source.loading(&limits) + each * u32::try_from(questions.len()).unwrap_or(u32::MAX);
        self.apart(patience, move || examine(&source, &questions, &limits)).await
    }

    /// Does something on a thread of its own, and waits for it no longer than it may take.
    async fn apart<T: Send + 'static>(
        &mut self,
        limit: Duration,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, TrialError> {
        self.threads.retain(|thread| !thread.is_finished());
        if self.threads.len() >= MOST_LOST {
            return Err(TrialError::TooManyStuck);
        }
        let (reply, done) = oneshot::channel();
        let id = Arc::new(OnceLock::new());
        let its_id = id.clone();
        let task = move || {
            its_id.get_or_init(rustix::thread::gettid);
            reply.send(job()).ok();
        };
        // Counted from now on, for whoever asked may not stay to the end.
        self.threads.push(thread::Builder::new().name("codec-trial".into()).spawn(task)?);
        match tokio::time::timeout(limit + PATIENCE, done).await {
            Ok(Ok(done)) => Ok(done),
            // It panicked: as good as never.
            Ok(Err(_)) => Err(TrialError::Stuck),
            Err(_) => {
                id.get().copied().into_iter().for_each(send_to_the_back);
                Err(TrialError::Stuck)
            }
        }
    }
}

impl Question {
    fn put_to(&self, codec: &mut dyn payload_codecs::Codec) -> Tried {
        let outcome = match self {
            Self::Decode { payload, f_port, at } => {
                let recv_time_ms = Some(at.unwrap_or_else(Timestamp::now).as_millisecond());
                let input = UplinkInput { bytes: payload, f_port: *f_port, recv_time_ms };
                let decoded = codec.decode_uplink(&input);
                decoded.map(|decoded| Answer::Decoded(decoded.normalized_by(codec)))
            }
            Self::Encode { fields, f_port } => {
                codec.encode_downlink(&DownlinkInput { data: fields, f_port: *f_port }).map(Answer::Encoded)
            }
        };
        Tried { outcome, console: codec.take_console() }
    }
}

impl TrialError {
    /// Whether another try would end the same way. One that never finished may be right on a machine less busy, but each
    /// try may cost a thread.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Codec(error) => error.is_final(),
            Self::Stuck => true,
            Self::TooManyStuck | Self::Thread(_) => false,
        }
    }

    /// The line of the script, counted from 1, if that is known.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::Codec(error) => error.line(),
            _ => None,
        }
    }
}

fn examine(source: &Source, questions: &[Question], limits: &Limits) -> Examined {
    match payload_codecs::load(source, limits) {
        Ok(mut codec) => {
            let described = codec.fields();
            Examined { described, tried: questions.iter().map(|question| question.put_to(codec.as_mut())).collect() }
        }
        Err(error) => {
            let failed = |_| Tried { outcome: Err(error.clone()), console: Vec::new() };
            Examined { described: Vec::new(), tried: questions.iter().map(failed).collect() }
        }
    }
}

/// Loads every part by itself: a codec of two loads also where one of them does not.
fn load(source: &Source, limits: &Limits) -> Result<(), CodecError> {
    source.parts().into_iter().try_for_each(|part| payload_codecs::load(part, limits).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Source {
        Source::JavaScript { name: "test".into(), script: text.into() }
    }

    #[tokio::test]
    async fn what_loads_is_told_from_what_does_not() {
        let mut trial = Trial::new(Limits { time: Duration::from_secs(10), ..Limits::default() });
        trial.load(script("function decodeUplink() {}")).await.unwrap();
        let error = trial.load(script("\nfunction decodeUplink( {")).await.unwrap_err();
        assert!(matches!(error, TrialError::Codec(CodecError::Load { .. })) && error.line() == Some(2), "{error}");
    }

    /// The clock runs on as soon as everybody waits, so that nobody does.
    #[tokio::test(start_paused = true)]
    async fn a_script_that_never_ends_is_given_up_and_only_so_many_are() {
        let mut trial = Trial::new(Limits::default());
        // The engine cannot interrupt its own sorting: some seconds.
        let stuck = trial.load(script("new Array(15e6).sort(); function decodeUplink() {}")).await;
        assert!(matches!(stuck, Err(TrialError::Stuck)) && trial.threads.len() == 1, "{stuck:?}");
        let end = std::sync::Arc::new(std::sync::Barrier::new(MOST_LOST));
        trial.threads.extend((1..MOST_LOST).map(|_| {
            let end = end.clone();
            thread::spawn(move || {
                end.wait();
            })
        }));
        assert!(matches!(trial.load(script("")).await, Err(TrialError::TooManyStuck)));
        end.wait();
    }
}
