//! One direction of one connection: read, wait as long as asked, write.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Duration, Instant};

use super::Shared;
use super::settings::{Direction, Settings};

/// Most bytes read at once.
const CHUNK: usize = 16 * 1024;

/// Chunks under way at most: what a delayed direction holds.
const UNDER_WAY: usize = 256;

/// A throttled direction writes about this often.
const THROTTLE_TICK: Duration = Duration::from_millis(20);

/// Some bytes, and when they were read.
type Chunk = (Instant, Bytes);

/// Forwards until the sender ends its direction, or a test does. Fails if either socket does.
pub async fn run(
    direction: Direction,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    shared: &Shared,
    begun: &Settings,
) -> io::Result<()> {
    let (chunks, under_way) = mpsc::channel(UNDER_WAY);
    let half_closes = begun.way(direction).half_closes;
    let mut reader = Reader { direction, from, chunks, half_closes, settings: shared.settings.subscribe() };
    let mut writer = Writer { direction, to, under_way, shared, settings: shared.settings.subscribe() };
    // The reader drops its end of the channel when it is done, and so ends the writer.
    tokio::try_join!(async move { reader.run().await }, writer.run()).map(drop)
}

struct Reader<R> {
    direction: Direction,
    from: R,
    chunks: mpsc::Sender<Chunk>,
    /// Of this direction, when the link began.
    half_closes: u64,
    settings: watch::Receiver<Settings>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    async fn run(&mut self) -> io::Result<()> {
        let (direction, begun) = (self.direction, self.half_closes);
        let mut half_closed = self.settings.clone();
        tokio::select! {
            _ = half_closed.wait_for(|settings| settings.way(direction).half_closes != begun) => Ok(()),
            read = self.read() => read,
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        loop {
            released(&mut self.settings, self.direction).await;
            buffer.reserve(CHUNK);
            let end = self.from.read_buf(&mut buffer).await? == 0;
            if end || self.chunks.send((Instant::now(), buffer.split().freeze())).await.is_err() {
                return Ok(());
            }
        }
    }
}

struct Writer<'a, W> {
    direction: Direction,
    to: W,
    under_way: mpsc::Receiver<Chunk>,
    shared: &'a Shared,
    settings: watch::Receiver<Settings>,
}

impl<W: AsyncWrite + Unpin> Writer<'_, W> {
    async fn run(&mut self) -> io::Result<()> {
        while let Some((read_at, mut bytes)) = self.under_way.recv().await {
            let delay = self.settings.borrow().way(self.direction).delay;
            tokio::time::sleep_until(read_at + delay).await;
            while !bytes.is_empty() {
                released(&mut self.settings, self.direction).await;
                self.write_some(&mut bytes).await?;
            }
        }
        self.to.shutdown().await
    }

    /// Writes as much as throttle and budget allow, and waits as long as the throttle wants.
    async fn write_some(&mut self, bytes: &mut Bytes) -> io::Result<()> {
        let throttle = self.settings.borrow().throttle;
        let wanted = throttle.map_or(bytes.len(), at_once).min(bytes.len());
        let granted = self.spend(wanted);
        if granted == 0 {
            // The last byte is another link's, which cuts this one as well once it is written.
            std::future::pending::<()>().await;
        }
        let piece = bytes.split_to(granted);
        self.to.write_all(&piece).await?;
        self.shared.traffic.send_modify(|traffic| traffic.count(self.direction, granted));
        if self.shared.settings.send_if_modified(|settings| settings.cut_if_spent(self.direction)) {
            // Not a byte more: the link ends this future now.
            std::future::pending::<()>().await;
        }
        if let Some(rate) = throttle {
            tokio::time::sleep(Duration::from_secs_f64(granted as f64 / f64::from(rate))).await;
        }
        Ok(())
    }

    fn spend(&self, wanted: usize) -> usize {
        let mut granted = wanted;
        self.shared.settings.send_if_modified(|settings| {
            granted = settings.spend(self.direction, wanted);
            false
        });
        granted
    }
}

/// Waits until this direction is not held.
async fn released(settings: &mut watch::Receiver<Settings>, direction: Direction) {
    // An error means that the proxy is gone, and this future with it in a moment.
    drop(settings.wait_for(|settings| !settings.way(direction).held).await);
}

/// Bytes written in one tick at this rate.
fn at_once(rate: u32) -> usize {
    (f64::from(rate) * THROTTLE_TICK.as_secs_f64()).ceil() as usize
}
