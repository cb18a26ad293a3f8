//! A real Mosquitto with a configuration of its own, on a free port.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use tempfile::TempDir;

use super::Process;

/// Where Debian puts it: not on everybody's `PATH`.
const SYSTEM_PATH: &str = "/usr/sbin/mosquitto";

/// A running Mosquitto.
pub struct Mosquitto {
    pub address: SocketAddr,
    configuration: TempDir,
    process: Process,
}

impl Mosquitto {
    /// Lets everybody do everything.
    pub async fn start() -> Self {
        Self::with_rights("topic readwrite #\n").await
    }

    /// Lets everybody in, to do what this list of rights says.
    pub async fn with_rights(rights: &str) -> Self {
        let address = free_address();
        let folder = TempDir::new().unwrap();
        let rights_file = folder.path().join("rights");
        std::fs::write(&rights_file, rights).unwrap();
        let (port, ip, file) = (address.port(), address.ip(), rights_file.display());
        // Mosquitto started by root becomes another user, who must be able to read it.
        let text = format!("listener {port} {ip}\nallow_anonymous true\nacl_file {file}\n");
        std::fs::write(folder.path().join("mosquitto.conf"), text).unwrap();
        let process = run(folder.path()).await;
        Self { address, configuration: folder, process }
    }

    /// Ends as a machine that is switched off.
    pub async fn kill(self) -> (SocketAddr, TempDir) {
        self.process.signal("KILL").await;
        self.process.ended().await;
        (self.address, self.configuration)
    }

    /// Comes back at the address it had.
    pub async fn again((address, configuration): (SocketAddr, TempDir)) -> Self {
        let process = run(configuration.path()).await;
        Self { address, configuration, process }
    }
}

async fn run(folder: &Path) -> Process {
    let configuration = folder.join("mosquitto.conf");
    let arguments = [OsStr::new("-v"), OsStr::new("-c"), configuration.as_os_str()];
    let start = |program: &str| Process::start(OsStr::new(program), &arguments);
    let started = match start("mosquitto") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => start(SYSTEM_PATH),
        started => started,
    };
    let mut process = started.expect("these tests need Mosquitto: run scripts/test, which installs it");
    process.says("running").await;
    process
}

/// Free when it was asked for; nobody else is given it soon.
pub fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
