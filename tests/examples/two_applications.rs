//! examples/two-applications: one bridge for both, and a rule from the one to the other.

use std::process::Command;

use simulator::nodes::RoomSensor;

use super::folder::Folder;
use super::process::Process;
use super::scene::Scene;

/// Reports of `mbed/led-and-sensors`, with the LED off and on.
const OFF: [u8; 8] = [0x08, 0x02, 90, 0x0c, 0xe4, 0, 0, 60];
const ON: [u8; 8] = [0x08, 0x02, 90, 0x0c, 0xe4, 1, 0, 60];

/// A script with programs of its own, which end with it.
struct Script(Process);

impl Drop for Script {
    fn drop(&mut self) {
        Command::new("pkill").args(["-P", &self.0.id().to_string()]).status().ok();
    }
}

#[tokio::test]
async fn a_lamp_of_one_application_follows_a_device_of_the_other() {
    let folder = Folder::of("two-applications");
    let mut scene = Scene::of(&folder, &["my-house", "my-garden"]).await;
    let folder = folder.mosquitto_at(scene.port());
    let mut lamp = scene.node("my-house", "node-1", RoomSensor::default()).await;
    let mut gate = scene.node("my-garden", "node-1", RoomSensor::default()).await;
    scene.send(&mut lamp, 15, &OFF).await;
    assert_eq!(scene.heard("ttn/house/lamp").await["led"], false);
    scene.send(&mut gate, 15, &ON).await;
    let mut garden = folder.run("mosquitto_sub -v -t 'ttn/garden/#'");
    garden.says("ttn/garden/gate/led true\n").await;
    let mut temperatures = folder.run("mosquitto_sub -v -t 'ttn/+/+/temperature'");
    temperatures.says("ttn/house/lamp/temperature 20.5\n").await;
    temperatures.says("ttn/garden/gate/temperature 20.5\n").await;

    let mut rule = Script(folder.run_line(&format!("./follow.sh -p {}", scene.port())));
    for (report, told, command) in [(ON, "garden/gate is true: house/lamp too", [1, 1]), (OFF, "is false: ", [1, 0])] {
        scene.send(&mut gate, 15, &report).await;
        rule.0.says(told).await;
        scene.queued().await;
        assert_eq!(scene.collect(&mut lamp).await, command);
        scene.report(&mut lamp).await;
    }
}
