//! One connection through the proxy: from its first byte to its orderly end or its cut.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::settings::{Cut, Direction, Settings};
use super::{Shared, pump};

/// Serves one client until either direction breaks, both have ended, or the link is cut.
pub async fn run(mut client: TcpStream, shared: Arc<Shared>) {
    let begun = shared.settings.borrow().clone();
    if begun.refuse {
        return reject(client, &shared);
    }
    let Ok(mut server) = TcpStream::connect(begun.server).await else { return reject(client, &shared) };
    let _open = Open::count(&shared);
    let how = forward(&mut client, &mut server, &shared, &begun).await;
    for socket in [&mut client, &mut server] {
        end(socket, how).await;
    }
}

/// Forwards both ways; returns how the link is to end. Cuts and half-closes count from `begun`, before the server was
/// dialled.
async fn forward(client: &mut TcpStream, server: &mut TcpStream, shared: &Shared, begun: &Settings) -> Cut {
    let mut settings = shared.settings.subscribe();
    // Small packets are the rule here, and waiting for more would be a delay nobody asked for.
    let (Ok(()), Ok(())) = (client.set_nodelay(true), server.set_nodelay(true)) else { return Cut::Reset };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = pump::run(Direction::Up, from_client, to_server, shared, begun);
    let down = pump::run(Direction::Down, from_server, to_client, shared, begun);
    tokio::select! {
        biased;
        cut = settings.wait_for(|settings| settings.cuts != begun.cuts) => {
            shared.traffic.send_modify(|traffic| traffic.cut += 1);
            cut.map_or(Cut::Close, |settings| settings.last_cut)
        }
        // One side was reset or is gone: so is the other one.
        ended = async { tokio::try_join!(up, down) } => ended.map_or(Cut::Reset, |_| Cut::Close),
    }
}

fn reject(client: TcpStream, shared: &Shared) {
    shared.traffic.send_modify(|traffic| traffic.refused += 1);
    reset(&client);
}

async fn end(socket: &mut TcpStream, how: Cut) {
    match how {
        Cut::Reset => reset(socket),
        // Closing alone would be a RST wherever bytes are left unread. One that is closed already has nothing to add.
        Cut::Close => drop(socket.shutdown().await),
    }
}

/// Makes the closing of this socket a RST.
fn reset(socket: &TcpStream) {
    if let Err(error) = socket.set_zero_linger() {
        tracing::debug!(%error, "A connection ends with a FIN instead of a RST.");
    }
}

/// One of the open connections, for as long as it lives.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn count(shared: &'a Shared) -> Self {
        shared.traffic.send_modify(|traffic| {
            traffic.accepted += 1;
            traffic.open += 1;
        });
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.traffic.send_modify(|traffic| traffic.open -= 1);
    }
}
