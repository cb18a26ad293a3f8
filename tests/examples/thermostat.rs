//! examples/thermostat: a cold room switches an air conditioner on, a warm one off.

use simulator::nodes::{Behaviour, Report, RoomSensor};

use super::folder::Folder;
use super::runtime;
use super::scene::Scene;

/// The node of `codecs/air-conditioner.toml`.
#[derive(Default)]
struct AirConditioner {
    power: bool,
}

impl Behaviour for AirConditioner {
    fn uplink(&mut self) -> Report {
        Report::unconfirmed(2, [u8::from(self.power), 0, 210])
    }

    fn downlink(&mut self, _f_port: u8, payload: &[u8]) {
        if let [1, power] = payload {
            self.power = *power == 1;
        }
    }
}

#[tokio::test]
async fn the_air_conditioner_is_on_from_18_degrees_down_and_off_from_22_up() {
    let Some(python) = runtime::python() else { return };
    let folder = Folder::of("thermostat").instead("python3", python.display());
    let mut scene = Scene::of(&folder, &["my-app"]).await;
    let mut room = scene.node("my-app", "living-room", RoomSensor::default()).await;
    let mut air = scene.node("my-app", "air-conditioner", AirConditioner::default()).await;
    scene.send(&mut air, 2, &[0, 0, 210]).await;
    assert_eq!(scene.heard("ttn/air-conditioner").await["power"], false);
    scene.send(&mut room, 15, &report(20.0)).await;
    assert_eq!(scene.heard("ttn/living-room").await["temperature"], 20);

    let mut rule = folder.run_line(&format!("python3 thermostat.py --port {}", scene.port()));
    for (temperature, told, payload) in
        [(18.0, "18 °C: air-conditioner on", [1, 1]), (22.0, "22 °C: air-conditioner off", [1, 0])]
    {
        // Between the two nothing is switched: the only command is the one of this limit.
        scene.send(&mut room, 15, &report(20.0)).await;
        scene.send(&mut room, 15, &report(temperature)).await;
        rule.says(told).await;
        scene.queued().await;
        assert_eq!(scene.collect(&mut air).await, payload);
        // The acknowledgement, and what it is now.
        assert_eq!(scene.send(&mut air, 2, &[payload[1], 0, 210]).await, None, "one command, heard once");
    }
    let commands: Vec<_> = rule.said().lines().map(str::to_owned).collect();
    assert_eq!(commands.len(), 2, "{commands:?}");
}

/// What the room's node sends, with this temperature in °C.
fn report(temperature: f64) -> [u8; 8] {
    let [high, low] = ((temperature * 100.0) as i16).to_be_bytes();
    [high, low, 90, 0x0c, 0xe4, 0, 0, 60]
}
