//! The control API: HTTP on a Unix socket, for the command line and for whoever may open that file.
//!
//! Thin by intent: [`routes`] takes JSON in and gives JSON out, [`crate::control`] answers. What a request may cost is
//! bounded here: connections ([`door`]), the length of a body and the time of an answer ([`routes`]).

mod backup;
mod door;
mod problem;
mod routes;
mod socket;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::control::Answers;
use door::Door;
use routes::Api;
pub use socket::{Socket, SocketError};

/// How long requests under way may take once the bridge stops. Those that only wait for news end at once.
const FAREWELL: Duration = Duration::from_secs(2);

/// Serves the control API.
pub struct Web {
    pub socket: Socket,
    pub answers: Arc<Answers>,
}

impl Web {
    /// Runs until `stop`, then ends what is under way, and removes the socket.
    pub async fn run(self, stop: CancellationToken) {
        let Self { socket, answers } = self;
        let (listener, _file) = socket.into_parts();
        let cut = CancellationToken::new();
        // However this ends: no connection is served longer than this task lives.
        let _cut = cut.clone().drop_guard();
        let router = routes::router(Api { answers, stop: stop.clone() });
        let served =
            axum::serve(Door::new(listener, cut), router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let over = async {
            stop.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            _ = served.into_future() => {}
            () = over => tracing::debug!("Requests to the control API were cut short."),
        }
    }
}
