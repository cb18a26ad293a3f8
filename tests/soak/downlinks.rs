//! Commands through trouble: each reaches its node exactly once, or ends in a reported final state; none twice.

use std::collections::HashMap;
use std::time::Duration;

use simulator::nodes::{Behaviour, HeardDownlinks, Node, Report};
use simulator::proxy::Cut;
use simulator::stack::{Device, EventHistory, FaultPlan, HttpFault, StackHandle};
use tokio::task::JoinSet;

use super::scene::Scene;
use super::sink::{Commander, Tally};
use super::{Outcome, Size};

pub const NAME: &str = "downlinks";
/// Nodes that take commands.
const NODES: u32 = 40;
/// A node joins again after so many reports.
const JOINS_EVERY: u32 = 150;
/// These nodes send in seconds what others send in hours: so much more is to be remembered of them.
const HISTORY: EventHistory = EventHistory { per_entity: 5_000, age: Duration::from_secs(600) };
/// Longer than any wait between two tries, and than a handful of look-ups whose answers are cut off, one after the other.
const QUIET: Duration = Duration::from_secs(300);

/// A node that sends, and does nothing about what it is told.
struct Indifferent;

impl Behaviour for Indifferent {
    fn uplink(&mut self) -> Report {
        Report { f_port: 1, payload: vec![1], confirmed: false }
    }

    fn downlink(&mut self, _: u8, _: &[u8]) {}
}

pub async fn play(size: Size) -> Outcome {
    let mut scene = Scene::set(true, |stack| stack.events = Some(HISTORY)).await;
    let (mut heard, mut nodes) = (Vec::new(), JoinSet::new());
    for number in 0..NODES {
        let device = device(number);
        scene.register(device.clone());
        let node = Node::new(&device, Indifferent);
        heard.push(node.heard());
        nodes.spawn(live(node, size.reports_every, scene.stack.clone()));
    }
    scene.start_bridge().await;
    scene.stack.set_fault_plan(faults(size.silences));
    trouble(&mut scene, size).await;
    let all = size.downlinks;
    let ends = |tally: &Tally| (0..all).filter(|number| ended(tally, *number).is_some()).count() as u32;
    scene.sink.until(QUIET, |tally| ends(tally) >= all * 9 / 10).await;
    let struck = scene.stack.faults_struck();
    scene.stack.clear_faults();
    scene.sink.until(QUIET, |tally| ends(tally) == all).await;
    nodes.shutdown().await;
    let mut outcome = judge(&scene.sink.tally(), &heard.iter().map(numbers).collect::<Vec<_>>(), all);
    outcome.figures += &format!("; faults {struck:?}");
    let said = scene.stop_bridge().await;
    super::uplinks::with_log(outcome, &said)
}

/// Sends the commands, and makes all kinds of trouble meanwhile.
async fn trouble(scene: &mut Scene, size: Size) {
    let mut commander = Commander::at(scene.mosquitto.address).await;
    let handful = size.downlinks / size.steps;
    let killed_at: Vec<_> = (1..=size.kills).map(|kill| size.steps / (size.kills + 1) * kill).collect();
    for number in 0..size.downlinks {
        commander.publish(&format!("ttn/{}/downlink/push", device(number % NODES).device_id), command(number)).await;
        if number % handful != 0 {
            continue;
        }
        match number / handful % 10 {
            2 => scene.api.cut(Cut::Reset),
            4 => scene.network.cut(Cut::Reset),
            6 => scene.home.cut(Cut::Close),
            _ => {}
        }
        if killed_at.contains(&(number / handful)) {
            scene.kill_bridge().await;
            scene.start_bridge().await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A silence costs the time limit of a request: few of them.
fn faults(silences: u16) -> FaultPlan {
    use HttpFault::{
        QueueFull, RateLimited, SilentAfterActing, SilentBeforeActing, StatusAfterActing, StatusBeforeActing,
    };
    let often = [(StatusBeforeActing, 40), (StatusAfterActing, 40), (RateLimited, 20), (QueueFull, 10)];
    let seldom = [(SilentBeforeActing, silences), (SilentAfterActing, silences)];
    often.into_iter().chain(seldom).fold(FaultPlan::seeded(7), |plan, (fault, per_mille)| plan.with(fault, per_mille))
}

/// Every second one asks to be acknowledged.
fn command(number: u32) -> String {
    let payload = hex::encode(number.to_be_bytes());
    let confirmed = match number / NODES % 2 {
        0 => "",
        _ => r#","confirmed":true,"attempts":3"#,
    };
    format!(r#"{{"id":"{}","f_port":7,"payload_hex":"{payload}"{confirmed}}}"#, id(number))
}

async fn live(mut node: Node, every: Duration, stack: StackHandle) {
    let mut reports = 0;
    loop {
        if reports % JOINS_EVERY == 0 {
            node.join(&stack).await.expect("the network runs");
        }
        reports += 1;
        node.report(&stack).await.expect("it has joined");
        tokio::time::sleep(every).await;
    }
}

fn device(number: u32) -> Device {
    Device::new(format!("node-{number:02}"), (u64::from(number) + 1).to_be_bytes(), [0; 8], [number as u8; 16])
}

fn id(number: u32) -> String {
    format!("command-{number:05}")
}

/// The final state of a command, if it has one.
fn ended(tally: &Tally, number: u32) -> Option<&str> {
    let confirmed = number / NODES % 2 == 1;
    let states = tally.downlinks.get(&id(number))?;
    let is_final = |state: &str| matches!(state, "acked" | "failed" | "expired" | "superseded" | "cancelled");
    states.iter().map(|(state, _)| state.as_str()).find(|state| is_final(state) || (*state == "sent" && !confirmed))
}

/// The commands a node heard, in its order.
fn numbers(heard: &HeardDownlinks) -> Vec<u32> {
    let payloads = heard.all().into_iter().map(|downlink| downlink.payload);
    payloads.filter_map(|payload| payload.try_into().ok().map(u32::from_be_bytes)).collect()
}

/// `heard`: by node.
fn judge(tally: &Tally, heard: &[Vec<u32>], all: u32) -> Outcome {
    let (mut wrong, mut ends) = (Vec::new(), HashMap::<&str, u32>::new());
    for number in 0..all {
        let times = heard[(number % NODES) as usize].iter().filter(|it| **it == number).count();
        let states = tally.downlinks.get(&id(number)).map(Vec::as_slice).unwrap_or_default();
        let nacked = states.iter().any(|(state, _)| state == "nacked");
        let Some(end) = ended(tally, number) else {
            wrong.push(format!("{} has no end: {states:?}, heard {times} times", id(number)));
            continue;
        };
        *ends.entry(end).or_default() += 1;
        let right = match end {
            "sent" | "acked" => times == 1 || (nacked && times >= 1),
            _ => times <= 1 || nacked,
        };
        if !right {
            wrong.push(format!("{} ended {end} and was heard {times} times: {states:?}", id(number)));
        }
    }
    let reasons = tally.downlinks.values().flatten().filter(|(state, _)| state == "failed");
    let mut reasons: Vec<_> = reasons.filter_map(|(_, reason)| reason.clone()).collect();
    reasons.sort();
    reasons.dedup();
    let disorder: usize = heard.iter().map(|heard| heard.windows(2).filter(|pair| pair[1] < pair[0]).count()).sum();
    let more = wrong.len().saturating_sub(10);
    wrong.truncate(10);
    if more > 0 {
        wrong.push(format!("and {more} more"));
    }
    Outcome { figures: format!("{all} commands: {ends:?}, out of order {disorder}; failed for {reasons:?}"), wrong }
}
