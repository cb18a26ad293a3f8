//! examples/arrival: a tracker that comes home switches a light on.

use super::demo::Demo;
use super::folder::Folder;
use super::runtime;

#[tokio::test]
async fn a_tracker_that_comes_home_switches_the_light_on() {
    let Some(python) = runtime::python() else { return };
    let demo = Demo::start().await;
    let folder = Folder::of("arrival").instead("python3", python.display()).instead("1884", demo.port);
    let mut rule = folder.run("python3 arrival.py --port");
    rule.says("tracker is at home").await;

    let (status, said) = folder.run("mosquitto_pub").ended().await;
    assert!(status.success(), "{said}");
    rule.says("tracker is away").await;
    // The demo's tracker never left: its next report is an arrival.
    rule.says("living-room: led on").await;
    let mut steps = folder.run_line("mosquitto_sub -p 1884 -t ttn/living-room/downlink/state");
    steps.says("\"acked\"").await;
    assert_eq!(rule.said().matches("led on").count(), 1, "{}", rule.said());
}
