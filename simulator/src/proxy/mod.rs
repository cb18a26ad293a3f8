//! A TCP proxy on loopback that does to connections what real networks do: cut, stall, delay, throttle, half-close.
//!
//! ```text
//! client ── Up ──▶ proxy ── Up ──▶ server      each connection is a `link`; each of its directions is pumped on its own
//!        ◀─ Down ─       ◀─ Down ─
//! ```
//! `settings` is what a test asked for, `traffic` what happened, `link` one connection, `pump` one direction of it.
//! Bytes come out as they went in; a cut loses those under way, as a real one does.

mod handle;
mod link;
mod pump;
mod settings;
mod traffic;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use handle::ProxyHandle;
pub use settings::{Cut, Direction};
pub use traffic::Traffic;

use settings::Settings;

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running proxy. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    listener: JoinSet<()>,
}

/// What handle, listener and links share.
#[derive(Debug)]
struct Shared {
    settings: watch::Sender<Settings>,
    traffic: watch::Sender<Traffic>,
}

impl Proxy {
    /// Listens on a free loopback port and forwards to `server`.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), server).await
    }

    /// Listens on `addr` and forwards to `server`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start_at(addr: SocketAddr, server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let settings = watch::Sender::new(Settings::to(server));
        let shared = Arc::new(Shared { settings, traffic: watch::Sender::new(Traffic::default()) });
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, shared.clone(), stop.clone()));
        Ok(Self { addr, shared, stop, listener: tasks })
    }

    /// Where it listens, with the port that was taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What interferes and looks from outside; it may outlive the proxy and then does nothing.
    pub fn handle(&self) -> ProxyHandle {
        ProxyHandle::new(self.shared.clone())
    }

    /// Closes every connection and releases the port, in that order.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.listener.join_next().await.is_some() {}
    }
}

/// Takes connections until the proxy stops; those that are open end with it.
async fn listen(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(links.spawn(link::run(client, shared.clone()))),
                Err(error) => {
                    tracing::debug!(%error, "A connection was lost before it was accepted.");
                    // Too many open files is the usual reason, and does not pass at once.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = links.join_next() => {}
            () = stop.cancelled() => break,
        }
    }
    links.shutdown().await;
}
