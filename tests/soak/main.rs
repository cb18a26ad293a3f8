//! Nothing lost, nothing doubled, at length: uplinks and downlinks by the thousand through every trouble there is, the real
//! binary between the look-alike and a real Mosquitto.
//!
//! `scripts/soak` runs it in full, which takes minutes; `cargo test` runs every scenario small, so that none goes stale.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test with a `main` of its own")]

#[path = "../ferry/harness/process.rs"]
#[allow(dead_code, reason = "the whole-bridge tests use more of it")]
mod process;

mod downlinks;
mod load;
mod mosquitto;
mod scene;
mod sink;
mod uplinks;

use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use process::Process;

/// For what takes a moment. Nothing here waits for time to pass where it can wait for an event.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub uplinks: u32,
    /// Uplinks a second.
    pub rate: u32,
    pub downlinks: u32,
    /// The downlinks come in so many handfuls: three of ten are followed by a cut connection, and cost look-ups.
    pub steps: u32,
    /// Between two reports of a node: its occasion to be sent something. 40 nodes that hurry keep two cores busy.
    pub reports_every: Duration,
    /// Kills of the bridge while downlinks are under way.
    pub kills: u32,
    /// Requests of a thousand that get no answer: each costs the time limit of a request.
    pub silences: u16,
    /// TCP connections cut.
    pub cuts: u32,
    /// How long the network is silent.
    pub silence: Duration,
}

const FULL: Size = Size {
    uplinks: 20_000,
    rate: 500,
    downlinks: 2_000,
    steps: 100,
    reports_every: Duration::from_millis(25),
    kills: 5,
    silences: 3,
    cuts: 200,
    silence: Duration::from_secs(60),
};
const SMALL: Size = Size {
    uplinks: 600,
    rate: 500,
    downlinks: 60,
    steps: 15,
    reports_every: Duration::from_millis(250),
    kills: 0,
    silences: 0,
    cuts: 6,
    silence: Duration::from_secs(1),
};

/// What a scenario came to: one line, and what was wrong.
pub struct Outcome {
    pub figures: String,
    pub wrong: Vec<String>,
}

/// Why a scenario could not be played here.
pub struct Skipped(pub String);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = if arguments.iter().any(|argument| argument == "--full") { FULL } else { SMALL };
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let names = uplinks::SCENARIOS.iter().map(|(name, _)| *name).chain([downlinks::NAME]);
    let chosen: Vec<_> =
        names.filter(|name| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()))).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.iter().for_each(|name| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut failed = 0;
    for name in chosen {
        let start = Instant::now();
        let result = runtime.block_on(play(name, size));
        let took = start.elapsed().as_secs();
        match result {
            Ok(Outcome { figures, wrong }) if wrong.is_empty() => println!("ok      {name} ({took} s): {figures}"),
            Ok(Outcome { figures, wrong }) => {
                failed += 1;
                println!("FAILED  {name} ({took} s): {figures}\n        {}", wrong.join("\n        "));
            }
            Err(Skipped(why)) => println!("skipped {name}: {why}"),
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn play(name: &str, size: Size) -> Result<Outcome, Skipped> {
    match uplinks::SCENARIOS.iter().find(|(other, _)| *other == name) {
        Some((_, trouble)) => uplinks::play(*trouble, size).await,
        None => Ok(downlinks::play(size).await),
    }
}

/// What must come within [`PATIENCE`].
async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
