//! Backups of a running bridge, and what becomes of them: on another machine, on the same one, and under kills.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Heard, Process, Setup, Stage};

/// A bridge of its own process on this stage, connected on both sides.
async fn running(stage: &mut Stage) -> Process {
    let process = Process::ferry(&stage.configuration());
    stage.network.subscribed().await;
    stage.home.on("ttn/bridge/state").await;
    process
}

async fn ended(process: Process) {
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
}

fn store(stage: &Stage) -> std::path::PathBuf {
    stage.folder().join("store/ttn-ferry.db")
}

async fn reports(stage: &mut Stage, device: &str, f_cnt: u32) {
    stage.network.up(device, f_cnt, b"x");
    let topic = format!("ttn/{device}/uplink");
    stage.home.wait_for(&topic, |heard| heard.topic == topic && heard.json()["f_cnt"] == f_cnt).await;
}

/// The devices that a store has states of; it must be whole.
fn devices(store: &Path) -> BTreeSet<String> {
    let connection = rusqlite::Connection::open(store).unwrap();
    let told: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(told, "ok");
    let mut select = connection.prepare("SELECT device FROM states").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_backup_made_while_uplinks_flow_goes_on_as_it_was_on_another_machine() {
    let mut old = Stage::set(|_| {}).await;
    let process = running(&mut old).await;
    reports(&mut old, "node", 1).await;
    let (status, _, renamed) = old.ask("POST", "devices/node/rename", r#"{"to": "kitchen"}"#).await;
    assert_eq!(status.as_u16(), 200, "{renamed}");
    reports(&mut old, "other", 1).await;
    let send = json!({"device": "kitchen", "id": "mine", "f_port": 1, "payload_hex": "01"});
    assert_eq!(old.ask("POST", "downlinks", send.to_string()).await.0.as_u16(), 201);
    // The states are stored within a second, and a backup sees all that was said before.
    let stored = |heard: &Heard| heard.topic == "ttn/other";
    old.home.wait_for("the merged state", stored).await;
    let file = old.folder().join("mine.backup");
    let file = file.to_str().unwrap();
    let flowing = async {
        for f_cnt in 2..200 {
            old.network.up("other", f_cnt, b"x");
            tokio::task::yield_now().await;
        }
    };
    let arguments = ["backup", file];
    let (told, ()) = tokio::join!(old.command(&arguments), flowing);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = old.command(&["backup", file]).await;
    assert!(again.code == Some(1) && again.err.contains("never written over"), "{again:?}");
    old.home.wait_for("the last", |heard| heard.topic == "ttn/other/uplink" && heard.json()["f_cnt"] == 199).await;
    ended(process).await;

    let mut new = Stage::set(|_| {}).await;
    let mut process = running(&mut new).await;
    let told = new.command(&["restore", file]).await;
    assert!(told.code == Some(0) && told.err.contains("restored"), "{told:?}");
    process.says("A backup took the place of the store").await;
    new.network.subscribed().await;
    assert_eq!(new.home.on("ttn/kitchen").await["link"]["f_cnt"], 1);
    let (_, _, listed) = new.ask("GET", "devices", "").await;
    let names: BTreeSet<_> = listed.as_array().unwrap().iter().map(|device| device["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["kitchen", "other"]));
    let (_, _, mine) = new.ask("GET", "downlinks/mine", "").await;
    assert_eq!((&mine["id"], &mine["device"]), (&json!("mine"), &json!("kitchen")), "{mine}");
    let (_, _, past) = new.ask("GET", "devices/kitchen/uplinks?limit=10", "").await;
    let heard: Vec<_> = past["uplinks"].as_array().unwrap().iter().map(|uplink| uplink["f_cnt"].clone()).collect();
    assert_eq!(heard, [json!(1)], "{past}");
    // What was heard there is known here.
    new.network.up("node", 1, b"x");
    reports_as(&mut new, "node", "kitchen", 2).await;
    let counts = new.home.all_on("ttn/kitchen/uplink").iter().map(|uplink| uplink["f_cnt"].clone()).collect::<Vec<_>>();
    assert_eq!(counts, [json!(2)]);
    assert!(store(&new).with_file_name("ttn-ferry.db.before-restore").exists());
    ended(process).await;
}

#[tokio::test]
async fn a_backup_that_names_a_codec_which_is_not_here_is_refused_before_anything_stops() {
    const SCRIPT: &str = "function decodeUplink(input) { return { data: { n: input.bytes.length } }; }";
    let with_codec = |setup: &mut Setup| setup.add_codec("mine", SCRIPT);
    let mut old = Stage::set(with_codec).await;
    let process = running(&mut old).await;
    reports(&mut old, "node", 1).await;
    let (status, _, told) = old.ask("PATCH", "devices/node", r#"{"options": {"codec": "mine"}}"#).await;
    assert_eq!(status.as_u16(), 200, "{told}");
    let file = old.folder().join("mine.backup");
    let file = file.to_str().unwrap();
    assert_eq!(old.command(&["backup", file]).await.code, Some(0));
    ended(process).await;

    let mut new = Stage::set(|_| {}).await;
    let process = running(&mut new).await;
    let told = new.command(&["restore", file]).await;
    assert!(told.code == Some(1) && told.err.contains("codec `mine`"), "{told:?}");
    assert!(told.err.contains("hint: codecs are not in a backup"), "{told:?}");
    reports(&mut new, "other", 1).await;
    ended(process).await;
    let offline = ["restore", "--offline", file];
    let told = new.command(&offline).await;
    assert!(told.code == Some(1) && told.err.contains("hint: codecs are not in a backup"), "{told:?}");
    assert_eq!(devices(&store(&new)), BTreeSet::from(["other".to_owned()]));

    let new = Stage::set(with_codec).await;
    without_keys(&new);
    let told = new.command(&offline).await;
    assert!(told.code == Some(0) && told.err.contains("there was none before"), "{told:?}");
    assert_eq!(devices(&store(&new)), BTreeSet::from(["node".to_owned()]));
}

/// As an administrator sees it who is handed no credentials.
fn without_keys(stage: &Stage) {
    let files = fs::read_dir(stage.folder()).unwrap().map(|file| file.unwrap().path());
    let keys: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "key")).collect();
    assert!(!keys.is_empty());
    keys.into_iter().for_each(|key| fs::remove_file(key).unwrap());
}

async fn reports_as(stage: &mut Stage, device: &str, name: &str, f_cnt: u32) {
    stage.network.up(device, f_cnt, b"x");
    let topic = format!("ttn/{name}/uplink");
    stage.home.wait_for(&topic, |heard| heard.topic == topic && heard.json()["f_cnt"] == f_cnt).await;
}

#[tokio::test]
async fn a_backup_is_restored_while_the_home_broker_is_away() {
    let mut stage = Stage::set(|setup| setup.grace = "1s").await;
    let mut process = running(&mut stage).await;
    reports(&mut stage, "then", 1).await;
    let backup = stage.folder().join("then.backup");
    let backup = backup.to_str().unwrap();
    assert_eq!(stage.command(&["backup", backup]).await.code, Some(0));
    reports(&mut stage, "now", 1).await;
    stage.home_goes().await;
    stage.network.up("then", 2, b"x");
    let told = stage.command(&["restore", backup]).await;
    assert!(told.code == Some(0) && told.err.contains("restored"), "{told:?}");
    process.says("A backup took the place of the store").await;
    stage.network.subscribed().await;
    stage.home_comes().await;
    let waited = |heard: &Heard| heard.topic == "ttn/then/uplink" && heard.json()["f_cnt"] == 2;
    stage.home.wait_for("what waited on disk", waited).await;
    ended(process).await;
}

#[tokio::test]
async fn what_is_no_backup_changes_nothing_and_the_bridge_goes_on() {
    let mut stage = Stage::set(|_| {}).await;
    let process = running(&mut stage).await;
    let file = stage.folder().join("diary");
    fs::write(&file, "dear diary").unwrap();
    let told = stage.command(&["restore", file.to_str().unwrap()]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.err.contains("no database of SQLite") && told.err.contains("hint: `ttn-ferry backup`"), "{told:?}");
    let (status, _, problem) = stage.ask("POST", "restore", "").await;
    assert!(status.as_u16() == 422 && problem["hint"].is_string(), "{problem}");
    let here = stage.command(&["restore", "--offline", file.to_str().unwrap()]).await;
    assert_eq!(here.code, Some(1), "{here:?}");
    let backup = stage.folder().join("good");
    assert_eq!(stage.command(&["backup", backup.to_str().unwrap()]).await.code, Some(0));
    let locked = stage.command(&["restore", "--offline", backup.to_str().unwrap()]).await;
    assert!(locked.code == Some(1) && locked.err.contains("another ttn-ferry works on it"), "{locked:?}");
    reports(&mut stage, "node", 1).await;
    let left = |name: Value| store(&stage).with_file_name(name.as_str().unwrap()).exists();
    assert!(!left(json!("ttn-ferry.db.incoming")) && !left(json!("ttn-ferry.db.restore")));
    ended(process).await;
}

/// Each kill leaves the old store or the new one, whole, and another try ends it.
#[tokio::test]
async fn killed_while_it_restores_it_leaves_one_whole_store() {
    let mut stage = Stage::set(|_| {}).await;
    let process = running(&mut stage).await;
    reports(&mut stage, "then", 1).await;
    let backup = stage.folder().join("then.backup");
    assert_eq!(stage.command(&["backup", backup.to_str().unwrap()]).await.code, Some(0));
    reports(&mut stage, "now", 1).await;
    ended(process).await;
    let (file, keep) = (store(&stage), stage.folder().join("keep"));
    fs::copy(&file, &keep).unwrap();
    let (then, now) = (BTreeSet::from(["then".to_owned()]), BTreeSet::from(["now".to_owned(), "then".to_owned()]));
    assert_eq!((devices(&backup), devices(&keep)), (then.clone(), now.clone()));
    let arguments = ["restore", "--offline", backup.to_str().unwrap()];
    let begun = Instant::now();
    assert_eq!(stage.command(&arguments).await.code, Some(0));
    let whole = begun.elapsed();
    let (mut random, mut seen) = (fastrand::Rng::with_seed(6), BTreeSet::new());
    for _ in 0..40 {
        fs::copy(&keep, &file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttn-ferry"));
        command.args(arguments).arg("--config").arg(stage.configuration()).kill_on_drop(true);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        let after = Duration::from_micros(random.u64(0..whole.as_micros() as u64));
        // What is killed is chance; what is left must be good wherever it was.
        tokio::time::timeout(after, child.wait()).await.ok();
        child.kill().await.unwrap();
        let found = devices(&file);
        assert!(found == then || found == now, "{found:?}");
        seen.insert(found.len());
        assert_eq!(stage.command(&arguments).await.code, Some(0));
        assert_eq!(devices(&file), then);
    }
    println!("seen: {seen:?}, a whole one took {whole:?}");
}
