//! examples/living-room: a topic for each room and each value, and a command at the end of one.

use simulator::nodes::{Behaviour, Report};

use super::folder::Folder;
use super::scene::Scene;

/// The node of `codecs/room.toml`.
#[derive(Default)]
struct Room {
    lights: bool,
}

impl Behaviour for Room {
    fn uplink(&mut self) -> Report {
        Report::unconfirmed(1, [0x08, 0x02, 90, u8::from(self.lights)])
    }

    fn downlink(&mut self, _f_port: u8, payload: &[u8]) {
        self.lights = payload == [1];
    }
}

#[tokio::test]
async fn every_room_has_its_temperature_and_takes_a_command_on_topics_as_written() {
    let folder = Folder::of("living-room");
    let mut scene = Scene::of(&folder, &["my-app"]).await;
    let folder = folder.mosquitto_at(scene.port());
    let mut living_room = scene.node("my-app", "living-room-1", Room::default()).await;
    let mut kitchen = scene.node("my-app", "kitchen-1", Room::default()).await;
    let mut one = folder.run("mosquitto_sub -v -t home/living_room/temperature");
    let mut all = folder.run("mosquitto_sub -v -t 'home/+/temperature'");

    scene.send(&mut living_room, 1, &[0x08, 0x02, 90, 0]).await;
    scene.send(&mut kitchen, 1, &[0x07, 0x6c, 90, 0]).await;
    one.says("home/living_room/temperature 20.5\n").await;
    all.says("home/living_room/temperature 20.5\n").await;
    all.says("home/kitchen/temperature 19\n").await;
    assert!(!one.said().contains("kitchen"), "{}", one.said());

    let (status, said) = folder.run("mosquitto_pub").ended().await;
    assert!(status.success(), "{said}");
    scene.queued().await;
    assert_eq!(scene.collect(&mut living_room).await, [1]);
    let mut lights = folder.run_line("mosquitto_sub -v -t home/living_room/lights");
    lights.says("home/living_room/lights false\n").await;
    scene.report(&mut living_room).await;
    lights.says("home/living_room/lights true\n").await;
}
