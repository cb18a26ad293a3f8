//! From a command at home to the node, and what the home is told of it on the way.

mod command_line;
mod commands;
mod encrypted;
mod life;
mod pressed;
mod sample;

pub use encrypted::{encrypted, with_kek};

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use simulator::nodes::{Behaviour, MbedExample, Node, Reception, Report};
use simulator::stack::Device;

use crate::harness::{APP, Ferry, Setup};

const STATE: &str = "ttn/lamp/downlink/state";

/// Port and payload of a downlink that reached the node.
type Told = (u8, Vec<u8>);

/// The stock Mbed OS example, and everything it was ever told: what counts is what the node received.
#[derive(Clone, Default)]
struct Lamp {
    example: Arc<Mutex<MbedExample>>,
    heard: Arc<Mutex<Vec<Told>>>,
}

impl Behaviour for Lamp {
    fn uplink(&mut self) -> Report {
        self.example.lock().unwrap().uplink()
    }

    fn downlink(&mut self, f_port: u8, payload: &[u8]) {
        self.example.lock().unwrap().downlink(f_port, payload);
        self.heard.lock().unwrap().push((f_port, payload.to_vec()));
    }
}

/// The lamp as it is registered.
fn lamp() -> Device {
    Device::new("lamp", [7; 8], [1; 8], [7; 16])
}

/// A bridge with one lamp.
struct Scene {
    ferry: Ferry,
    node: Node,
    lamp: Lamp,
}

impl Scene {
    /// The lamp has joined and reported: it has a session, and the bridge knows it.
    async fn joined() -> Self {
        Self::joined_with(|_| {}).await
    }

    async fn joined_with(change: impl FnOnce(&mut Setup)) -> Self {
        Self::joined_as(lamp(), change).await
    }

    async fn joined_as(device: Device, change: impl FnOnce(&mut Setup)) -> Self {
        let mut scene = Self::unjoined_as(device, change).await;
        scene.node.join(&scene.ferry.network.handle).await.unwrap();
        scene.report().await;
        scene.ferry.home.on("ttn/lamp/uplink").await;
        scene
    }

    async fn unjoined_with(change: impl FnOnce(&mut Setup)) -> Self {
        Self::unjoined_as(lamp(), change).await
    }

    async fn unjoined_as(device: Device, change: impl FnOnce(&mut Setup)) -> Self {
        let ferry = Ferry::with(|setup| {
            (setup.stack.deduplication, setup.stack.receive_delay) = (Duration::ZERO, Duration::ZERO);
            setup.add_device("lamp", "codec = \"mbed/lorawan-example\"");
            change(setup);
        })
        .await;
        // The bridge has looked at the registry; the requests that follow are the downlinks'.
        ferry.network.registry_read().await;
        ferry.network.handle.register(APP, device.clone()).unwrap();
        let lamp = Lamp::default();
        let node = Node::new(&device, lamp.clone());
        Self { ferry, node, lamp }
    }

    /// The node reports once; what it received in its window.
    async fn report(&mut self) -> Option<Reception> {
        self.node.report(&self.ferry.network.handle).await.unwrap()
    }

    async fn push(&self, downlink: Value) {
        self.ferry.home.publish("ttn/lamp/downlink/push", downlink.to_string()).await;
    }

    /// The step of a downlink that is in this state.
    async fn state(&mut self, id: &str, state: &str) -> Value {
        let wanted = |step: &Value| step["id"] == id && step["state"] == state;
        let what = format!("{id} {state}");
        self.ferry.home.wait_for(&what, |heard| heard.topic == STATE && wanted(&heard.json())).await.json()
    }

    /// The states of a downlink so far.
    fn states(&mut self, id: &str) -> Vec<String> {
        let steps = self.ferry.home.all_on(STATE);
        let of_id = steps.iter().filter(|step| step["id"] == id);
        of_id.map(|step| step["state"].as_str().unwrap().to_owned()).collect()
    }

    fn heard(&self) -> Vec<Told> {
        self.lamp.heard.lock().unwrap().clone()
    }
}
