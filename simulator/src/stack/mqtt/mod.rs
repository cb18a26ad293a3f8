//! The MQTT face: not a broker but a fan-out at QoS 0, which acknowledges everything and promises nothing.
//!
//! `handshake` lets clients in, `connection` is one client's conversation, `filters` and `fanout` decide who hears what.

mod connection;
mod fanout;
mod filters;
mod handshake;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::shared::Shared;

pub use fanout::Fanout;

/// How long to wait after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until the stack stops. Connections end with it.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => drop(connections.spawn(connection::run(socket, shared.clone()))),
                Err(error) => {
                    tracing::debug!(%error, "An MQTT connection was lost before it was accepted.");
                    // Too many open files is the usual reason, and does not pass at once.
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = shared.stop.cancelled() => break,
        }
    }
    connections.shutdown().await;
}
