//! What a test or the demo may choose about the broker.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
};

use crate::wire::ConnectAuth;

/// How the broker behaves; the defaults are an anonymous broker on a free loopback port.
#[derive(Clone)]
pub struct BrokerConfig {
    /// Where to listen; port 0 takes any free port.
    pub listen: SocketAddr,
    /// User names and their passwords; `None` lets everybody in.
    pub users: Option<HashMap<String, String>>,
    /// Topic filters no client may publish to. MQTT 3.1.1 has no way to refuse a publish, so it is acknowledged and
    /// dropped, wills included, as Mosquitto does (MQTT 3.1.1, 3.3.5-2).
    pub denied_publish: Vec<String>,
    /// QoS 1 messages a subscriber may owe an acknowledgement for, at least 1. Mosquitto's default is 20 too.
    pub max_inflight: u16,
    /// Messages that wait for one subscriber: QoS 1 beyond this pushes the oldest out, QoS 0 beyond it is not sent.
    /// More than 1,048,576 counts as that.
    pub max_queued: usize,
}

impl BrokerConfig {
    /// Whether these credentials are let in.
    pub(super) fn admits(&self, auth: &ConnectAuth) -> Admission {
        let Some(users) = &self.users else { return Admission::Granted };
        match auth {
            ConnectAuth::None => Admission::NotAuthorized,
            ConnectAuth::Username { .. } => Admission::BadCredentials,
            ConnectAuth::UsernamePassword { username, password } => match users.get(username) {
                Some(expected) if expected.as_bytes() == password.as_ref() => Admission::Granted,
                _ => Admission::BadCredentials,
            },
        }
    }

    /// The bounds of one subscriber's queues, clamped to what they can be.
    pub(super) fn limits(&self) -> Limits {
        Limits { inflight: usize::from(self.max_inflight.max(1)), queued: self.max_queued.min(1 << 20) }
    }
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            users: None,
            denied_publish: Vec::new(),
            max_inflight: 20,
            max_queued: 10_000,
        }
    }
}

/// By hand, so that no log shows a password.
impl std::fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrokerConfig")
            .field("listen", &self.listen)
            .field("users", &self.users.as_ref().map(|users| users.keys().collect::<Vec<_>>()))
            .field("denied_publish", &self.denied_publish)
            .field("max_inflight", &self.max_inflight)
            .field("max_queued", &self.max_queued)
            .finish()
    }
}

/// What the broker answers to credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Granted,
    /// CONNACK 4.
    BadCredentials,
    /// CONNACK 5.
    NotAuthorized,
}

/// The bounds of one subscriber's queues, in messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub inflight: usize,
    pub queued: usize,
}
