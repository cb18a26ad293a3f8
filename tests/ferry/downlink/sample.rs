//! Leaves a store in which every table has rows, for `tests/fixtures/store/`: run it before the version goes up.
//!
//! `TTN_FERRY_SAMPLE=FILE cargo test --test ferry leaves_a_sample -- --ignored`

use std::path::Path;

use serde_json::json;
use simulator::stack::Fault;
use ttn_ferry::shutdown::Ended;

use super::Scene;
use super::encrypted::{encrypted, with_kek};
use crate::harness::{APP, Setup};

/// Gaps stay open, and a stop does not wait for the home.
fn unhurried(setup: &mut Setup) {
    with_kek(setup);
    setup.log = "info";
    setup.grace = "2s";
    setup.more.push_str("\n[repair]\nfetch_after = \"5min\"\n");
}

#[tokio::test]
#[ignore = "it is run by hand, once a version"]
async fn leaves_a_sample_of_the_store() {
    let sample = std::env::var("TTN_FERRY_SAMPLE").expect("TTN_FERRY_SAMPLE names the file to write");
    let mut scene = Scene::joined_as(encrypted(), unhurried).await;
    scene.push(json!({"id": "done", "f_port": 1, "payload_hex": "01", "confirmed": true})).await;
    scene.state("done", "queued").await;
    scene.report().await;
    scene.report().await;
    scene.state("done", "acked").await;
    scene.push(json!({"id": "waiting", "f_port": 1, "payload_hex": "02"})).await;
    scene.state("waiting", "queued").await;
    for f_cnt in [1, 2, 5] {
        scene.ferry.network.up("node-1", f_cnt, b"x");
    }
    scene.ferry.counted("three uplinks more", |counts| counts.uplinks == 6).await;
    scene.ferry.network.handle.set_fault(Fault::RefuseConnect);
    scene.ferry.network.handle.drop_connections();
    scene.ferry.home.event("network_lost").await;
    scene.ferry.network.handle.clear_faults();
    scene.ferry.network.subscribed().await;
    scene.ferry.counted("all of it delivered", |counts| counts.spooled == 0).await;
    scene.ferry.home_goes().await;
    for f_cnt in [6, 7] {
        scene.ferry.network.up("node-1", f_cnt, b"x");
    }
    scene.ferry.counted("two on disk", |counts| counts.spooled == 2).await;
    let (ended, stage) = scene.ferry.stop().await;
    assert_ne!(ended, Ended::TaskDied("store"), "of {APP}");
    keep(&stage.folder().join("store/ttn-ferry.db"), Path::new(&sample));
}

/// With everything in the one file.
fn keep(store: &Path, sample: &Path) {
    let connection = rusqlite::Connection::open(store).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    std::fs::copy(store, sample).unwrap();
}
