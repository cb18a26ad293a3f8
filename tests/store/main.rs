//! The store under kill -9: a child writes as fast as it can and says what is committed; nothing of that is ever lost.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod child;
mod report;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use report::Report;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use ttn_ferry::store::{self, Entry, Restored, Store, StoreConfig, UplinkFilter};
use ttn_ferry::telemetry::Notices;

const ROUNDS: u64 = 500;
/// Which file the child writes; without it, this process is the parent.
const FILE: &str = "TTN_FERRY_TEST_STORE";
const SEED: &str = "TTN_FERRY_TEST_SEED";

#[test]
fn five_hundred_kills_during_commits_lose_nothing_that_was_committed() {
    if let (Ok(file), Ok(seed)) = (std::env::var(FILE), std::env::var(SEED)) {
        return child::write_until_killed(&PathBuf::from(file), seed.parse().unwrap());
    }
    // A kill leaves what the kernel has; it need not reach a disk, which would only slow this down.
    let memory = Path::new("/dev/shm");
    let folder = tempfile::tempdir_in(if memory.is_dir() { memory } else { Path::new("/tmp") }).unwrap();
    let file = folder.path().join(store::FILE);
    let mut expected = Expected::default();
    for round in 0..ROUNDS {
        run_and_kill(&file, round, &mut expected);
        let since = if round % 100 == 99 { 0 } else { expected.committed.saturating_sub(500) };
        let (restored, entries, kept) = reopen(&file, round, since);
        expected.check(&restored, &entries, round);
        expected.check_history(&entries, (since, &kept), round);
        if round % 25 == 0 {
            check_integrity(&file);
        }
    }
    check_integrity(&file);
    println!("{} commits, {} entries, {} kept", expected.commits, expected.recorded, expected.entries.len());
    assert!(expected.commits > ROUNDS * 5 && expected.recorded > ROUNDS * 20, "too little was committed to prove much");
}

/// What must be in the store.
#[derive(Default)]
struct Expected {
    entries: BTreeSet<u64>,
    committed: u64,
    downlink: u64,
    commits: u64,
    recorded: u64,
}

impl Expected {
    fn hear(&mut self, report: Report) {
        match report {
            Report::Starts(next) => self.committed = next - 1,
            Report::Committed(seq) => {
                self.commits += 1;
                self.recorded += seq - self.committed;
                self.entries.extend(self.committed + 1..=seq);
                self.committed = seq;
            }
            Report::Delivers(seq) => {
                self.entries.remove(&seq);
            }
            Report::Saved(number) => self.downlink = number,
        }
    }

    fn check(&self, restored: &Restored, entries: &[Entry], round: u64) {
        let found: BTreeSet<u64> = entries.iter().map(|entry| entry.seq).collect();
        let lost: Vec<_> = self.entries.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} are lost");
        assert!(entries.is_sorted_by_key(|entry| entry.seq) && found.len() == entries.len(), "round {round}: order");
        for entry in entries {
            assert_eq!(*entry, child::entry(entry.seq), "round {round}: {} is not whole", entry.seq);
        }
        assert_eq!(restored.spool.entries, found.len() as u64, "round {round}");
        let counter = restored.runs.first().map_or(0, |(_, run)| u64::from(run.last));
        let highest = found.last().copied().unwrap_or(0).max(self.committed);
        assert!(counter >= highest, "round {round}: {highest} is there, and its counter at {counter}");
        let saved = restored.downlinks.first().map_or(0, |row| row.body.parse().unwrap());
        assert!(saved >= self.downlink, "round {round}: downlink {} fell back to {saved}", self.downlink);
    }
}

impl Expected {
    /// What is gone from the spool was kept in the history before, once.
    fn check_history(&self, entries: &[Entry], (since, kept): (u64, &[u64]), round: u64) {
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "round {round}: an uplink is there twice");
        let found: BTreeSet<u64> = entries.iter().map(|entry| entry.seq).chain(kept.iter().copied()).collect();
        let lost: Vec<_> = (since.max(1)..=self.committed).filter(|seq| !found.contains(seq)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} are neither on their way nor in the history");
    }
}

/// The plan is the seed's; where exactly the child is when it dies is chance.
fn run_and_kill(file: &Path, seed: u64, expected: &mut Expected) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["five_hundred_kills_during_commits_lose_nothing_that_was_committed", "--exact", "--nocapture"])
        .env(FILE, file)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut random = fastrand::Rng::with_seed(seed);
    let (commits, more) = (expected.commits + random.u64(0..12), random.usize(1..30));
    let mut reports = lines.by_ref().filter_map(|line| Report::parse(&line));
    while expected.commits < commits {
        expected.hear(reports.next().expect("the child does not end by itself"));
    }
    reports.by_ref().take(more).for_each(|report| expected.hear(report));
    child.kill().unwrap();
    child.wait().unwrap();
    reports.for_each(|report| expected.hear(report));
}

/// What a new start finds, and the history since then. Every other time it ends as if killed too, and leaves the log as
/// it is.
fn reopen(file: &Path, round: u64, since: u64) -> (Restored, Vec<Entry>, Vec<u64>) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (notices, _told) = mpsc::channel(1);
        let config = StoreConfig::default();
        let (store, writer, restored) = store::open(file, &config, Notices::new(notices)).unwrap();
        let mut task = JoinSet::new();
        task.spawn(writer.run());
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let found = store.after(entries.last().map_or(0, |entry| entry.seq), 100).await.unwrap();
            if found.is_empty() {
                break;
            }
            entries.extend(found);
        }
        let kept = history(&store, since).await;
        drop(store);
        if round.is_multiple_of(2) {
            task.join_next().await.unwrap().unwrap();
        }
        (restored, entries, kept)
    })
}

/// The seqs of the uplinks kept, each of which must be whole.
async fn history(store: &Store, since: u64) -> Vec<u64> {
    let (mut kept, mut from) = (Vec::new(), since as i64);
    loop {
        let (device, before) = (child::key(), i64::MAX);
        let wanted = UplinkFilter { device, from, before, newest_first: false, most: 1000 };
        let page = store.uplinks(wanted).await.unwrap();
        for (_, uplink) in page.uplinks {
            let seq = u64::from(uplink.f_cnt);
            assert_eq!(format!("{uplink:?}"), format!("{:?}", child::uplink(seq)));
            kept.push(seq);
        }
        match page.next {
            Some(next) => from = next,
            None => return kept,
        }
    }
}

fn check_integrity(file: &Path) {
    let connection = rusqlite::Connection::open(file).unwrap();
    let told: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(told, "ok");
}
