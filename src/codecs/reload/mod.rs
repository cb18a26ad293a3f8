//! Picks up codecs whose files changed, without a restart.
//!
//! ```text
//! a file changes ─▶ quiet again ─▶ read everything in use once more ─▶ what differs is loaded on the side
//!                                                                        ├─ it loads: it is used from the next message on
//!                                                                        └─ it does not: the old one goes on, and that is told
//! ```

mod watcher;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::finder::{Finder, News};
use super::lane::lock;
use super::library::{Draft, Lookup};
use super::{Codecs, CodecsConfig, Shown, Trial};
use crate::telemetry::{Notice, Notices, with_causes};
use watcher::Watcher;

/// Whoever writes files is done when nothing has changed for so long.
const QUIET: Duration = Duration::from_millis(200);
/// And is not waited for any longer than this.
const MOST_PATIENCE: Duration = Duration::from_secs(5);
/// Who may wait for a look at once.
const MOST_ASKING: usize = 16;
/// How often is looked where changes are not told.
const LOOK: Duration = Duration::from_secs(10);
/// And anyway: of what a link leads to, or of what changes on another machine, no system tells.
const LOOK_ANYWAY: Duration = Duration::from_secs(300);

/// The task that looks after codecs on the disk.
pub struct Reload {
    finder: Arc<Mutex<Finder>>,
    shown: Shown,
    trial: Trial,
    notices: Notices,
    asked: mpsc::Receiver<oneshot::Sender<Renewed>>,
}

/// Asks for a look at everything at once. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Renewal(mpsc::Sender<oneshot::Sender<Renewed>>);

/// What a look at everything brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Renewed {
    /// Codecs that are used as they are now on the disk, and were not before.
    pub reloaded: Vec<String>,
    /// Codecs that are there and cannot be used, and why. Where there was one before, that goes on.
    pub broken: BTreeMap<String, String>,
}

impl Renewal {
    /// Looks at everything that is in use; `None` once the bridge stops.
    pub async fn now(&self) -> Option<Renewed> {
        let (reply, renewed) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        renewed.await.ok()
    }
}

impl Codecs {
    /// The task that looks after codecs on the disk, to be run once, and who may ask it to look.
    pub fn reload(&self, config: &CodecsConfig, notices: Notices) -> (Reload, Renewal) {
        let (finder, shown) = (self.finder.clone(), self.shown.clone());
        let (asking, asked) = mpsc::channel(MOST_ASKING);
        (Reload { finder, shown, trial: Trial::new(config.limits()), notices, asked }, Renewal(asking))
    }
}

impl Reload {
    pub async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look_again_and_again() => {}
        }
    }

    async fn look_again_and_again(&mut self) {
        let changed = Arc::new(Notify::new());
        let asked = lock(&self.finder).asked();
        let mut watcher = Watcher::new(changed.clone());
        loop {
            let places = lock(&self.finder).places();
            let mut reply = None;
            // What changed before it was watched is seen now.
            if !watcher.follow(places) {
                tokio::select! {
                    () = changed.notified() => {
                        quiet(&changed).await;
                        watcher.follow_anew();
                    }
                    () = asked.notified() => continue,
                    Some(asker) = self.asked.recv() => reply = Some(asker),
                    () = sleep(if watcher.sees_all() { LOOK_ANYWAY } else { LOOK }) => {}
                }
            }
            let renewed = self.renew().await;
            // Whoever asked may have gone meanwhile.
            reply.map(|reply| reply.send(renewed));
        }
    }

    /// Looks at everything again, and lets what changed take its effect.
    async fn renew(&mut self) -> Renewed {
        let mut told = BTreeMap::new();
        for News { lookup, draft } in self.news().await {
            match draft {
                Ok(Some(draft)) => {
                    let name = draft.name.clone();
                    told.extend(self.try_out(lookup, draft).await.map(|notice| (name, notice)));
                }
                Ok(None) => lock(&self.finder).accept(lookup, None),
                Err(error) => {
                    let (codec, line, error) = (lookup.to_string(), error.line(), with_causes(&error));
                    lock(&self.finder).refuse(lookup, None, error.clone());
                    told.insert(codec.clone(), Notice::CodecBroken { codec, error, line });
                }
            }
        }
        let others = lock(&self.finder).choose_again();
        for (device, chosen) in others {
            self.shown.now(&device, chosen.as_ref());
        }
        let reloaded = told.iter().filter(|(_, notice)| matches!(notice, Notice::CodecReloaded { .. }));
        let renewed = Renewed {
            reloaded: reloaded.map(|(codec, _)| codec.clone()).collect(),
            broken: lock(&self.finder).refused(),
        };
        told.into_values().for_each(|notice| self.notices.tell(notice));
        renewed
    }

    /// The disk is read on a thread where it holds nobody up.
    async fn news(&self) -> Vec<News> {
        let (library, questions) = lock(&self.finder).questions();
        let ask = move |lookup: Lookup| News { draft: library.look_up(&lookup), lookup };
        let answers = tokio::task::spawn_blocking(move || questions.into_iter().map(ask).collect::<Vec<_>>());
        let mut answers = answers.await.unwrap_or_default();
        let finder = lock(&self.finder);
        answers.retain(|News { lookup, draft }| finder.is_news(lookup, draft));
        answers
    }

    async fn try_out(&mut self, lookup: Lookup, draft: Draft) -> Option<Notice> {
        let codec = draft.name.clone();
        match self.trial.load(draft.source.clone()).await {
            Ok(()) => {
                lock(&self.finder).accept(lookup, Some(draft));
                Some(Notice::CodecReloaded { codec })
            }
            Err(error) => {
                // What may load another time is not remembered, and tried again at the next look.
                let tried = error.is_final().then_some(draft);
                let (line, error) = (error.line(), with_causes(&error));
                let is_news = lock(&self.finder).refuse(lookup, tried, error.clone());
                is_news.then_some(Notice::CodecBroken { codec, error, line })
            }
        }
    }
}

async fn quiet(changed: &Notify) {
    let patience = sleep(MOST_PATIENCE);
    tokio::pin!(patience);
    loop {
        tokio::select! {
            () = changed.notified() => {}
            () = sleep(QUIET) => return,
            () = &mut patience => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::codecs::Wishes;
    use crate::model::Uplink;

    #[tokio::test]
    async fn a_codec_that_only_lacked_room_is_tried_again_and_one_that_is_wrong_is_not() {
        let disk = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(disk.path().join("node.js"), text).unwrap();
        write("function decodeUplink() {}");
        let time_limit = Duration::from_secs(10);
        let config = CodecsConfig { folder: Some(disk.path().into()), time_limit, ..CodecsConfig::default() };
        let (crossed, _back) = mpsc::channel(1);
        let shown = Shown::new(Arc::default(), watch::Sender::default());
        let codecs = Codecs::start(Finder::new(&config), &config, crossed, shown).unwrap();
        codecs.choose(&Uplink::sample("node", 1, 0).key, &Wishes::default()).unwrap();
        let (notices, mut told) = mpsc::channel(10);
        let (mut reload, _renewal) = codecs.reload(&config, Notices::new(notices));
        let greedy = "for (var all = [];;) all.push(new Array(1000).fill(1));";
        for (script, is_tried_again) in [(greedy, true), ("nonsense(", false)] {
            write(script);
            for _ in 0..2 {
                reload.renew().await;
            }
            assert!(matches!(told.try_recv(), Ok(Notice::CodecBroken { .. })), "{script}");
            assert!(told.try_recv().is_err(), "{script} is told once");
            assert_eq!(!reload.news().await.is_empty(), is_tried_again, "{script}");
        }
    }

    /// The clock runs on as soon as everybody waits; a trial may then seem to last too long, and is told all the same.
    #[tokio::test(start_paused = true)]
    async fn what_no_system_tells_of_is_seen_nevertheless() {
        let disk = tempfile::tempdir().unwrap();
        let (folder, target) = (disk.path().join("codecs"), disk.path().join("elsewhere.js"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&target, "function decodeUplink() {}").unwrap();
        std::os::unix::fs::symlink(&target, folder.join("node.js")).unwrap();
        let config = CodecsConfig { folder: Some(folder), ..CodecsConfig::default() };
        let (crossed, _back) = mpsc::channel(1);
        let shown = Shown::new(Arc::default(), watch::Sender::default());
        let codecs = Codecs::start(Finder::new(&config), &config, crossed, shown).unwrap();
        assert!(codecs.choose(&Uplink::sample("node", 1, 0).key, &Wishes::default()).is_some());
        let (notices, mut told) = mpsc::channel(1);
        let (mut reload, _renewal) = codecs.reload(&config, Notices::new(notices));
        reload.renew().await;
        std::fs::write(&target, "function decodeUplink() { return {}; }").unwrap();
        let told = tokio::select! {
            () = reload.run(CancellationToken::new()) => unreachable!("nobody stops it"),
            told = tokio::time::timeout(2 * LOOK_ANYWAY, told.recv()) => told.expect("it is seen"),
        };
        let Some(Notice::CodecReloaded { codec } | Notice::CodecBroken { codec, .. }) = told else {
            panic!("{told:?}")
        };
        assert_eq!(codec, "node");
    }
}
