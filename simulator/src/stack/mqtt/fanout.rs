//! The fan-out: every message to every subscriber that has room, at QoS 0, and nothing else.
//!
//! Nothing is kept for those who are away, slow or not subscribed yet.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::filters::Filter;
use crate::wire::{Packet, Publish, QoS};

/// Everyone who is connected.
#[derive(Debug, Default)]
pub struct Fanout {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    members: BTreeMap<u64, Member>,
}

#[derive(Debug)]
struct Member {
    filters: Vec<Filter>,
    outgoing: mpsc::Sender<Packet>,
}

/// One connection's place in the fan-out; dropping it leaves. Client ids play no part, so two connections with the same
/// one live side by side.
#[derive(Debug)]
pub struct Membership<'a> {
    fanout: &'a Fanout,
    id: u64,
}

impl Fanout {
    /// Adds a connection without subscriptions.
    pub fn join(&self, outgoing: mpsc::Sender<Packet>) -> Membership<'_> {
        let mut state = self.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.members.insert(id, Member { filters: Vec::new(), outgoing });
        Membership { fanout: self, id }
    }

    /// Hands one copy to every member with a matching filter. A member whose buffer is full loses this message, and is
    /// not told.
    pub fn deliver(&self, topic: &str, payload: &Bytes) {
        for member in self.lock().members.values() {
            if member.filters.iter().any(|filter| filter.matches(topic)) {
                let message = Publish::from_bytes(topic, QoS::AtMostOnce, payload.clone());
                if member.outgoing.try_send(Packet::Publish(message)).is_err() {
                    tracing::debug!(topic, "A slow reader lost a message.");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The list of members is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership<'_> {
    pub fn subscribe(&self, filter: Filter) {
        self.change(|filters| {
            if !filters.contains(&filter) {
                filters.push(filter);
            }
        });
    }

    pub fn unsubscribe(&self, filter: &Filter) {
        self.change(|filters| filters.retain(|held| held != filter));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Filter>)) {
        if let Some(member) = self.fanout.lock().members.get_mut(&self.id) {
            change(&mut member.filters);
        }
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        self.fanout.lock().members.remove(&self.id);
    }
}
