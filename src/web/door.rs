//! Who is let in: so many at once, and nobody who neither speaks nor listens.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// Connections at once; the next ones wait in the socket's own queue.
const MOST_CONNECTIONS: usize = 64;
/// A connection on which nothing moves is ended after this. More than the longest answer takes: whoever waits for one
/// has nothing to say meanwhile.
const IDLE: Duration = Duration::from_secs(11 * 60);
/// The pause after an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// The listener that the router is served on.
pub struct Door {
    listener: UnixListener,
    room: Arc<Semaphore>,
    cut: CancellationToken,
}

/// One connection, which ends when nothing moves any more, or with `cut`.
pub struct Visitor {
    stream: UnixStream,
    idle: Pin<Box<Sleep>>,
    cut: BoxFuture<'static, ()>,
    _place: OwnedSemaphorePermit,
}

impl Door {
    pub fn new(listener: UnixListener, cut: CancellationToken) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(MOST_CONNECTIONS)), cut }
    }
}

impl Listener for Door {
    type Io = Visitor;
    type Addr = ();

    async fn accept(&mut self) -> (Visitor, ()) {
        let place = self.room.clone().acquire_owned().await.expect("nobody closes this semaphore");
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => return (Visitor::new(stream, &self.cut, place), ()),
                Err(error) => {
                    tracing::debug!(%error, "A connection to the control API could not be taken.");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Visitor {
    fn new(stream: UnixStream, cut: &CancellationToken, place: OwnedSemaphorePermit) -> Self {
        let idle = Box::pin(tokio::time::sleep(IDLE));
        Self { stream, idle, cut: Box::pin(cut.clone().cancelled_owned()), _place: place }
    }

    /// Passes on what the stream says; while it says nothing, the clock runs.
    fn unless_over<T>(&mut self, poll: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE);
            return poll;
        }
        if self.cut.as_mut().poll(context).is_pending() {
            ready!(self.idle.as_mut().poll(context));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.unless_over(poll, context)
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_over(poll, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
