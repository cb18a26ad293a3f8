//! Uplinks through trouble: each must come home, once unless MQTT itself had to send it again.

use std::time::Duration;

use futures_util::future::join;
use simulator::proxy::Cut;
use simulator::stack::Fault;
use tokio::sync::watch;

use super::load::{self, DEVICES};
use super::scene::Scene;
use super::{Outcome, Size, Skipped};

/// What happens while uplinks flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    HomeKilled { persistent: bool },
    BridgeKilled,
    NetworkCut,
    HomeCut,
    SlowHome,
    DiskFull,
    NetworkSilent,
    ClockSetBack,
}

pub const SCENARIOS: &[(&str, Trouble)] = &[
    ("uplinks-without-trouble", Trouble::None),
    ("uplinks-home-killed", Trouble::HomeKilled { persistent: false }),
    ("uplinks-persistent-home-killed", Trouble::HomeKilled { persistent: true }),
    ("uplinks-bridge-killed", Trouble::BridgeKilled),
    ("uplinks-network-cut", Trouble::NetworkCut),
    ("uplinks-home-cut", Trouble::HomeCut),
    ("uplinks-slow-home", Trouble::SlowHome),
    ("uplinks-disk-full", Trouble::DiskFull),
    ("uplinks-network-silent", Trouble::NetworkSilent),
    ("uplinks-clock-set-back", Trouble::ClockSetBack),
];

/// Longer than any wait for another connection.
const LOAD_IS_OVER: Duration = Duration::from_secs(20);
/// Longer than the second look into the network's storage is away.
const QUIET: Duration = Duration::from_secs(150);

pub async fn play(trouble: Trouble, size: Size) -> Result<Outcome, Skipped> {
    let size = for_trouble(trouble, size);
    let persistent = matches!(trouble, Trouble::HomeKilled { persistent: true });
    let mut scene = Scene::set(persistent, |_| {}).await;
    let prepared = prepare(trouble, &mut scene, size)?;
    scene.start_bridge().await;
    let (sent, watching) = watch::channel(0);
    let stack = scene.stack.clone();
    let load = load::send(&stack, size.uplinks, size.rate, &sent);
    let ((), ()) = join(load, make(trouble, &mut scene, size, watching)).await;
    let quiet = if matches!(size.uplinks, ..10_000) { QUIET / 5 } else { QUIET };
    scene.sink.until(quiet, |tally| tally.uplinks.len() >= size.uplinks as usize).await;
    let outcome = judge(&scene, trouble, size);
    let said = scene.stop_bridge().await;
    drop(prepared);
    Ok(with_log(outcome, &said))
}

/// A silence must be over before the last uplink: only what comes after it shows what is missing.
fn for_trouble(trouble: Trouble, size: Size) -> Size {
    let around = (size.silence + Duration::from_secs(10)).as_secs() as u32 * size.rate;
    match trouble {
        Trouble::NetworkSilent if size.uplinks >= 10_000 => Size { uplinks: size.uplinks.max(around), ..size },
        // Time for as many connections.
        Trouble::NetworkCut | Trouble::HomeCut if size.uplinks >= 10_000 => {
            Size { rate: size.uplinks / (size.cuts * 3 / 2), ..size }
        }
        _ => size,
    }
}

/// What must be there before the bridge starts; undone when dropped.
struct Prepared(Option<std::path::PathBuf>);

fn prepare(trouble: Trouble, scene: &mut Scene, size: Size) -> Result<Prepared, Skipped> {
    match trouble {
        Trouble::DiskFull => {
            // Room for a part of what waits while the home is away.
            let kilobytes = (u64::from(size.uplinks) / 4).max(600);
            let folder = scene.store();
            std::fs::create_dir_all(&folder).expect("a folder of ours");
            let options = format!("size={kilobytes}k,mode=0700");
            let mounted = std::process::Command::new("mount")
                .args(["-t", "tmpfs", "-o", &options, "ttn-ferry-soak"])
                .arg(&folder)
                .output();
            match mounted {
                Ok(output) if output.status.success() => Ok(Prepared(Some(folder))),
                _ => Err(Skipped("a small file system can be mounted by root only".into())),
            }
        }
        Trouble::ClockSetBack => {
            let library = [
                "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
                "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
            ];
            let Some(library) = library.into_iter().find(|path| std::path::Path::new(path).exists()) else {
                return Err(Skipped("libfaketime is not installed (apt install faketime)".into()));
            };
            std::fs::write(clock(scene), "+0").expect("a file of ours");
            let set = |name: &str, value: &str| format!("{name}={value}").into();
            scene.wrapper = vec![
                "env".into(),
                set("LD_PRELOAD", library),
                set("FAKETIME_TIMESTAMP_FILE", &clock(scene).to_string_lossy()),
                set("FAKETIME_NO_CACHE", "1"),
                set("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ];
            Ok(Prepared(None))
        }
        _ => Ok(Prepared(None)),
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            std::process::Command::new("umount").arg("-l").arg(folder).status().ok();
        }
    }
}

fn clock(scene: &Scene) -> std::path::PathBuf {
    scene.configuration().with_file_name("clock")
}

/// Makes the trouble while the load runs.
async fn make(trouble: Trouble, scene: &mut Scene, size: Size, mut sent: watch::Receiver<u32>) {
    let away = if size.uplinks >= 10_000 { Duration::from_secs(5) } else { Duration::from_millis(500) };
    let half = size.uplinks / 2;
    match trouble {
        Trouble::None => {}
        Trouble::HomeKilled { .. } => {
            reach(&mut sent, half).await;
            scene.restart_home(away).await;
        }
        Trouble::BridgeKilled => {
            for part in 1..=3 {
                reach(&mut sent, size.uplinks * part / 4).await;
                scene.kill_bridge().await;
                tokio::time::sleep(away * 3 / 5).await;
                scene.start_bridge().await;
            }
        }
        Trouble::NetworkCut | Trouble::HomeCut => {
            let proxy = if trouble == Trouble::NetworkCut { &scene.network } else { &scene.home };
            let mut traffic = proxy.traffic();
            for cut in 1..=size.cuts {
                reach(&mut sent, (u64::from(size.uplinks) * u64::from(cut) / u64::from(size.cuts + 1)) as u32).await;
                // Only an open connection can be cut, and one that has brought some messages.
                let before = traffic.borrow().down;
                let again = traffic.wait_for(|traffic| traffic.open > 0 && traffic.down > before + 5_000);
                if tokio::time::timeout(LOAD_IS_OVER, again).await.is_err() {
                    break;
                }
                proxy.cut(if cut % 2 == 0 { Cut::Reset } else { Cut::Close });
            }
        }
        Trouble::SlowHome => {
            reach(&mut sent, size.uplinks / 4).await;
            scene.home.throttle(std::num::NonZeroU32::new(100_000));
            reach(&mut sent, size.uplinks * 3 / 4).await;
            scene.home.throttle(None);
        }
        Trouble::DiskFull => {
            reach(&mut sent, size.uplinks / 4).await;
            scene.home.refuse(true);
            scene.home.cut(Cut::Reset);
            reach(&mut sent, size.uplinks * 3 / 4).await;
            scene.home.refuse(false);
        }
        Trouble::NetworkSilent => {
            reach(&mut sent, size.uplinks / 8).await;
            scene.stack.set_fault(Fault::Mute);
            tokio::time::sleep(size.silence.min(Duration::from_secs(60))).await;
            scene.stack.clear_faults();
        }
        Trouble::ClockSetBack => {
            reach(&mut sent, half).await;
            std::fs::write(clock(scene), "-3600").expect("a file of ours");
        }
    }
}

async fn reach(sent: &mut watch::Receiver<u32>, count: u32) {
    sent.wait_for(|sent| *sent >= count).await.ok();
}

fn judge(scene: &Scene, trouble: Trouble, size: Size) -> Outcome {
    let tally = scene.sink.tally();
    let (arrived, copies) = (tally.uplinks.len(), tally.copies());
    let lost = i64::from(size.uplinks) - arrived as i64;
    let told = |kind: &str| tally.events.get(kind).map_or(0, Vec::len);
    let mut wrong = Vec::new();
    if lost != 0 {
        let expected: u32 = (0..DEVICES).map(|device| load::frames(device, size.uplinks)).sum();
        assert_eq!(expected, size.uplinks);
        wrong.push(format!("{lost} of {} uplinks are lost; events: {:?}", size.uplinks, tally.events));
    }
    if tally.disorder > 0 {
        wrong.push(format!("{} uplinks came after a newer one of their device", tally.disorder));
    }
    if tally.contradictions > 0 {
        wrong.push(format!("{} copies contradict what came first under their id", tally.contradictions));
    }
    let may_repeat =
        matches!(trouble, Trouble::HomeKilled { .. } | Trouble::HomeCut | Trouble::BridgeKilled | Trouble::DiskFull);
    if copies > 0 && !may_repeat {
        wrong.push(format!("{copies} uplinks came twice although no acknowledgement was lost"));
    }
    let cut = scene.network.traffic().borrow().cut + scene.home.traffic().borrow().cut;
    let figures = format!(
        "{arrived} of {} arrived, {copies} repeated by QoS 1, {} backfilled; {cut} connections cut; gaps found {}, repaired {}, lost {}",
        size.uplinks,
        tally.backfilled(),
        told("gap_found"),
        told("gap_repaired"),
        told("gap_lost"),
    );
    Outcome { figures, wrong }
}

/// What the bridge said, where something is wrong.
pub fn with_log(mut outcome: Outcome, said: &str) -> Outcome {
    if !outcome.wrong.is_empty() {
        let tail: Vec<_> = said.lines().rev().take(40).collect();
        outcome.wrong.push(format!("the bridge said:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n")));
    }
    outcome
}
