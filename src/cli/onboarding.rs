//! The first run: `run` without a configuration asks for one on a page of its own, and goes on with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Terminal;
use super::check::{Finding, connections, in_itself, refused};
use super::init::{Answers, Draft, InitError};
use crate::config::{Config, Environment, SYSTEM_PATH};
use crate::control::{Body, Kind, Problem};
use crate::shutdown::Signals;
use crate::telemetry::Systemd;
use crate::web::{Asking, Onboarding};

/// The clusters of The Things Network (its documentation, "Addresses"), in the order in which they are offered.
const CLUSTERS: [&str; 3] = ["eu1", "nam1", "au1"];

/// Asks for a configuration that will lie at `target`.
struct FirstRun {
    target: PathBuf,
    /// Where the page is now, and stays.
    page: SocketAddr,
    environment: &'static dyn Environment,
}

/// Serves the page until the configuration is written, which is then there; `false` if the bridge was stopped first.
pub async fn first_run(
    target: &Path,
    page: SocketAddr,
    environment: &'static dyn Environment,
    terminal: &mut Terminal,
) -> anyhow::Result<bool> {
    let onboarding = Onboarding::open(page).map_err(|error| {
        let error = error.to_string();
        let told = error.lines().next().unwrap_or_default();
        anyhow!("{told}\n  hint: --page 127.0.0.1:8900 serves it elsewhere; `ttn-ferry init` asks in the terminal")
    })?;
    let (mut signals, stop, systemd) = (Signals::listen()?, CancellationToken::new(), Systemd::detect());
    terminal.say(&welcome(&onboarding, target));
    systemd.ready();
    systemd.status("waits for its first configuration: the log tells the address of the page that asks for it");
    let first = FirstRun { target: target.to_owned(), page: onboarding.address(), environment };
    let serving = onboarding.run(Arc::new(first), stop.clone());
    tokio::pin!(serving);
    let written = tokio::select! {
        written = &mut serving => written,
        () = systemd.watchdog() => false,
        () = signals.next() => {
            stop.cancel();
            serving.await
        }
    };
    if written {
        terminal.say(&format!("wrote {}; starting", target.display()));
    }
    Ok(written)
}

/// Where a configuration that nobody named would lie: a service has one place, whatever folder it stands in.
pub fn target() -> PathBuf {
    if Systemd::detect().is_there() { SYSTEM_PATH.into() } else { super::init::default_target() }
}

fn welcome(onboarding: &Onboarding, target: &Path) -> String {
    let (url, port) = (onboarding.url(), onboarding.address().port());
    format!(
        "There is no configuration yet. To make one, open this on this machine:\n  {url}\n\
         From another machine, first: ssh -L {port}:{} <this machine>\n\
         It will be written to {}. `ttn-ferry init` does the same in a terminal.",
        onboarding.address(),
        target.display()
    )
}

impl Asking for FirstRun {
    fn known(&self) -> Value {
        json!({ "path": self.target, "clusters": CLUSTERS })
    }

    fn check(&self, answers: Body) -> BoxFuture<'_, Result<Value, Problem>> {
        async move {
            let draft = self.draft(answers)?;
            Ok(json!({ "findings": self.findings(&draft).await }))
        }
        .boxed()
    }

    fn write(&self, answers: Body) -> Result<Value, Problem> {
        let draft = self.draft(answers)?;
        draft.check(self.environment).map_err(|error| problem(&error.into()))?;
        draft.write(false).map_err(|error| problem(&error))?;
        Ok(json!({ "path": self.target }))
    }
}

impl FirstRun {
    fn draft(&self, answers: Body) -> Result<Draft, Problem> {
        let answers: Answers = answers.read()?;
        let draft = answers.draft(self.target.clone(), self.environment).map_err(|error| problem(&error))?;
        Ok(Draft { page: self.page, ..draft })
    }

    async fn findings(&self, draft: &Draft) -> Vec<Finding> {
        let as_written = draft.as_written(self.environment);
        let config = match Config::from_text(&draft.text(), &self.target, &as_written) {
            Ok(config) => config,
            Err(error) => return refused(&self.target, &error),
        };
        let mut findings = in_itself(&self.target, &config, &as_written).await;
        // Where the page will be, this one is now.
        findings.retain(|finding| finding.subject != "page");
        for leg in connections(&config) {
            findings.extend(leg.look(&as_written).await);
        }
        findings
    }
}

/// For whoever sits before a page: no flags.
fn problem(error: &InitError) -> Problem {
    let text = error.to_string();
    let (detail, hint) = text.split_once("\n  hint: ").map_or((&*text, None), |(detail, hint)| (detail, Some(hint)));
    let folder = "the user that runs the bridge must be able to write there; or write it by hand, or with \
                  `ttn-ferry init --config FILE`, and name it: --config FILE";
    let (kind, hint) = match error {
        InitError::Missing { .. } => (Kind::Malformed, None),
        InitError::Exists(_) => (Kind::Conflict, Some("move it away, or start with it: ttn-ferry run --config FILE")),
        InitError::Write { .. } => (Kind::Refused, Some(folder)),
        _ => (Kind::Refused, hint),
    };
    let problem = Problem::new(kind, detail);
    hint.into_iter().fold(problem, |problem, hint| problem.hint(hint))
}
