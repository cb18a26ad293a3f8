//! The HTTP doors: a Unix socket for the command line, and an address for browsers and scripts.
//!
//! Thin by intent: [`routes`] takes JSON in and gives JSON out, [`crate::control`] answers. What a visitor may cost is
//! bounded here: connections, their heads and their handshakes ([`door`]), their silence ([`visitor`]), the length of a
//! body and the time of an answer ([`routes`]).

mod door;
mod metrics;
mod onboarding;
mod page;
mod port;
mod problem;
mod routes;
mod socket;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::control::Answers;
use door::{Door, Entrance};
pub use onboarding::{Asking, Onboarding};
pub use page::Page;
pub use port::{Port, PortError};
use routes::Api;
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
}

/// What is served to browsers.
pub struct Site {
    pub port: Port,
    pub page: Page,
    /// Connections at once.
    pub connections: usize,
}

impl Web {
    /// Runs until `stop`, then ends what is under way, and removes the socket.
    pub async fn run(self, stop: CancellationToken) {
        let Self { socket, site, answers } = self;
        let cut = CancellationToken::new();
        // However this ends: no connection is served longer than this task lives.
        let _cut = cut.clone().drop_guard();
        let api = routes::router(Api { answers, stop: stop.clone() });
        let (listener, _file) = socket.map(Socket::into_parts).unzip();
        let inside = listener.map(|listener| Door::new(Entrance::Unix(listener), AT_THE_SOCKET, api.clone()));
        let outside = site.map(|Site { port, page, connections }| {
            Door::new(port.into_entrance(), connections, page.router().fallback_service(api))
        });
        let doors = inside.into_iter().chain(outside).map(|door| door.run(stop.clone(), cut.clone()));
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            _ = futures_util::future::join_all(doors) => {}
            () = over => tracing::debug!("Requests were cut short."),
        }
    }
}
