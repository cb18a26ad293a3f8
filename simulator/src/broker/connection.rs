//! Sockets: lets clients in, reads what they send, writes what the router has for them, minds the keep-alive.

use std::{future::Future, io, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    client::{ANSWERS, Link, Outgoing, outbox_places},
    config::{Admission, BrokerConfig},
    message::Message,
    router::{Arrival, Command, ConnectionId},
    topics,
};
use crate::wire::{ConnAck, Connect, ConnectReturnCode, MAX_PACKET, Packet, PacketReader, WireError, write_packet};

/// Connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 1024;

/// How long a new connection may take to send its CONNECT.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take nothing of what is sent to it.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// Packets written in one go.
const BATCH: usize = 64;

/// Accepts connections and owns their tasks.
#[derive(Debug)]
pub(super) struct Listener {
    pub socket: TcpListener,
    pub config: Arc<BrokerConfig>,
    pub commands: mpsc::Sender<Command>,
}

impl Listener {
    /// Serves until told to stop; then every connection is closed before this returns.
    pub async fn run(self, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        let mut next: ConnectionId = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = self.socket.accept() => match accepted {
                    Ok((socket, _)) if connections.len() < MAX_CONNECTIONS => {
                        next += 1;
                        let connection = Connection { id: next, config: self.config.clone(), commands: self.commands.clone() };
                        connections.spawn(connection.run(socket));
                    }
                    Ok(_) => tracing::debug!("Refused a connection: the loopback broker has too many."),
                    Err(error) => {
                        // Out of file descriptors, mostly: accepting again at once would only spin.
                        tracing::debug!(%error, "Could not accept a connection.");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        connections.shutdown().await;
    }
}

/// Why a connection ended other than by DISCONNECT.
#[derive(Debug, thiserror::Error)]
enum ConnectionEnd {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("closed without DISCONNECT")]
    Closed,
    #[error("first packet was not an acceptable CONNECT")]
    NotConnect,
    #[error("refused with {0:?}")]
    Refused(ConnectReturnCode),
    #[error("silent for longer than one and a half times its keep-alive")]
    KeepAlive,
    #[error("took nothing for {} s", WRITE_LIMIT.as_secs())]
    Stuck,
    #[error("closed by the broker")]
    Dropped,
}

impl From<io::Error> for ConnectionEnd {
    fn from(error: io::Error) -> Self {
        Self::Wire(error.into())
    }
}

/// One connection from accept to close.
#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    config: Arc<BrokerConfig>,
    commands: mpsc::Sender<Command>,
}

impl Connection {
    async fn run(self, socket: TcpStream) {
        if let Err(end) = self.serve(socket).await {
            tracing::debug!(connection = self.id, reason = %end, "A connection of the loopback broker ended.");
        }
    }

    async fn serve(&self, socket: TcpStream) -> Result<(), ConnectionEnd> {
        socket.set_nodelay(true)?;
        let (read_half, mut write_half) = socket.into_split();
        let mut reader = PacketReader::new(read_half);
        let first = timeout(CONNECT_LIMIT, reader.next()).await.map_err(|_| ConnectionEnd::NotConnect)?;
        let connect = match self.examine(first) {
            Ok(connect) => connect,
            Err(end) => {
                if let ConnectionEnd::Refused(code) = end {
                    write_connack(&mut write_half, code, false).await?;
                }
                return Err(end);
            }
        };
        let end = self.stay(connect, reader, write_half).await;
        // The router is gone only when the whole broker is.
        let _ = self.hand_on(Command::Detach { connection: self.id, orderly: end.is_ok() }).await;
        end
    }

    /// Whether this first packet lets the client in (MQTT 3.1.1, 3.1.4 and 3.2.2.3).
    fn examine(&self, first: Result<Option<Packet>, WireError>) -> Result<Connect, ConnectionEnd> {
        let connect = match first {
            Ok(Some(Packet::Connect(connect))) => connect,
            Ok(Some(_)) => return Err(ConnectionEnd::NotConnect),
            Ok(None) => return Err(ConnectionEnd::Closed),
            Err(error) if error.is_other_version() => {
                return Err(ConnectionEnd::Refused(ConnectReturnCode::RefusedProtocolVersion));
            }
            Err(error) => return Err(error.into()),
        };
        if connect.last_will.as_ref().is_some_and(|will| !topics::is_valid_topic(&will.topic)) {
            return Err(ConnectionEnd::NotConnect);
        }
        match self.config.admits(&connect.auth) {
            Admission::BadCredentials => Err(ConnectionEnd::Refused(ConnectReturnCode::BadUserNamePassword)),
            Admission::NotAuthorized => Err(ConnectionEnd::Refused(ConnectReturnCode::NotAuthorized)),
            Admission::Granted if connect.client_id.is_empty() && !connect.clean_session => {
                Err(ConnectionEnd::Refused(ConnectReturnCode::BadClientId))
            }
            Admission::Granted => Ok(connect),
        }
    }

    /// From CONNACK to the end; `Ok` after a DISCONNECT.
    async fn stay(
        &self,
        connect: Connect,
        reader: PacketReader<OwnedReadHalf>,
        mut socket: OwnedWriteHalf,
    ) -> Result<(), ConnectionEnd> {
        let (outbox, outgoing) = mpsc::channel(outbox_places(self.config.limits()));
        let closed = CancellationToken::new();
        let keep_alive = connect.keep_alive;
        let link = Link { outbox, _closes: closed.clone().drop_guard() };
        let session_present = self.attach(connect, link).await?;
        write_connack(&mut socket, ConnectReturnCode::Success, session_present).await?;
        tokio::select! {
            end = self.read(reader, keep_alive) => end,
            end = write(socket, outgoing) => end,
            () = closed.cancelled() => Err(ConnectionEnd::Dropped),
        }
    }

    async fn attach(&self, connect: Connect, link: Link) -> Result<bool, ConnectionEnd> {
        let arrival = Arrival {
            connection: self.id,
            client_id: match connect.client_id.is_empty() {
                true => format!("auto-{:016x}", fastrand::u64(..)),
                false => connect.client_id,
            },
            clean_session: connect.clean_session,
            will: connect.last_will.map(Message::from),
            link,
        };
        let (session_present, answer) = oneshot::channel();
        self.hand_on(Command::Attach { arrival, session_present }).await?;
        answer.await.map_err(|_| ConnectionEnd::Dropped)
    }

    /// Hands on what the client sends, as fast as there is room for the answers.
    async fn read(&self, mut reader: PacketReader<OwnedReadHalf>, keep_alive: u16) -> Result<(), ConnectionEnd> {
        let answers = Arc::new(Semaphore::new(ANSWERS));
        loop {
            // A client that does not take its answers is the write limit's business, not the keep-alive's.
            let room = answers.clone().acquire_owned().await.map_err(|_| ConnectionEnd::Dropped)?;
            match within_keep_alive(keep_alive, reader.next()).await?? {
                Some(Packet::Disconnect) => return Ok(()),
                Some(packet) => self.hand_on(Command::Packet { connection: self.id, packet, room }).await?,
                None => return Err(ConnectionEnd::Closed),
            }
        }
    }

    async fn hand_on(&self, command: Command) -> Result<(), ConnectionEnd> {
        self.commands.send(command).await.map_err(|_| ConnectionEnd::Dropped)
    }
}

/// Gives up after one and a half times the keep-alive in seconds; 0 turns it off (MQTT 3.1.1, 3.1.2.10).
async fn within_keep_alive<F: Future>(keep_alive: u16, read: F) -> Result<F::Output, ConnectionEnd> {
    match keep_alive {
        0 => Ok(read.await),
        seconds => {
            let limit = Duration::from_millis(u64::from(seconds) * 1500);
            timeout(limit, read).await.map_err(|_| ConnectionEnd::KeepAlive)
        }
    }
}

/// Writes what the router has, everything that is ready in one go.
async fn write(mut socket: OwnedWriteHalf, mut outgoing: mpsc::Receiver<Outgoing>) -> Result<(), ConnectionEnd> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut buffer = BytesMut::new();
    while outgoing.recv_many(&mut batch, BATCH).await > 0 {
        for Outgoing { packet, .. } in &batch {
            packet.write(&mut buffer, MAX_PACKET).map_err(WireError::Malformed)?;
        }
        while !buffer.is_empty() {
            let written = timeout(WRITE_LIMIT, socket.write_buf(&mut buffer)).await;
            if written.map_err(|_| ConnectionEnd::Stuck)?? == 0 {
                return Err(ConnectionEnd::Closed);
            }
        }
        // Only now: the answers among them held their places until they were written.
        batch.clear();
    }
    Err(ConnectionEnd::Dropped)
}

async fn write_connack(
    socket: &mut OwnedWriteHalf,
    code: ConnectReturnCode,
    session_present: bool,
) -> Result<(), ConnectionEnd> {
    let connack = Packet::ConnAck(ConnAck { session_present, code });
    timeout(WRITE_LIMIT, write_packet(socket, &connack)).await.map_err(|_| ConnectionEnd::Stuck)??;
    Ok(())
}
