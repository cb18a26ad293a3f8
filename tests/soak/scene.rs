//! A bridge with a proxy on each of its three roads: to the network's MQTT server, to its API, to the home broker.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use simulator::proxy::{Cut, Proxy, ProxyHandle};
use simulator::stack::{ApiKey, Application, Device, Stack, StackConfig, StackHandle};
use tempfile::TempDir;

use super::mosquitto::Mosquitto;
use super::process::Process;
use super::sink::Sink;

pub const APP: &str = "soak";

/// Everything a scenario plays with.
pub struct Scene {
    pub stack: StackHandle,
    pub network: ProxyHandle,
    pub api: ProxyHandle,
    pub home: ProxyHandle,
    pub mosquitto: Mosquitto,
    pub sink: Sink,
    pub bridge: Option<Process>,
    /// What the bridge is started through: `faketime`, a shell with limits.
    pub wrapper: Vec<OsString>,
    folder: TempDir,
    _proxies: [Proxy; 3],
    _stack: Stack,
}

impl Scene {
    /// Everything but the bridge.
    pub async fn set(persistent_home: bool, change: impl FnOnce(&mut StackConfig)) -> Self {
        let key = ApiKey::with_all_rights();
        let application = Application { id: APP.into(), tenant: None, keys: vec![key.clone()] };
        let mut config = StackConfig {
            applications: vec![application],
            deduplication: Duration::from_millis(2),
            receive_delay: Duration::from_millis(5),
            ..StackConfig::default()
        };
        change(&mut config);
        let stack = Stack::start(config).await.unwrap();
        let mosquitto = Mosquitto::start(persistent_home).await;
        let network = Proxy::start(stack.mqtt_addr()).await.unwrap();
        let api = Proxy::start(stack.http_addr()).await.unwrap();
        let home = Proxy::start(mosquitto.address).await.unwrap();
        let folder = TempDir::new().unwrap();
        write_configuration(&folder, &key.key, network.addr(), api.addr(), home.addr());
        Self {
            stack: stack.handle(),
            network: network.handle(),
            api: api.handle(),
            home: home.handle(),
            sink: Sink::at(mosquitto.address).await,
            mosquitto,
            bridge: None,
            wrapper: Vec::new(),
            folder,
            _proxies: [network, api, home],
            _stack: stack,
        }
    }

    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("ttn-ferry.toml")
    }

    /// The folder of the bridge's store.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Starts the bridge and waits until it listens to the network.
    pub async fn start_bridge(&mut self) {
        let mut command = self.wrapper.clone();
        command.push(env!("CARGO_BIN_EXE_ttn-ferry").into());
        command.extend(["run".into(), "--config".into(), self.configuration().into_os_string()]);
        let arguments: Vec<_> = command[1..].iter().map(OsString::as_os_str).collect();
        let mut bridge = Process::start(&command[0], &arguments).expect("the binary was built");
        bridge.says("Network connected").await;
        self.bridge = Some(bridge);
    }

    pub async fn kill_bridge(&mut self) {
        let bridge = self.bridge.take().expect("it runs");
        bridge.signal("KILL").await;
        bridge.ended().await;
    }

    /// Asks the bridge to stop, and waits until it did.
    pub async fn stop_bridge(&mut self) -> String {
        let bridge = self.bridge.take().expect("it runs");
        bridge.signal("TERM").await;
        bridge.ended().await.1
    }

    /// The home broker's machine loses its power and comes back; the sink listens before the bridge may speak.
    pub async fn restart_home(&mut self, away: Duration) {
        self.home.refuse(true);
        self.mosquitto.kill().await;
        self.home.cut(Cut::Reset);
        tokio::time::sleep(away).await;
        self.mosquitto.come_back().await;
        self.sink.reconnect().await;
        self.home.refuse(false);
    }

    pub fn register(&self, device: Device) {
        self.stack.register(APP, device).unwrap();
    }
}

fn write_configuration(folder: &TempDir, key: &str, mqtt: SocketAddr, api: SocketAddr, home: SocketAddr) {
    let key_file = folder.path().join("soak.key");
    fs::write(&key_file, key).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).unwrap();
    let toml = format!(
        "[[application]]\nid = \"{APP}\"\ntenant = \"\"\napi_key_file = \"soak.key\"\nmqtt_url = \"mqtt://{mqtt}\"\n\
         api_url = \"http://{api}\"\n[home]\nurl = \"mqtt://{home}\"\n[store]\npath = \"store\"\n\
         [log]\nlevel = \"info\"\n"
    );
    fs::write(folder.path().join("ttn-ferry.toml"), toml).unwrap();
}
