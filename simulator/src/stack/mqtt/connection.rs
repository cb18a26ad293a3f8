//! One client's conversation after it was let in.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::super::StackEvent;
use super::super::downlinks::{Operation, Request};
use super::super::faults::Fault;
use super::super::requests::Face;
use super::super::shared::Shared;
use super::fanout::Membership;
use super::filters::{Filter, Grant};
use super::handshake::{self, Client};
use crate::wire::{
    MAX_PACKET, Packet, PacketReader, PubAck, PubComp, PubRec, Publish, QoS, SubAck, Subscribe, SubscribeReasonCode,
    UnsubAck, WireError,
};

/// A client with keep-alive 0 may be silent for this long.
const SILENCE_WITHOUT_KEEP_ALIVE: Duration = Duration::from_secs(3600);

/// Serves one socket until either side has enough.
pub async fn run(socket: TcpStream, shared: Arc<Shared>) {
    let cut = shared.connection_token();
    let ended = tokio::select! {
        () = cut.cancelled() => Ok(()),
        ended = converse(socket, &shared) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "An MQTT connection ended.");
    }
}

async fn converse(mut socket: TcpStream, shared: &Shared) -> Result<(), WireError> {
    socket.set_nodelay(true)?;
    if shared.faults.holds(&Fault::CloseOnAccept) {
        return Ok(());
    }
    let Some(client) = handshake::greet(&mut socket, shared).await? else { return Ok(()) };
    let _presence = Presence::announce(shared, &client);
    let (read, write) = socket.into_split();
    let (outgoing, queue) = mpsc::channel(shared.config.mqtt_buffer.max(1));
    let membership = shared.fanout.join(outgoing.clone());
    let mut conversation = Conversation { shared, client: &client, membership, outgoing, qos2: HashSet::new() };
    tokio::select! {
        ended = conversation.listen(PacketReader::new(read)) => ended,
        ended = speak(write, queue, shared) => ended,
    }
}

/// Tells whoever watches that a client is there, and when it is gone.
struct Presence<'a> {
    shared: &'a Shared,
    client_id: String,
}

impl<'a> Presence<'a> {
    fn announce(shared: &'a Shared, client: &Client<'_>) -> Self {
        shared.tell(StackEvent::Connected { client_id: client.id.clone() });
        Self { shared, client_id: client.id.clone() }
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.shared.tell(StackEvent::Disconnected { client_id: std::mem::take(&mut self.client_id) });
    }
}

struct Conversation<'a> {
    shared: &'a Shared,
    client: &'a Client<'a>,
    membership: Membership<'a>,
    outgoing: mpsc::Sender<Packet>,
    /// QoS 2 publishes between PUBREC and PUBREL; forgotten with the connection.
    qos2: HashSet<u16>,
}

/// What to do after a packet.
#[derive(PartialEq, Eq)]
enum Next {
    Listen,
    Close,
}

impl Conversation<'_> {
    async fn listen(&mut self, mut reader: PacketReader<impl AsyncRead + Unpin>) -> Result<(), WireError> {
        let patience = match self.client.keep_alive {
            0 => SILENCE_WITHOUT_KEEP_ALIVE,
            seconds => Duration::from_secs(u64::from(seconds)) * 3 / 2,
        };
        while let Ok(packet) = tokio::time::timeout(patience, reader.next()).await {
            let Some(packet) = packet? else { break };
            if self.take(packet).await == Next::Close {
                break;
            }
        }
        Ok(())
    }

    async fn take(&mut self, packet: Packet) -> Next {
        match packet {
            Packet::Publish(publish) => self.publish(publish).await,
            Packet::Subscribe(subscribe) => self.subscribe(subscribe).await,
            Packet::Unsubscribe(unsubscribe) => {
                unsubscribe.topics.iter().for_each(|topic| self.unsubscribe(topic));
                self.answer(Packet::UnsubAck(UnsubAck { pkid: unsubscribe.pkid })).await
            }
            Packet::PubRel(release) => {
                self.qos2.remove(&release.pkid);
                self.answer(Packet::PubComp(PubComp { pkid: release.pkid })).await
            }
            Packet::PingReq => self.answer(Packet::PingResp).await,
            Packet::Connect(_) => Next::Close,
            // After a DISCONNECT the server waits for the client to close.
            _ => Next::Listen,
        }
    }

    /// SUBACK echoes the QoS asked for, although everything is delivered at QoS 0. A key without the right to read
    /// subscribes like any other and never hears anything.
    async fn subscribe(&self, subscribe: Subscribe) -> Next {
        let uid = self.client.application.uid();
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut granted = Vec::new();
        for wanted in &subscribe.filters {
            match Filter::request(&wanted.path, &uid) {
                Grant::Granted(filter) => {
                    codes.push(SubscribeReasonCode::Success(wanted.qos));
                    granted.push(filter);
                }
                Grant::Refused => codes.push(SubscribeReasonCode::Failure),
                Grant::Malformed => return Next::Close,
            }
        }
        let filters = granted.iter().map(Filter::to_string).collect();
        if self.client.key.may("RIGHT_APPLICATION_TRAFFIC_READ") {
            granted.into_iter().for_each(|filter| self.membership.subscribe(filter));
        }
        self.shared.tell(StackEvent::Subscribed { client_id: self.client.id.clone(), filters });
        self.answer(Packet::SubAck(SubAck::new(subscribe.pkid, codes))).await
    }

    fn unsubscribe(&self, topic: &str) {
        if let Grant::Granted(filter) = Filter::request(topic, &self.client.application.uid()) {
            self.membership.unsubscribe(&filter);
        }
    }

    /// Acknowledges whatever came, once it was tried; only the rate limit closes the connection.
    async fn publish(&mut self, publish: Publish) -> Next {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        self.shared.tell(StackEvent::Received { topic: topic.clone(), payload: publish.payload.clone() });
        let repeated = publish.qos == QoS::ExactlyOnce && !self.qos2.insert(publish.pkid);
        if !repeated && self.downlink(&topic, &publish.payload) == Next::Close {
            return Next::Close;
        }
        match publish.qos {
            QoS::AtMostOnce => Next::Listen,
            QoS::AtLeastOnce => self.answer(Packet::PubAck(PubAck::new(publish.pkid))).await,
            QoS::ExactlyOnce => self.answer(Packet::PubRec(PubRec { pkid: publish.pkid })).await,
        }
    }

    /// Tries a push or replace. Other topics, other applications and a missing right end in silence.
    fn downlink(&self, topic: &str, body: &[u8]) -> Next {
        let application = &self.client.application;
        let levels: Vec<&str> = topic.split('/').collect();
        let ["v3", uid, "devices", device_id, "down", verb @ ("push" | "replace")] = levels[..] else {
            return Next::Listen;
        };
        if uid != application.uid() || !self.client.key.may("RIGHT_APPLICATION_TRAFFIC_DOWN_WRITE") {
            return Next::Listen;
        }
        // Per application and key, so that reconnecting does not help.
        let rate_key = format!("as:down:mqtt:{}:{}", application.id, self.client.key.id());
        let verdict = self.shared.ask_rate(&rate_key, self.shared.config.rate.mqtt_downlinks);
        if verdict.is_some_and(|verdict| !verdict.allowed) {
            return Next::Close;
        }
        let operation = if verb == "push" { Operation::Push } else { Operation::Replace };
        let request =
            Request { application_id: &application.id, device_id, operation, face: Face::Mqtt, body, full: false };
        if let Err(refusal) = self.shared.queue_downlinks(request) {
            tracing::debug!(topic, %refusal, "A downlink was dropped in silence.");
        }
        Next::Listen
    }

    async fn answer(&self, packet: Packet) -> Next {
        match self.outgoing.send(packet).await {
            Ok(()) => Next::Listen,
            Err(_) => Next::Close,
        }
    }
}

/// Writes what is queued, each packet in three pieces as the real server does: type, length, body.
async fn speak(
    mut socket: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Packet>,
    shared: &Shared,
) -> Result<(), WireError> {
    let mut buffer = BytesMut::new();
    while let Some(packet) = queue.recv().await {
        shared.faults.unmuted().await;
        buffer.clear();
        packet.write(&mut buffer, MAX_PACKET).map_err(WireError::Malformed)?;
        write_in_pieces(&mut socket, &buffer).await?;
    }
    Ok(())
}

async fn write_in_pieces(socket: &mut (impl AsyncWrite + Unpin), packet: &[u8]) -> io::Result<()> {
    let length = 1 + packet[1..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    for piece in [&packet[..1], &packet[1..length], &packet[length..]] {
        socket.write_all(piece).await?;
        socket.flush().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use super::*;

    /// Keeps what each single write was given.
    #[derive(Default)]
    struct Pieces(Vec<Vec<u8>>);

    impl AsyncWrite for Pieces {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.0.push(bytes.to_vec());
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn type_length_and_body_are_written_apart() {
        let mut pieces = Pieces::default();
        let body = [7; 200];
        let packet = [&[0x30, 0xc8, 0x01][..], &body].concat();
        write_in_pieces(&mut pieces, &packet).await.unwrap();
        assert_eq!(pieces.0, [&[0x30][..], &[0xc8, 0x01], &body]);
    }
}
