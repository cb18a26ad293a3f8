//! Mosquitto's own clients against the broker; skipped, and said so, where they are not installed.

use std::{io, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::*;

fn start(program: &str, broker: &Broker, arguments: &[&str]) -> io::Result<Child> {
    let port = broker.addr().port().to_string();
    Command::new(program)
        .args(["-V", "mqttv311", "-h", "127.0.0.1", "-p", &port])
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}

/// Returns once mosquitto_pub went, so once the broker has what it must acknowledge.
async fn publish(broker: &Broker, arguments: &[&str]) -> io::Result<()> {
    let status = timeout(PATIENCE, start("mosquitto_pub", broker, arguments)?.wait()).await;
    assert!(status.expect("mosquitto_pub ends in time")?.success(), "mosquitto_pub {arguments:?}");
    Ok(())
}

#[tokio::test]
async fn mosquitto_sub_prints_what_mosquitto_pub_sends_at_every_qos() {
    let broker = broker().await;
    match publish(&broker, &["-t", "ttn/kept", "-m", "first", "-r", "-q", "1"]).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            println!("skipped: mosquitto_pub is not installed (Debian: mosquitto-clients)");
            return;
        }
        published => published.unwrap(),
    }
    let format = ["-q", "1", "-t", "ttn/#", "-C", "4", "-F", "%t %p %r"];
    let mut subscriber = start("mosquitto_sub", &broker, &format).unwrap();
    let mut printed = BufReader::new(subscriber.stdout.take().unwrap()).lines();
    for (qos, expected) in [("0", "ttn/kept first 1"), ("1", "ttn/live 0 0"), ("2", "ttn/live 1 0")] {
        // The line before shows that the subscription stands, or that its turn has come.
        assert_eq!(timeout(PATIENCE, printed.next_line()).await.unwrap().unwrap().as_deref(), Some(expected));
        publish(&broker, &["-t", "ttn/live", "-m", qos, "-q", qos]).await.unwrap();
    }
    assert_eq!(timeout(PATIENCE, printed.next_line()).await.unwrap().unwrap().as_deref(), Some("ttn/live 2 0"));
    assert!(timeout(PATIENCE, subscriber.wait()).await.unwrap().unwrap().success());
}
