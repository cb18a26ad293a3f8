//! Loads a codec on a thread of its own, to see whether it does before anybody depends on it.

use std::io;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use payload_codecs::{CodecError, Limits, Source};
use tokio::sync::oneshot;

use super::desk::send_to_the_back;

/// How long loading may take beyond the limit that the engine keeps itself: only a native loop inside it does.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads that may be lost to scripts that never end.
const MOST_LOST: usize = 4;

/// Tries codecs, one after the other.
#[derive(Debug)]
pub struct Trial {
    limits: Limits,
    lost: Vec<JoinHandle<()>>,
}

/// Why a codec is not used.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("it never finished loading")]
    Stuck,
    #[error("too many codecs never finished loading; no other is tried until one does or the bridge is started again")]
    TooManyStuck,
    #[error("no thread could be started for it")]
    Thread(#[from] io::Error),
}

impl Trial {
    pub fn new(limits: Limits) -> Self {
        Self { limits, lost: Vec::new() }
    }

    /// Loads it and drops it again.
    pub async fn load(&mut self, source: Source) -> Result<(), TrialError> {
        self.lost.retain(|thread| !thread.is_finished());
        if self.lost.len() >= MOST_LOST {
            return Err(TrialError::TooManyStuck);
        }
        let (reply, loaded) = oneshot::channel();
        let (limits, patience) = (self.limits, source.loading(&self.limits) + PATIENCE);
        let id = Arc::new(OnceLock::new());
        let its_id = id.clone();
        let task = move || {
            its_id.get_or_init(rustix::thread::gettid);
            reply.send(load(&source, &limits)).ok();
        };
        let thread = thread::Builder::new().name("codec-trial".into()).spawn(task)?;
        match tokio::time::timeout(patience, loaded).await {
            Ok(Ok(loaded)) => Ok(loaded?),
            // It panicked: as good as never.
            Ok(Err(_)) => Err(TrialError::Stuck),
            Err(_) => {
                id.get().copied().into_iter().for_each(send_to_the_back);
                self.lost.push(thread);
                Err(TrialError::Stuck)
            }
        }
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
        assert!(matches!(stuck, Err(TrialError::Stuck)) && trial.lost.len() == 1, "{stuck:?}");
        let end = std::sync::Arc::new(std::sync::Barrier::new(MOST_LOST));
        trial.lost.extend((1..MOST_LOST).map(|_| {
            let end = end.clone();
            thread::spawn(move || {
                end.wait();
            })
        }));
        assert!(matches!(trial.load(script("")).await, Err(TrialError::TooManyStuck)));
        end.wait();
    }
}
