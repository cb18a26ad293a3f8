//! Secrets stay where they belong: not in logs, not at home, not on the command line.

use std::collections::HashMap;

use simulator::stack::Fault;

use crate::harness::{Process, Stage};

const PASSWORD: &str = "hunter2-of-the-home-broker";

#[tokio::test]
async fn no_secret_shows_in_the_log_at_home_or_on_the_command_line() {
    let mut stage = Stage::set(|setup| {
        setup.broker.users = Some(HashMap::from([("ferry".into(), PASSWORD.into())]));
        setup.home = "username = \"ferry\"".into();
        setup.home_password = Some(PASSWORD.into());
        setup.log = "trace";
    })
    .await;
    let key = stage.network.key().to_owned();
    stage.network.handle.set_fault(Fault::RefuseConnect);
    let mut process = Process::ferry(&stage.configuration());
    process.says("not authorised").await;
    stage.network.handle.clear_faults();
    stage.network.subscribed().await;
    stage.network.fixture("uplink-full");
    stage.network.publish("v3/app1/devices/node/up", "{");
    stage.home.on("ttn/dev1/uplink").await;
    for request in ["info", "health", "devices", "nonsense"] {
        stage.home.publish(&format!("ttn/bridge/request/{request}"), "").await;
        stage.home.on(&format!("ttn/bridge/response/{request}")).await;
    }
    stage.home.publish("ttn/dev1/set", r#"{"led": true}"#).await;
    let of_process = |what: &str| std::fs::read(format!("/proc/{}/{what}", process.id())).unwrap();
    let outside = [of_process("cmdline"), of_process("environ")].concat();
    process.signal("TERM").await;
    let (status, said) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(
        said.contains("Message cannot be understood.") && said.contains("Stopped."),
        "the log is a full one: {said}"
    );
    let told: String = stage.home.heard().iter().map(|heard| format!("{} {}\n", heard.topic, heard.text)).collect();
    let (_, secret) = key.rsplit_once('.').unwrap();
    for (what, text) in [("log", said), ("home", told), ("process", String::from_utf8_lossy(&outside).into_owned())] {
        for hidden in [&key, secret, PASSWORD] {
            assert!(!text.contains(hidden), "a secret is in the {what}:\n{text}");
        }
    }
}
