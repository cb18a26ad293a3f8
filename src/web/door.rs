//! Who is let in: so many at once, each with bounds on what it may take of time and room.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use hyper::StatusCode;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::port::Certificate;
use super::room::{Room, Stay};
use super::visitor::Visitor;

/// How long a request's head may take, and how long a connection may wait for the next one.
const HEAD: Duration = Duration::from_secs(30);
/// The longest head read, in bytes: cookies of other services on the same host come along.
const LONGEST_HEAD: usize = 32 << 10;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Where visitors come in.
pub enum Entrance {
    Unix(UnixListener),
    Tcp(TcpListener, watch::Receiver<Certificate>),
}

/// An entrance and what is served there.
pub struct Door {
    entrance: Entrance,
    room: Room,
    router: Router,
}

/// Whom a request came from. It is with every request of a TCP connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: IpAddr,
    /// Whether nobody on the way can read along.
    pub has_tls: bool,
}

/// A connection that stands.
enum Arrived {
    Unix(UnixStream),
    /// With what TLS is spoken on it.
    Tcp(TcpStream, IpAddr, Certificate),
}

impl Door {
    /// Serves `connections` at once. For the next one somebody makes way, or it waits.
    pub fn new(entrance: Entrance, connections: usize, router: Router) -> Self {
        Self { entrance, room: Room::new(connections), router }
    }

    /// Lets visitors in until `stop`, then serves what is under way to its end. With `cut`, which comes later, every
    /// connection is over, WebSockets too.
    pub async fn run(self, stop: CancellationToken, cut: CancellationToken) {
        let mut visits = JoinSet::new();
        let arrivals = async {
            loop {
                let arrived = self.arrival().await;
                let (place, stay) = self.room.enter(&stop).await;
                while visits.try_join_next().is_some() {}
                visits.spawn(arrived.served(place, stay, self.router.clone(), cut.clone()));
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = arrivals => {}
        }
        drop(self);
        while visits.join_next().await.is_some() {}
    }

    async fn arrival(&self) -> Arrived {
        loop {
            match self.accept().await {
                Ok(arrived) => return arrived,
                Err(error) => {
                    tracing::debug!(%error, "A connection could not be taken.");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<Arrived> {
        match &self.entrance {
            Entrance::Unix(listener) => listener.accept().await.map(|(stream, _)| Arrived::Unix(stream)),
            Entrance::Tcp(listener, certificate) => {
                let (stream, peer) = listener.accept().await?;
                // Frames of a WebSocket are small, and wanted at once.
                stream.set_nodelay(true)?;
                Ok(Arrived::Tcp(stream, peer.ip().to_canonical(), certificate.borrow().clone()))
            }
        }
    }
}

impl Arrived {
    async fn served(self, place: OwnedSemaphorePermit, stay: Arc<Stay>, router: Router, cut: CancellationToken) {
        let told = stay.clone();
        let served = match self {
            Self::Unix(stream) => serve(Visitor::new(stream, &cut, place), None, router, stay).boxed(),
            Self::Tcp(stream, address, None) => {
                let peer = Peer { address, has_tls: false };
                serve(Visitor::new(stream, &cut, place), Some(peer), router, stay).boxed()
            }
            Self::Tcp(stream, address, Some(tls)) => {
                serve_tls(Visitor::new(stream, &cut, place), tls, address, router, stay).boxed()
            }
        };
        tokio::select! {
            // What was asked by now is answered.
            biased;
            () = served => {}
            () = told.turned_away() => {}
        }
    }
}

pub(super) async fn serve_tls<S>(
    visitor: Visitor<S>,
    tls: TlsAcceptor,
    address: IpAddr,
    router: Router,
    stay: Arc<Stay>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match tokio::time::timeout(HANDSHAKE, tls.accept(visitor)).await {
        Ok(Ok(stream)) => serve(stream, Some(Peer { address, has_tls: true }), router, stay).await,
        Ok(Err(error)) => tracing::debug!(%error, %address, "A TLS handshake failed."),
        Err(_) => tracing::debug!(%address, "A TLS handshake was not ended in time."),
    }
}

/// Speaks HTTP/1.1 until the other end is done or, once the stay is over, the request under way is.
pub(super) async fn serve<S>(stream: S, peer: Option<Peer>, router: Router, stay: Arc<Stay>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let visitor = stay.clone();
    let service = service_fn(move |mut request: hyper::Request<_>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        let (asking, answer) = (visitor.asks(), router.call(request));
        async move {
            let answer = answer.await;
            match &answer {
                Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => asking.for_good(),
                _ => drop(asking),
            }
            answer
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(LONGEST_HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stay.over() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended before its time.");
    }
}
