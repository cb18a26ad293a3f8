//! A look-alike of The Things Stack with two nodes, to try `ttn-ferry init`, `check` and `run` against:
//!
//! ```sh
//! cargo run -p simulator --example look_alike             # MQTT on port 1881, HTTP on 1885
//! cargo run -p simulator --example look_alike 2881 2885
//! ```
//!
//! It prints the flags for `init` and where it wrote the API key, and runs until Ctrl-C. SIGUSR1 silences the node
//! `living-room`, and lets it speak again. Its Storage Integration is
//! activated, so that what a stopped service missed can be fetched.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::num::ParseIntError;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use simulator::nodes::{MbedExample, Node, RoomSensor};
use simulator::stack::{ApiKey, Application, Device, Stack, StackConfig, StackHandle, StorageConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const JOIN_EUI: [u8; 8] = [0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 0];
const KEY_FILE: &str = "look-alike.key";
const INTERVAL: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = ApiKey::with_all_rights();
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(KEY_FILE)?
        .write_all(key.key.as_bytes())?;
    let stack = Stack::start(StackConfig {
        mqtt: SocketAddr::from(([127, 0, 0, 1], port(1, 1881)?)),
        http: SocketAddr::from(([127, 0, 0, 1], port(2, 1885)?)),
        applications: vec![Application { id: "my-app".into(), tenant: Some("ttn".into()), keys: vec![key] }],
        storage: StorageConfig { active: true, ..StorageConfig::default() },
        ..StackConfig::default()
    })
    .await?;
    let (stop, mut nodes) = (CancellationToken::new(), JoinSet::new());
    let lamp = device(&stack, "lamp", 1)?;
    nodes.spawn(Node::new(&lamp, MbedExample::default()).run(stack.handle(), INTERVAL, stop.clone()));
    let room = device(&stack, "living-room", 2)?;
    nodes.spawn(come_and_go(room, stack.handle(), stop.clone()));
    tell(&stack);
    let mut ended = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = ended.recv() => {}
    }
    stop.cancel();
    while nodes.join_next().await.is_some() {}
    stack.stop().await;
    Ok(())
}

/// The port that the command line says, or the usual one.
fn port(argument: usize, usual: u16) -> Result<u16, ParseIntError> {
    std::env::args().nth(argument).map_or(Ok(usual), |port| port.parse())
}

/// A node that falls silent with a SIGUSR1, and speaks again with the next.
async fn come_and_go(device: Device, stack: StackHandle, stop: CancellationToken) {
    let Ok(mut turned) = signal(SignalKind::user_defined1()) else { return };
    while !stop.is_cancelled() {
        let silence = stop.child_token();
        let node = Node::new(&device, RoomSensor::default()).run(stack.clone(), INTERVAL, silence.clone());
        tokio::select! {
            () = node => {}
            _ = turned.recv() => silence.cancel(),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            _ = turned.recv() => {}
        }
    }
}

fn device(stack: &Stack, id: &str, number: u8) -> Result<Device, Box<dyn Error>> {
    let mut dev_eui = JOIN_EUI;
    dev_eui[7] = number;
    let mut device = Device::new(id, dev_eui, JOIN_EUI, std::array::from_fn(|_| fastrand::u8(..)));
    // The attribute chooses the codec, so the configuration needs nothing for a device.
    let codec = if id == "lamp" { "mbed/lorawan-example" } else { "mbed/led-and-sensors" };
    device.attributes.insert("ferry-codec".into(), codec.into());
    stack.handle().register("my-app", device.clone())?;
    Ok(device)
}

#[expect(clippy::print_stdout, reason = "an example talks to whoever started it")]
fn tell(stack: &Stack) {
    let (mqtt, http) = (stack.mqtt_addr(), stack.http_addr());
    println!("a look-alike of The Things Stack with the nodes `lamp` and `living-room`; its API key is in {KEY_FILE}");
    println!(
        "ttn-ferry init --application my-app --mqtt-url mqtt://{mqtt} --api-url http://{http} --tenant ttn --api-key-file {KEY_FILE}"
    );
}
