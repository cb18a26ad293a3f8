//! Loads a codec on a thread of its own, to see whether it does before anybody depends on it.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use payload_codecs::{CodecError, Limits, Source};
use tokio::sync::oneshot;

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
    #[error("too many codecs never finished loading; no other is tried until the bridge is restarted")]
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
        let limits = self.limits;
        let task = move || drop(reply.send(load(&source, &limits)));
        let thread = thread::Builder::new().name("codec-trial".into()).spawn(task)?;
        match tokio::time::timeout(limits.time + PATIENCE, loaded).await {
            Ok(Ok(loaded)) => Ok(loaded?),
            // It panicked: as good as never.
            Ok(Err(_)) => Err(TrialError::Stuck),
            Err(_) => {
                self.lost.push(thread);
                Err(TrialError::Stuck)
            }
        }
    }
}

impl TrialError {
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
