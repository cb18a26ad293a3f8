//! `ttn-ferry demo`, as the READMEs have it, on a port of its own and in a hurry.

use std::ffi::OsStr;

use super::process::Process;

/// A running demo.
pub struct Demo {
    pub port: u16,
    _process: Process,
}

impl Demo {
    /// With its own broker.
    pub async fn start() -> Self {
        Self::with(&["--listen", "127.0.0.1:0"]).await
    }

    /// With a home broker of ours.
    pub async fn at(port: u16) -> Self {
        Self::with(&["--no-broker", "--home", &format!("mqtt://127.0.0.1:{port}")]).await
    }

    async fn with(arguments: &[&str]) -> Self {
        let arguments: Vec<_> =
            ["demo", "--speed", "8", "--page", "off"].iter().chain(arguments).map(OsStr::new).collect();
        let mut process = Process::start(OsStr::new(env!("CARGO_BIN_EXE_ttn-ferry")), &arguments).unwrap();
        process.says("Ctrl-C ends it").await;
        let port = port(&process.said()).expect("the demo names its broker");
        Self { port, _process: process }
    }
}

/// Of the first address that is told.
fn port(said: &str) -> Option<u16> {
    let (_, address) = said.split_once(" at mqtt://")?;
    let (_, port) = address.split_once(':')?;
    port.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
