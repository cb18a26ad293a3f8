//! What the demo does and sees: it watches the home broker like any client, and commands a node once.

use std::collections::BTreeSet;
use std::io;
use std::pin::pin;

use serde_json::Value;

use super::super::Terminal;
use super::telling::{self, Reading, Step};
use super::world::{CAST, COMMANDED};
use crate::mqtt::{Address, Connection, Endpoint, Event, Inbound, Lost, Message, Qos};

/// The base topic of the demo's configuration: the default one.
const BASE: &str = "ttn";
const COMMAND: &str = r#"{"led":true}"#;

/// The home's view of the demo so far.
pub struct Story {
    home: Address,
    /// Nodes whose payload was decoded by a codec of ours.
    decoded: BTreeSet<String>,
    /// Whether the LED was commanded, and whether the node acknowledged it and showed it.
    commanded: bool,
    acked: bool,
    reported: bool,
}

impl Story {
    pub fn new(home: Address) -> Self {
        Self { home, decoded: BTreeSet::new(), commanded: false, acked: false, reported: false }
    }

    /// Every node decoded, and the command acknowledged.
    pub fn is_complete(&self) -> bool {
        self.decoded.len() == CAST.len() && self.acked
    }

    /// Watches until the home broker is lost; tells each reading and each step of a downlink.
    pub async fn run(&mut self, terminal: &mut Terminal) -> io::Result<()> {
        let mut connection = Connection::open(&self.endpoint()).await.map_err(io::Error::other)?;
        let sender = connection.sender();
        sender
            .subscribe(&[format!("{BASE}/+/uplink"), format!("{BASE}/+/downlink/state")], Qos::AtLeastOnce)
            .map_err(io::Error::other)?;
        loop {
            let event = pin!(connection.next()).await.map_err(io::Error::other)?;
            let Event::Message(message) = event else { continue };
            if let Some(line) = self.hear(&message) {
                terminal.line(&line)?;
            }
            if !self.commanded && self.decoded.contains(COMMANDED) {
                self.commanded = true;
                terminal.line(&telling::command(COMMANDED, COMMAND))?;
                self.command(&sender).map_err(io::Error::other)?;
            }
        }
    }

    pub fn summary(&self) -> String {
        telling::summary(self.decoded.len(), CAST.len(), self.acked, self.reported)
    }

    fn hear(&mut self, message: &Inbound) -> Option<String> {
        let topic = std::str::from_utf8(&message.topic).ok()?;
        if message.retain {
            return None;
        }
        if topic.ends_with("/uplink") {
            let reading: Reading = serde_json::from_slice(&message.payload).ok()?;
            self.note(&reading);
            return Some(telling::reading(&reading));
        }
        let device = topic.strip_prefix(BASE)?.strip_prefix('/')?.strip_suffix("/downlink/state")?;
        let step: Step = serde_json::from_slice(&message.payload).ok()?;
        self.acked |= device == COMMANDED && step.state == "acked";
        Some(telling::step(device, &step))
    }

    fn note(&mut self, reading: &Reading) {
        let Some(fields) = reading.fields.as_ref().filter(|_| reading.codec_error.is_none()) else { return };
        self.decoded.insert(reading.device.clone());
        self.reported |= self.acked && reading.device == COMMANDED && fields.get("led") == Some(&Value::Bool(true));
    }

    fn command(&self, sender: &crate::mqtt::Sender) -> Result<(), Lost> {
        sender.publish(Message::new(format!("{BASE}/{COMMANDED}/set"), COMMAND))
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.home.clone(), format!("ttn-ferry-demo-{:08x}", fastrand::u32(..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_complete_once_every_node_is_decoded_and_the_command_acknowledged() {
        let mut story = Story::new(Address::tcp("localhost", 1883));
        story.decoded = CAST.iter().map(|cast| cast.name.to_owned()).collect();
        assert!(!story.is_complete());
        story.acked = true;
        assert!(story.is_complete());
        story.decoded.remove(COMMANDED);
        assert!(!story.is_complete());
    }
}
