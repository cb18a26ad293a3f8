//! A real Mosquitto with a listener for WebSockets, as examples/mqttjs has it, on ports of its own.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use tempfile::TempDir;

use super::folder::Folder;
use super::process::Process;

/// A running Mosquitto.
pub struct Mosquitto {
    pub port: u16,
    pub websocket: u16,
    _process: Process,
    _folder: TempDir,
}

impl Mosquitto {
    /// With the `mosquitto.conf` of this example.
    pub async fn of(example: &Folder) -> Self {
        let (port, websocket) = (free_port(), free_port());
        let text = fs::read_to_string(example.path.join("mosquitto.conf")).unwrap();
        assert!(text.contains("listener 1883 ") && text.contains("listener 9001 "), "{text}");
        let text = text.replace("1883", &port.to_string()).replace("9001", &websocket.to_string());
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("mosquitto.conf");
        fs::write(&path, text).unwrap();
        // Debian keeps the broker where only root looks.
        let line = format!("PATH=$PATH:/usr/sbin exec mosquitto -v -c '{}'", path.display());
        let mut process = Process::start(OsStr::new("sh"), &[OsStr::new("-c"), OsStr::new(&line)]).unwrap();
        process.says("running").await;
        Self { port, websocket, _process: process, _folder: folder }
    }
}

/// Free when it was asked for; nobody else is given it soon.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
