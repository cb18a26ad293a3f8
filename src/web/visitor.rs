//! One connection: it ends when nothing moves any more, when its other end takes nothing, or with the bridge.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

/// A connection on which nothing moves is ended after this. More than the longest answer takes: whoever waits for one
/// has nothing to say meanwhile.
const IDLE: Duration = Duration::from_secs(11 * 60);
/// How long what is sent may be left lying.
const STALLED: Duration = Duration::from_secs(30);

/// A connection with its bounds. They stay with it when it becomes a WebSocket.
pub struct Visitor<S> {
    stream: S,
    idle: Pin<Box<Sleep>>,
    /// Runs while the other end takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    cut: BoxFuture<'static, ()>,
    _place: OwnedSemaphorePermit,
}

impl<S> Visitor<S> {
    /// Takes up `place` for as long as it lives, and lives no longer than until `cut`.
    pub fn new(stream: S, cut: &CancellationToken, place: OwnedSemaphorePermit) -> Self {
        let idle = Box::pin(tokio::time::sleep(IDLE));
        Self { stream, idle, stalled: None, cut: Box::pin(cut.clone().cancelled_owned()), _place: place }
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

    /// The same for what is sent, with less patience.
    fn unless_stalled<T>(&mut self, poll: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return self.unless_over(poll, context);
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALLED)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => self.unless_over(poll, context),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Visitor<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.unless_over(poll, context)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Visitor<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_stalled(poll, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.unless_stalled(poll, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
