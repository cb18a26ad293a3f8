//! A small MQTT 3.1.1 broker on loopback: the home broker of `ttn-ferry demo` and of the tests.
//!
//! ```text
//! client ⇄ connection ──commands──▶ router ──outbox──▶ connection ⇄ client
//!          (one a client)           (owns sessions, subscriptions, retained messages)
//! ```
//! The router never waits for a client: a slow one finds its QoS 1 messages queued in its session, up to a bound, and
//! misses QoS 0 messages. QoS 2 is taken from clients and delivered as QoS 1. Not for production: sessions and retained
//! messages live in memory, there is no TLS, and filters are tried one by one.
//!
//! `config` what may be chosen · `handle` what a test can do to it · `connection` sockets, CONNECT, keep-alive ·
//! `router` who gets what · `client`, `session`, `retained`, `topics` the logic without I/O.

mod client;
mod config;
mod connection;
mod handle;
mod message;
mod retained;
mod router;
mod session;
#[cfg(test)]
mod tests;
mod topics;

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::{broadcast, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use config::BrokerConfig;
pub use handle::{BrokerError, BrokerHandle};
pub use message::Message;

use connection::Listener;
use router::Router;

/// Commands on their way to the router; a full queue makes the publishing clients wait.
const COMMANDS: usize = 1024;

/// Messages a watcher may fall behind before it is told that it missed some.
const WATCHED: usize = 16 * 1024;

/// A running broker. Dropping it closes everything as well, without waiting for it.
#[derive(Debug)]
pub struct Broker {
    addr: SocketAddr,
    handle: BrokerHandle,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Broker {
    /// Listens and serves until it is stopped or dropped.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(config: BrokerConfig) -> io::Result<Self> {
        let socket = TcpListener::bind(config.listen).await?;
        let addr = socket.local_addr()?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (watchers, _) = broadcast::channel(WATCHED);
        let handle = BrokerHandle::new(commands.clone(), watchers.downgrade());
        let stop = CancellationToken::new();
        let config = Arc::new(config);
        let mut tasks = JoinSet::new();
        tasks.spawn(Router::new(config.clone(), watchers).run(inbox));
        tasks.spawn(Listener { socket, config, commands }.run(stop.clone()));
        Ok(Self { addr, handle, stop, tasks })
    }

    /// Where it listens, with the port that was taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What publishes, looks and interferes from outside; it may outlive the broker.
    pub fn handle(&self) -> BrokerHandle {
        self.handle.clone()
    }

    /// Closes every connection and releases the port, in that order. No will is sent and no session survives: it is the
    /// machine that goes, not a client.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // The listener ends by itself once its connections are closed; the router has no reason to end.
        self.tasks.join_next().await;
        self.tasks.shutdown().await;
    }
}
