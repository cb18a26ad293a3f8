//! The tasks of a bridge, and how they end: one stop signal, an ordered and time-boxed drain.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::telemetry::Systemd;

/// How long tasks that were not finished in time may take to be gone.
const END_WITHIN: Duration = Duration::from_secs(5);

/// How a bridge ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to, and finished what it held.
    Stopped,
    /// It was to begin again, and finished what it held or had no time left for it.
    Again,
    /// It was asked to, and did not finish in time, or was asked twice.
    Forced,
    /// One of its tasks ended by itself.
    TaskDied(&'static str),
}

/// The tasks of a bridge, by name.
#[derive(Default)]
pub struct Tasks {
    /// They end by themselves once the stop signal was given and they finished what they hold.
    drained: Vec<(&'static str, BoxFuture<'static, ()>)>,
    /// They serve the others and are ended after them.
    background: Vec<(&'static str, BoxFuture<'static, ()>)>,
}

impl Tasks {
    pub fn add(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.drained.push((name, task.boxed()));
    }

    pub fn add_background(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.background.push((name, task.boxed()));
    }

    /// Runs them all until `asked` or `again` resolves or one of them ends; then gives the `stop` signal and waits for the
    /// rest, for `grace` at most or until `asked` resolves again.
    pub async fn run(
        self,
        stop: CancellationToken,
        grace: Duration,
        systemd: Systemd,
        mut asked: impl AsyncFnMut(),
        again: impl Future<Output = ()>,
    ) -> Ended {
        let mut background = Running::start(self.background);
        let mut running = Running::start(self.drained);
        let mut why = tokio::select! {
            () = asked() => Ended::Stopped,
            () = again => Ended::Again,
            name = running.next_end() => Ended::TaskDied(name.unwrap_or("unnamed")),
            name = background.next_end(), if !background.is_empty() => Ended::TaskDied(name.unwrap_or("unnamed")),
        };
        match why {
            Ended::TaskDied(name) => tracing::error!(task = name, "A task ended by itself; stopping."),
            _ => tracing::info!("Stopping: finishing what is under way."),
        }
        // A service that begins again does not stop.
        if why != Ended::Again {
            systemd.stopping();
        }
        stop.cancel();
        let late = tokio::time::sleep(grace);
        tokio::pin!(late);
        let drained = loop {
            tokio::select! {
                () = running.all_ended() => break true,
                () = &mut late => break false,
                () = asked() => match why {
                    Ended::Again => {
                        why = Ended::Stopped;
                        systemd.stopping();
                    }
                    _ => break false,
                },
            }
        };
        if !drained && !matches!(why, Ended::TaskDied(_)) {
            tracing::error!(tasks = running.names().join(", "), "Not finished in time; ending now.");
            if why != Ended::Again {
                return Ended::Forced;
            }
            // What waits for a broker that is away waits on disk, where the next bridge finds it. This one must be gone.
            tokio::time::timeout(END_WITHIN, running.set.shutdown()).await.ok();
        }
        why
    }
}

struct Running {
    set: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Running {
    fn start(tasks: Vec<(&'static str, BoxFuture<'static, ()>)>) -> Self {
        let mut set = JoinSet::new();
        let names = tasks.into_iter().map(|(name, task)| (set.spawn(task).id(), name)).collect();
        Self { set, names }
    }

    /// The name of the next task that ends; `None` once all have.
    async fn next_end(&mut self) -> Option<&'static str> {
        let ended = self.set.join_next_with_id().await?;
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let name = self.names.remove(&id).unwrap_or("unnamed");
        if let Some(error) = ended.err().filter(JoinError::is_panic) {
            tracing::error!(task = name, error = %error, "A task panicked.");
        }
        Some(name)
    }

    fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    async fn all_ended(&mut self) {
        while self.next_end().await.is_some() {}
    }

    fn names(&self) -> Vec<&'static str> {
        self.names.values().copied().collect()
    }
}

/// SIGTERM and SIGINT.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next of either.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// SIGHUP, which asks for the configuration to be read again. Without a listener it ends the process.
pub struct Hangups(Signal);

impl Hangups {
    pub fn listen() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::hangup())?))
    }

    /// Resolves at the next; never if there can be none any more.
    pub async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use tokio::sync::oneshot;

    async fn run(tasks: Tasks, stop: CancellationToken, asked: impl AsyncFnMut()) -> Ended {
        tasks.run(stop, Duration::from_secs(10), Systemd::detect(), asked, std::future::pending()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_tasks_finish() {
        let (stop, mut tasks) = (CancellationToken::new(), Tasks::default());
        let (done, finished) = oneshot::channel();
        let its = stop.clone();
        tasks.add("worker", async move {
            its.cancelled().await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            done.send(()).unwrap();
        });
        let mut asks = 0;
        let asked = async || {
            asks += 1;
            if asks > 1 {
                std::future::pending::<()>().await;
            }
        };
        assert_eq!(run(tasks, stop, asked).await, Ended::Stopped);
        finished.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_stop_or_the_end_of_the_grace_period_ends_it_at_once() {
        for patient in [true, false] {
            let mut tasks = Tasks::default();
            tasks.add("stuck", std::future::pending());
            let mut asks = 0;
            let asked = async || {
                asks += 1;
                if asks > 1 && patient {
                    std::future::pending::<()>().await;
                }
            };
            assert_eq!(run(tasks, CancellationToken::new(), asked).await, Ended::Forced);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bridge_that_begins_again_drains_first_and_a_stop_meanwhile_is_a_stop() {
        for stopped_meanwhile in [false, true] {
            let (stop, mut tasks) = (CancellationToken::new(), Tasks::default());
            let its = stop.clone();
            tasks.add("worker", async move {
                its.cancelled().await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            });
            let its = stop.clone();
            let mut asks = 0;
            let asked = async || {
                its.cancelled().await;
                asks += 1;
                if asks > 1 || !stopped_meanwhile {
                    std::future::pending::<()>().await;
                }
            };
            let grace = Duration::from_secs(10);
            let ended = tasks.run(stop.clone(), grace, Systemd::detect(), asked, async {}).await;
            assert_eq!(ended, if stopped_meanwhile { Ended::Stopped } else { Ended::Again });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_begins_again_does_so_though_not_all_is_finished_and_nothing_of_it_is_left() {
        let (held, mut tasks) = (Arc::new(()), Tasks::default());
        let its = held.clone();
        tasks.add("stuck", async move {
            std::future::pending::<()>().await;
            drop(its);
        });
        let asked = async || std::future::pending().await;
        let (stop, grace) = (CancellationToken::new(), Duration::from_secs(10));
        let ended = tasks.run(stop, grace, Systemd::detect(), asked, async {}).await;
        assert_eq!((ended, Arc::strong_count(&held)), (Ended::Again, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_dies_stops_the_bridge_and_is_named() {
        let (stop, mut tasks) = (CancellationToken::new(), Tasks::default());
        let its = stop.clone();
        tasks.add("healthy", async move { its.cancelled().await });
        tasks.add("sick", async { panic!("as intended") });
        assert_eq!(run(tasks, stop, std::future::pending).await, Ended::TaskDied("sick"));
    }
}
