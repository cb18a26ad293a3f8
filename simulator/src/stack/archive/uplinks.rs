//! Counts the distinct uplinks the stack published, for tests to hold against what arrived at the home.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::message::{Kind, Message};

/// Uplinks remembered of one application; later ones are not counted any more.
const MOST: usize = 1_000_000;

/// What tells one uplink of an application from every other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishedUplink {
    pub device_id: String,
    /// Base64; empty for a simulated uplink.
    pub session_key_id: String,
    pub f_cnt: u32,
    /// Simulated uplinks have neither session nor counter, and are told apart by the time alone.
    pub received_at: Option<Timestamp>,
}

/// Every uplink that went out, by application.
#[derive(Debug, Default)]
pub struct Uplinks {
    applications: BTreeMap<String, HashSet<PublishedUplink>>,
}

impl Uplinks {
    /// Counts an uplink, once; other messages are not counted.
    pub fn count(&mut self, message: &Message) {
        if message.kind != Kind::UplinkMessage {
            return;
        }
        let seen = self.applications.entry(message.application.clone()).or_default();
        if seen.len() < MOST {
            seen.insert(PublishedUplink {
                device_id: message.device.clone(),
                session_key_id: message.session_key_id.clone(),
                f_cnt: message.f_cnt,
                received_at: message.session_key_id.is_empty().then_some(message.received_at),
            });
        }
    }

    /// The uplinks of an application in order of device, session and counter.
    pub fn of(&self, application: &str) -> Vec<PublishedUplink> {
        let mut uplinks: Vec<_> = self.applications.get(application).into_iter().flatten().cloned().collect();
        uplinks.sort();
        uplinks
    }
}
