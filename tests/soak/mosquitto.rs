//! A real Mosquitto that is killed and comes back, with or without a memory on disk.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tempfile::TempDir;

use super::{Process, in_time};

/// A Mosquitto at one address, whatever happens to it.
pub struct Mosquitto {
    pub address: SocketAddr,
    folder: TempDir,
    process: Option<Process>,
}

impl Mosquitto {
    pub async fn start(persistent: bool) -> Self {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let folder = TempDir::new().unwrap();
        let (port, ip, place) = (address.port(), address.ip(), folder.path().display());
        // Nothing may be dropped between it and the sink; and it stays the user it is started as, so that it can write.
        let mut text = format!(
            "listener {port} {ip}\nallow_anonymous true\nuser root\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n"
        );
        if persistent {
            text += &format!("persistence true\npersistence_location {place}/\nautosave_interval 1\n");
        }
        fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let mut mosquitto = Self { address, folder, process: None };
        mosquitto.come_back().await;
        mosquitto
    }

    pub async fn kill(&mut self) {
        let process = self.process.take().expect("it runs");
        process.signal("KILL").await;
        process.ended().await;
    }

    pub async fn come_back(&mut self) {
        let configuration = self.folder.path().join("mosquitto.conf");
        let arguments = [OsStr::new("-c"), configuration.as_os_str()];
        let start = |program: &str| Process::start(OsStr::new(program), &arguments);
        let started = start("mosquitto").or_else(|_| start("/usr/sbin/mosquitto"));
        self.process = Some(started.expect("the soak needs Mosquitto: run scripts/test once, which installs it"));
        in_time("Mosquitto", async {
            while tokio::net::TcpStream::connect(self.address).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}
