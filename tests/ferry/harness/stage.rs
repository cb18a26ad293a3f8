//! What stands around a bridge, and the configuration that names it.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use simulator::broker::{Broker, BrokerConfig};
use simulator::stack::{ApiKey, Application, Stack, StackConfig};
use tempfile::TempDir;

use super::{APP, Home, Network};

/// What a test may choose before anything starts. The default is one application and an anonymous home broker.
pub struct Setup {
    /// Every application in it is one of the bridge's, with its first key.
    pub stack: StackConfig,
    pub broker: BrokerConfig,
    /// An application whose key the network takes no more.
    pub revoked: Option<String>,
    /// Another home broker than the simulated one.
    pub home_at: Option<SocketAddr>,
    /// How the bridge comes to it, if not over plain TCP.
    pub home_url: Option<String>,
    /// Further lines of every `[[application]]`.
    pub application: String,
    /// Further lines of `[home]`.
    pub home: String,
    /// Further secrets in files beside the configuration, by the files' names.
    pub secrets: Vec<(String, String)>,
    /// The password of the home broker, put into a file.
    pub home_password: Option<String>,
    /// Further lines of `[store]`; it lies in a folder of its own.
    pub store: String,
    /// Scripts in the codec folder, by their names without `.js`.
    pub codecs: Vec<(String, String)>,
    /// Further lines of `[codecs]`.
    pub codec_lines: &'static str,
    /// Time for one message, generous: the tests share two processors with each other.
    pub codec_time: &'static str,
    /// How long a stop may take.
    pub grace: &'static str,
    /// How often the bridge tells how it is.
    pub health_interval: &'static str,
    pub log: &'static str,
    /// Further tables.
    pub more: String,
}

/// Everything around a bridge that is not the bridge.
pub struct Stage {
    pub network: Network,
    pub home: Home,
    broker: Option<Broker>,
    broker_config: BrokerConfig,
    folder: TempDir,
    toml: String,
}

impl Default for Setup {
    fn default() -> Self {
        let application = Application { id: APP.into(), tenant: None, keys: vec![ApiKey::with_all_rights()] };
        // The real server drops what a slow reader leaves; here the bridge shares its processor with forty others.
        let stack = StackConfig { applications: vec![application], mqtt_buffer: 10_000, ..StackConfig::default() };
        Self {
            stack,
            broker: BrokerConfig::default(),
            revoked: None,
            home_at: None,
            home_url: None,
            application: String::new(),
            home: String::new(),
            home_password: None,
            secrets: Vec::new(),
            store: String::new(),
            codecs: Vec::new(),
            codec_lines: "",
            codec_time: "5s",
            grace: "15s",
            health_interval: "60s",
            log: "info,ttn_ferry=debug",
            more: String::new(),
        }
    }
}

impl Setup {
    /// A second application beside the usual one.
    pub fn add_application(&mut self, id: &str) {
        let keys = vec![ApiKey::with_all_rights()];
        self.stack.applications.push(Application { id: id.into(), tenant: None, keys });
    }

    /// A `[[device]]` table of application `app1`.
    pub fn add_device(&mut self, id: &str, lines: &str) {
        write!(self.more, "\n[[device]]\nid = \"{id}\"\napplication = \"{APP}\"\n{lines}\n").unwrap();
    }

    /// A script of the user's own for the device of this id.
    pub fn add_codec(&mut self, device: &str, script: &str) {
        self.codecs.push((device.into(), script.into()));
    }
}

impl Stage {
    pub async fn set(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        change(&mut setup);
        let mut served = setup.stack.clone();
        let revoked = |application: &&mut Application| Some(&application.id) == setup.revoked.as_ref();
        served.applications.iter_mut().filter(revoked).for_each(|application| application.keys.clear());
        let stack = Stack::start(served).await.unwrap();
        let folder = TempDir::new().unwrap();
        let (broker, home) = match setup.home_at {
            Some(address) => (None, Home::at(address).await),
            None => {
                let broker = Broker::start(setup.broker.clone()).await.unwrap();
                let home = Home::of(&broker);
                (Some(broker), home)
            }
        };
        let address = setup.home_at.or(broker.as_ref().map(Broker::addr)).unwrap();
        let toml = write_configuration(folder.path(), &setup, &stack, address);
        let broker_config = BrokerConfig { listen: address, ..setup.broker };
        Self { network: Network::new(stack, setup.stack.applications), home, broker, broker_config, folder, toml }
    }

    /// Where the configuration and the codec folder `codecs` lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("ttn-ferry.toml")
    }

    /// Where the bridge's control API listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    /// Where the home broker is.
    pub fn broker(&self) -> SocketAddr {
        self.broker_config.listen
    }

    pub fn toml(&self) -> &str {
        &self.toml
    }

    /// The configuration is changed: for the next bridge on this stage.
    pub fn reconfigure(&mut self, from: &str, to: &str) {
        assert!(self.toml.contains(from), "`{from}` is not in it: {}", self.toml);
        self.toml = self.toml.replacen(from, to, 1);
        fs::write(self.configuration(), &self.toml).unwrap();
    }

    /// The home broker's machine is switched off.
    pub async fn home_goes(&mut self) {
        self.broker.take().expect("the broker is there").stop().await;
    }

    /// The home broker's machine is back, at the same address and with an empty memory.
    pub async fn home_comes(&mut self) {
        let broker = Broker::start(self.broker_config.clone()).await.unwrap();
        self.home.follow(&broker);
        self.broker = Some(broker);
    }
}

fn write_configuration(folder: &Path, setup: &Setup, stack: &Stack, home: SocketAddr) -> String {
    let mut toml = String::new();
    for Application { id, keys, .. } in &setup.stack.applications {
        write_secret(&folder.join(format!("{id}.key")), &keys[0].key);
        let (mqtt, http, more) = (stack.mqtt_addr(), stack.http_addr(), &setup.application);
        write!(
            toml,
            "[[application]]\nid = \"{id}\"\ntenant = \"\"\napi_key_file = \"{id}.key\"\n\
             mqtt_url = \"mqtt://{mqtt}\"\napi_url = \"http://{http}\"\n{more}\n"
        )
        .unwrap();
    }
    let url = setup.home_url.clone().unwrap_or_else(|| format!("mqtt://{home}"));
    write!(toml, "[home]\nurl = \"{url}\"\n{}\n", setup.home).unwrap();
    if let Some(password) = &setup.home_password {
        write_secret(&folder.join("home.password"), password);
        writeln!(toml, "password_file = \"home.password\"").unwrap();
    }
    setup.secrets.iter().for_each(|(name, secret)| write_secret(&folder.join(name), secret));
    fs::create_dir(folder.join("codecs")).unwrap();
    for (name, script) in &setup.codecs {
        fs::write(folder.join("codecs").join(format!("{name}.js")), script).unwrap();
    }
    let Setup { codec_lines, codec_time, grace, health_interval, log, more, .. } = setup;
    write!(toml, "[store]\npath = \"store\"\n{}\n", setup.store).unwrap();
    write!(toml, "[codecs]\nfolder = \"codecs\"\ntime_limit = \"{codec_time}\"\n{codec_lines}\n").unwrap();
    write!(
        toml,
        "[service]
grace = \"{grace}\"
health_interval = \"{health_interval}\"
"
    )
    .unwrap();
    write!(
        toml,
        "socket = \"control.sock\"
[log]
level = \"{log}\"
{more}"
    )
    .unwrap();
    fs::write(folder.join("ttn-ferry.toml"), &toml).unwrap();
    toml
}

fn write_secret(path: &Path, secret: &str) {
    fs::write(path, secret).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
