//! The outside world of the demo: a look-alike of The Things Stack, four LoRaWAN nodes, a home broker.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use simulator::broker::{Broker, BrokerConfig};
use simulator::nodes::{Behaviour, CayenneNode, MbedExample, Node, RoomSensor, Tracker};
use simulator::stack::{ApiKey, Application, Device, Stack, StackConfig};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::mqtt::Address;

const APPLICATION: &str = "demo";
const TENANT: &str = "ttn";
/// All demo devices share a JoinEUI; the last byte of the DevEUI tells them apart.
const JOIN_EUI: [u8; 8] = [0x70, 0xb3, 0xd5, 0x7e, 0xd0, 0, 0, 0];

/// One node of the demo and the codec that reads it.
pub struct Cast {
    pub name: &'static str,
    pub codec: &'static str,
}

/// The nodes, in the order of their DevEUIs.
pub const CAST: [Cast; 4] = [
    Cast { name: "mbed-node", codec: "mbed/lorawan-example" },
    Cast { name: "greenhouse", codec: "generic/cayenne-lpp" },
    Cast { name: "living-room", codec: "mbed/led-and-sensors" },
    Cast { name: "tracker", codec: "generic/cayenne-lpp" },
];
/// The node that the demo commands.
pub const COMMANDED: &str = CAST[0].name;

/// Everything around the bridge, running.
pub struct World {
    stack: Stack,
    broker: Option<Broker>,
    nodes: JoinSet<()>,
    stop: CancellationToken,
    home: Address,
    key: String,
    /// Where the bridge keeps its store; gone with the demo.
    folder: TempDir,
}

impl World {
    /// Starts the world; the nodes join at once and report every `interval`.
    pub async fn start(home: Option<Address>, listen: SocketAddr, interval: Duration) -> anyhow::Result<Self> {
        let key = ApiKey::with_all_rights();
        let secret = key.key.clone();
        let application = Application { id: APPLICATION.into(), tenant: Some(TENANT.into()), keys: vec![key] };
        let stack = Stack::start(StackConfig { applications: vec![application], ..StackConfig::default() }).await?;
        let (broker, home) = match home {
            Some(home) => (None, home),
            None => start_broker(listen).await.map(|(broker, home)| (Some(broker), home))?,
        };
        let (stop, mut nodes) = (CancellationToken::new(), JoinSet::new());
        for (number, cast) in CAST.iter().enumerate() {
            let device = device(number as u8 + 1, cast.name);
            stack.handle().register(APPLICATION, device.clone())?;
            let node = Node::new(&device, behaviour(number));
            nodes.spawn(node.run(stack.handle(), interval, stop.clone()));
        }
        Ok(Self { stack, broker, nodes, stop, home, key: secret, folder: TempDir::new()? })
    }

    pub fn home(&self) -> &Address {
        &self.home
    }

    /// The configuration a user would write for this world.
    pub fn configuration(&self, discovery: &str, page: Option<SocketAddr>) -> String {
        let devices = CAST.iter().map(|cast| format!("[[device]]\nid = {:?}\ncodec = {:?}\n", cast.name, cast.codec));
        let page = page.map(|page| format!("[web]\nlisten = \"{page}\"\n\n")).unwrap_or_default();
        format!(
            "[[application]]\nid = {APPLICATION:?}\ntenant = {TENANT:?}\nmqtt_url = \"mqtt://{}\"\n\
             api_url = \"http://{}\"\napi_key = {:?}\n\n[home]\nurl = \"{}\"\n\n[home_assistant]\ndiscovery = {discovery:?}\n\n[store]\npath = {:?}\n\n\
             [service]\nsocket = \"\"\n\n{page}{}",
            self.stack.mqtt_addr(),
            self.stack.http_addr(),
            self.key,
            self.home,
            self.folder.path(),
            devices.collect::<String>()
        )
    }

    /// Ends the nodes, then the servers.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.nodes.join_next().await.is_some() {}
        self.stack.stop().await;
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

async fn start_broker(listen: SocketAddr) -> anyhow::Result<(Broker, Address)> {
    let broker = Broker::start(BrokerConfig { listen, ..BrokerConfig::default() })
        .await
        .map_err(|error| taken(listen, &error))?;
    let address = Address::tcp(broker.addr().ip().to_string(), broker.addr().port());
    Ok((broker, address))
}

fn taken(listen: SocketAddr, error: &io::Error) -> anyhow::Error {
    let hint = "another demo or broker may listen there; choose another address with --listen 127.0.0.1:1885";
    anyhow!("the demo's home broker cannot listen on {listen}: {error}\n  hint: {hint}")
}

fn device(number: u8, name: &str) -> Device {
    let mut dev_eui = JOIN_EUI;
    dev_eui[7] = number;
    let app_key = std::array::from_fn(|_| fastrand::u8(..));
    Device::new(name, dev_eui, JOIN_EUI, app_key)
}

fn behaviour(number: usize) -> Box<dyn Behaviour> {
    match number {
        0 => Box::new(MbedExample::default()),
        1 => Box::new(CayenneNode::default()),
        2 => Box::new(RoomSensor::default()),
        _ => Box::new(Tracker::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_taken_is_named_with_what_to_do() {
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        let error = start_broker(address).await.err().unwrap().to_string();
        assert!(error.starts_with(&format!("the demo's home broker cannot listen on {address}: ")), "{error}");
        assert!(error.contains("\n  hint: another demo"), "{error}");
    }
}
