//! The bridge with an example's own configuration, between simulated nodes and a home broker.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use simulator::broker::{Broker, BrokerConfig, Message};
use simulator::nodes::{Behaviour, Node, Reception, Report};
use simulator::stack::{ApiKey, Application, Device, Stack, StackConfig, StackEvent};
use tempfile::TempDir;
use tokio::sync::broadcast;

use super::folder::Folder;
use super::in_time;
use super::process::Process;

/// What the examples' configurations say, and the tests put otherwise.
const CLUSTER: &str = "cluster = \"eu1\"";
const HOME: &str = "url = \"mqtt://localhost:1883\"";

/// A running bridge and all around it.
pub struct Scene {
    stack: Stack,
    broker: Broker,
    heard: broadcast::Receiver<Message>,
    events: broadcast::Receiver<StackEvent>,
    _bridge: Process,
    _folder: TempDir,
}

/// A node that has joined. It sends what it is told to send.
pub struct Sender(Node);

impl Scene {
    /// The bridge with the `ttn-ferry.toml` of this example and these applications, connected on both sides.
    pub async fn of(example: &Folder, applications: &[&str]) -> Self {
        let applications: Vec<_> = applications.iter().map(|id| application(id)).collect();
        let stack =
            Stack::start(StackConfig { applications: applications.clone(), ..StackConfig::default() }).await.unwrap();
        let broker = Broker::start(BrokerConfig::default()).await.unwrap();
        let folder = TempDir::new().unwrap();
        let (heard, mut events) = (broker.handle().watch(), stack.handle().events());
        copy_codecs(&example.path, folder.path());
        applications.iter().for_each(|application| write_key(folder.path(), application));
        let configuration = folder.path().join("ttn-ferry.toml");
        fs::write(&configuration, configured(&example.path, &stack, &broker)).unwrap();
        let bridge = Process::ferry(&configuration);
        for _ in &applications {
            subscribed(&mut events).await;
        }
        Self { stack, broker, heard, events, _bridge: bridge, _folder: folder }
    }

    /// The port of the home broker.
    pub fn port(&self) -> u16 {
        self.broker.addr().port()
    }

    /// A node of this application; it has joined.
    pub async fn node(&self, application: &str, id: &str, behaviour: impl Behaviour + 'static) -> Sender {
        let dev_eui = std::array::from_fn(|_| fastrand::u8(..));
        let device = Device::new(id, dev_eui, [7; 8], std::array::from_fn(|_| fastrand::u8(..)));
        self.stack.handle().register(application, device.clone()).unwrap();
        let mut node = Node::new(&device, behaviour);
        node.join(&self.stack.handle()).await.unwrap();
        Sender(node)
    }

    /// The node sends this, and listens.
    pub async fn send(&self, node: &mut Sender, f_port: u8, payload: &[u8]) -> Option<Reception> {
        node.0.send(&self.stack.handle(), Report::unconfirmed(f_port, payload)).await.unwrap()
    }

    /// The node sends its own report, and what it then hears is the payload of a command.
    pub async fn collect(&self, node: &mut Sender) -> Vec<u8> {
        let heard = node.0.report(&self.stack.handle()).await.unwrap();
        heard.expect("a downlink waits for the node").payload
    }

    /// The node sends its own report; nothing waits for it.
    pub async fn report(&self, node: &mut Sender) {
        let heard = node.0.report(&self.stack.handle()).await.unwrap();
        assert!(heard.as_ref().is_none_or(|heard| heard.f_port.is_none()), "heard {heard:?}");
    }

    /// The network has taken the next downlink into its queue.
    pub async fn queued(&mut self) {
        in_time("a downlink in the network's queue", async {
            loop {
                let event = self.events.recv().await.unwrap();
                if matches!(event, StackEvent::Http(request) if request.path.contains("/down/") && request.status == Some(200)) {
                    return;
                }
            }
        })
        .await;
    }

    /// The next message on this topic at home.
    pub async fn heard(&mut self, topic: &str) -> Value {
        in_time(topic, async {
            loop {
                let message = self.heard.recv().await.unwrap();
                if &*message.topic == topic {
                    return serde_json::from_slice(&message.payload).unwrap();
                }
            }
        })
        .await
    }
}

fn application(id: &str) -> Application {
    Application { id: id.into(), tenant: Some("ttn".into()), keys: vec![ApiKey::with_all_rights()] }
}

async fn subscribed(events: &mut broadcast::Receiver<StackEvent>) {
    in_time("a subscription", async {
        while !matches!(events.recv().await.unwrap(), StackEvent::Subscribed { .. }) {}
    })
    .await;
}

/// The example's configuration, with the simulated network and broker in place of the real ones.
fn configured(example: &Path, stack: &Stack, broker: &Broker) -> String {
    let text = fs::read_to_string(example.join("ttn-ferry.toml")).unwrap();
    assert!(text.contains(CLUSTER) && text.contains(HOME), "another place for the network or the broker: {text}");
    let network = format!("mqtt_url = \"mqtt://{}\"\napi_url = \"http://{}\"", stack.mqtt_addr(), stack.http_addr());
    let home = format!("url = \"mqtt://{}\"", broker.addr());
    let text = text.replace(CLUSTER, &network).replace(HOME, &home);
    format!("{text}\n[store]\npath = \"store\"\n\n[service]\nsocket = \"\"\n")
}

fn write_key(folder: &Path, application: &Application) {
    let path = folder.join(format!("{}.key", application.id));
    fs::write(&path, &application.keys[0].key).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn copy_codecs(example: &Path, folder: &Path) {
    let Ok(codecs) = fs::read_dir(example.join("codecs")) else { return };
    fs::create_dir(folder.join("codecs")).unwrap();
    for codec in codecs.map(Result::unwrap) {
        fs::copy(codec.path(), folder.join("codecs").join(codec.file_name())).unwrap();
    }
}
