//! Home Assistant's starts, as those see them who then tell it everything again.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Home Assistant says `online` before all of it listens, and every program at home answers at once: so a random while
/// passes first (Home Assistant's documentation of MQTT discovery asks for it).
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Follows the starts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AssistantStarts {
    started: watch::Receiver<()>,
    settled_at: Option<Instant>,
}

impl AssistantStarts {
    pub fn new(started: watch::Receiver<()>) -> Self {
        Self { started, settled_at: None }
    }

    /// Resolves a short random while after Home Assistant started; a start meanwhile begins it anew. Never, once nobody
    /// can tell any more. May be dropped at any time.
    pub async fn settled(&mut self) {
        loop {
            let settled_at = self.settled_at;
            tokio::select! {
                biased;
                Ok(()) = self.started.changed() => self.settled_at = Some(Instant::now() + wait()),
                () = sleep_until(settled_at.unwrap_or_else(Instant::now)), if settled_at.is_some() => {
                    self.settled_at = None;
                    return;
                }
                else => pending().await,
            }
        }
    }
}

fn wait() -> Duration {
    SHORTEST_WAIT + (LONGEST_WAIT - SHORTEST_WAIT).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_start_is_told_once_a_short_while_later_however_often_it_was_asked_for() {
        let (start, started) = watch::channel(());
        let mut starts = AssistantStarts::new(started);
        start.send_replace(());
        let began = Instant::now();
        // Dropped on the way.
        tokio::time::timeout(Duration::from_millis(100), starts.settled()).await.unwrap_err();
        starts.settled().await;
        assert!((SHORTEST_WAIT..=LONGEST_WAIT + Duration::from_millis(2)).contains(&began.elapsed()));
        tokio::time::timeout(Duration::from_secs(60), starts.settled()).await.unwrap_err();
        start.send_replace(());
        starts.settled().await;
    }
}
