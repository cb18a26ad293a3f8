//! MQTT 3.1.1 packets on a socket: what the two servers of this crate share.
//!
//! The packet codec is the client library's own (`rumqttc::Packet`); this file only adds the buffering around it.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub use rumqttc::{
    ConnAck, Connect, ConnectAuth, ConnectReturnCode, LastWill, Packet, PingResp, PubAck, PubComp, PubRec, PubRel,
    Publish, QoS, SubAck, Subscribe, SubscribeFilter, SubscribeReasonCode, UnsubAck, Unsubscribe,
};

/// The largest packet either server accepts, in bytes. TTS itself sets no limit below MQTT's own 256 MiB; the bridge is
/// tested with messages of 1 MB, so this leaves room without letting a test eat the machine.
pub const MAX_PACKET: usize = 16 * 1024 * 1024;

/// Why no further packet can be read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer broke MQTT 3.1.1's framing: an MQTT 5 CONNECT ends here too.
    #[error("malformed packet: {0}")]
    Malformed(rumqttc::Error),
    /// The socket failed, or closed in the middle of a packet.
    #[error("socket failed: {0}")]
    Socket(#[from] io::Error),
}

impl WireError {
    /// Whether the peer asked in a CONNECT for another version of MQTT than 3.1.1: MQTT 3.1.1, 3.1.2-2 lets a server
    /// answer that with return code 1 before it closes.
    pub fn is_other_version(&self) -> bool {
        matches!(self, Self::Malformed(rumqttc::Error::InvalidProtocol | rumqttc::Error::InvalidProtocolLevel(_)))
    }
}

/// Reads packets from a socket, whatever the segments they arrive in.
#[derive(Debug)]
pub struct PacketReader<R> {
    socket: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> PacketReader<R> {
    pub fn new(socket: R) -> Self {
        Self { socket, buffer: BytesMut::with_capacity(4096) }
    }

    /// The next packet, or `None` once the peer closed between two packets. Cancel safe.
    pub async fn next(&mut self) -> Result<Option<Packet>, WireError> {
        loop {
            match Packet::read(&mut self.buffer, MAX_PACKET) {
                Ok(packet) => return Ok(Some(packet)),
                Err(rumqttc::Error::InsufficientBytes(_)) => {}
                Err(error) => return Err(WireError::Malformed(error)),
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(WireError::Socket(io::ErrorKind::UnexpectedEof.into())),
                };
            }
        }
    }
}

/// Writes one packet in one go.
pub async fn write_packet(socket: &mut (impl AsyncWrite + Unpin), packet: &Packet) -> Result<(), WireError> {
    let mut buffer = BytesMut::new();
    packet.write(&mut buffer, MAX_PACKET).map_err(WireError::Malformed)?;
    Ok(socket.write_all(&buffer).await?)
}
