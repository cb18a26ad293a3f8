//! The HTTP doors: a Unix socket for the command line, and an address for browsers and scripts.
//!
//! ```text
//! control socket ─▶ door ─────────────────────────────┬─▶ api ─▶ control
//! TCP, TLS ───────▶ door ─▶ front: guard, lock ─▶ page, session, probes
//! ```
//!
//! Thin by intent: [`api`] takes JSON in and gives JSON out, [`crate::control`] answers. Who may open the socket's file
//! may do everything. Who comes over the network is looked at in [`front`]. What a visitor may cost is bounded here:
//! connections in [`room`], their heads and their handshakes in [`door`], their silence in [`visitor`], the length of a body and the
//! time of an answer in [`api`], wrong passwords in [`tries`].

mod api;
mod backup;
mod door;
mod ended;
mod front;
mod guard;
mod key;
mod live;
mod lock;
mod metrics;
mod onboarding;
mod page;
mod port;
mod probes;
mod problem;
mod proxies;
mod room;
mod session;
mod socket;
#[cfg(test)]
mod tests;
mod tries;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ipnet::IpNet;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::control::{Answers, Readiness};
use api::Api;
use door::{Door, Entrance};
pub use ended::EndedSessions;
use guard::Guard;
pub use key::{KeyError, SigningKey};
use live::Listeners;
use lock::Lock;
pub use onboarding::{Asking, Onboarding};
pub use port::{Certificate, Port, PortError, certificate};
use proxies::Proxies;
use session::Facts;
pub use socket::{Socket, SocketError};

/// How long requests under way may take once the bridge stops. Those that only wait for news end at once.
const FAREWELL: Duration = Duration::from_secs(2);
/// Connections at once on the socket.
const AT_THE_SOCKET: usize = 64;

/// Serves the API, and the page.
pub struct Web {
    pub socket: Option<Socket>,
    pub site: Option<Site>,
    pub answers: Arc<Answers>,
    pub readiness: Readiness,
}

/// What is served to browsers and scripts, and to whom.
pub struct Site {
    pub port: Port,
    /// The path below which a browser sees everything, with a slash at both ends.
    pub base: String,
    /// What people log in with.
    pub password: Option<SecretString>,
    /// What scripts show.
    pub token: Option<SecretString>,
    pub key: SigningKey,
    pub ended: EndedSessions,
    /// What the machine is called beside its own name.
    pub hosts: Vec<String>,
    /// The address people use.
    pub url: Option<String>,
    /// Who may say whose requests they pass on.
    pub proxies: Vec<IpNet>,
    pub edit_codecs: bool,
    /// Connections at once.
    pub connections: usize,
}

impl Web {
    /// Runs until `stop`, then ends what is under way, and removes the socket.
    pub async fn run(self, stop: CancellationToken) {
        let Self { socket, site, answers, readiness } = self;
        let cut = CancellationToken::new();
        // However this ends: no connection is served longer than this task lives.
        let _cut = cut.clone().drop_guard();
        let listeners = Listeners::default();
        let given = Api { answers, stop: stop.clone(), listeners: listeners.clone() };
        let (api, backups) = (api::router(given.clone()), backup::router(given));
        let probes = probes::router(Arc::new(readiness));
        let (listener, _file) = socket.map(Socket::into_parts).unzip();
        let inside = listener.map(|listener| {
            let router = probes.clone().merge(backups).fallback_service(api.clone());
            Door::new(Entrance::Unix(listener), AT_THE_SOCKET, router)
        });
        let outside = site.map(|site| site.door(api, probes));
        let doors = inside.into_iter().chain(outside).map(|door| door.run(stop.clone(), cut.clone()));
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        let done = async {
            futures_util::future::join_all(doors).await;
            listeners.gone().await;
        };
        tokio::select! {
            () = done => {}
            () = over => tracing::debug!("Requests were cut short."),
        }
    }
}

impl Site {
    fn door(self, api: Router, probes: Router) -> Door {
        tracing::info!(address = %self.port.address(), tls = self.port.has_tls(), "The page is served.");
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let guard = Guard::new(&machine, &self.hosts, self.url.as_deref());
        let lock = Lock::new(self.password, self.token, &self.key, self.ended).map(Arc::new);
        let facts = Facts { lock, edit_codecs: self.edit_codecs, base: self.base.into() };
        Door::new(
            self.port.into_entrance(),
            self.connections,
            front::before(api, probes, guard, Proxies(self.proxies), facts),
        )
    }
}
