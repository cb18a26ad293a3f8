//! The bridge itself on its stage, in this process.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use ttn_ferry::app::App;
use ttn_ferry::config::{Config, Process};
use ttn_ferry::shutdown::Ended;
use ttn_ferry::telemetry::{Counters, LogLevel, Snapshot};

use super::{PATIENCE, Setup, Stage, in_time};

/// A stage with a running bridge: the same `App` as `ttn-ferry run` builds, on a thread of its own as there. Dropping it
/// ends the bridge at once.
pub struct Ferry {
    stage: Stage,
    stop: mpsc::Sender<()>,
    ended: oneshot::Receiver<Ended>,
    pub counters: Counters,
    /// Where the page and the API are served, if they are.
    pub page: Option<SocketAddr>,
}

impl Ferry {
    /// With the usual stage, connected on both sides.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With a changed stage, connected on both sides.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut ferry = Self::on(Stage::set(change).await).await;
        ferry.network.subscribed().await;
        assert_eq!(ferry.home.on("ttn/bridge/state").await["state"], "online");
        ferry
    }

    /// On a stage that is set already, connected or not.
    pub async fn on(stage: Stage) -> Self {
        let (toml, path) = (stage.toml().to_owned(), stage.configuration());
        let (stop, asked) = mpsc::channel(2);
        let (built, is_built) = oneshot::channel();
        let (ending, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            // Nobody listens any more if the test is over.
            ending.send(runtime.block_on(run(&toml, &path, asked, built))).ok();
        });
        let (counters, page) = in_time("the bridge to be built", is_built).await.expect("the setup is valid");
        Self { stage, stop, ended, counters, page }
    }

    /// Waits until the bridge counted this.
    pub async fn counted(&self, what: &str, wanted: impl Fn(&Snapshot) -> bool) {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        let counted = async {
            while !wanted(&self.counters.snapshot()) {
                look.tick().await;
            }
        };
        if tokio::time::timeout(PATIENCE, counted).await.is_err() {
            panic!("waited in vain for {what}: {:?}", self.counters.snapshot());
        }
    }

    /// Asks the bridge to stop, once.
    pub async fn ask_to_stop(&self) {
        self.stop.send(()).await.unwrap();
    }

    /// How the bridge ended, once it did; the stage stays.
    pub async fn ended(self) -> (Ended, Stage) {
        (in_time("the end of the bridge", self.ended).await.expect("the bridge does not panic"), self.stage)
    }

    /// Stops the bridge as a service manager would.
    pub async fn stop(self) -> (Ended, Stage) {
        self.ask_to_stop().await;
        self.ended().await
    }
}

/// What is known of a bridge before it runs.
type Built = (Counters, Option<SocketAddr>);

async fn run(toml: &str, path: &Path, mut asked: mpsc::Receiver<()>, built: oneshot::Sender<Built>) -> Ended {
    let config = Config::from_text(toml, path, &Process).unwrap_or_else(|error| panic!("{error}\n{toml}"));
    let app = App::build(&config, &Process, LogLevel::default()).unwrap();
    built.send((app.counters(), app.page())).ok();
    app.run_until_stopped(async || {
        asked.recv().await;
    })
    .await
}

impl Deref for Ferry {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for Ferry {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}
