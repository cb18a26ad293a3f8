//! Whether the bridge can do its work: what an orchestrator asks before it sends anybody here.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use crate::network::NetworkServer;

/// Tells whether both sides are there.
pub struct Readiness {
    pub servers: Vec<Arc<dyn NetworkServer>>,
    pub home_connected: watch::Receiver<bool>,
}

/// How it stands. Anybody may know it: it names nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ready {
    pub ready: bool,
    /// What is missing, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Readiness {
    /// Ready means that the home broker is there and that the login of every application was good once since the start.
    /// One that was lost later comes back by itself, and its messages wait meanwhile: another process would not do better.
    pub fn now(&self) -> Ready {
        let all = self.servers.len();
        let missing = self.servers.iter().filter(|server| !server.health().was_connected).count();
        let home = (!*self.home_connected.borrow()).then(|| "the home broker is not connected".to_owned());
        let network = (missing > 0).then(|| format!("{missing} of {all} applications were not connected yet"));
        let reasons: Vec<_> = home.into_iter().chain(network).collect();
        Ready { ready: reasons.is_empty(), reasons }
    }
}
