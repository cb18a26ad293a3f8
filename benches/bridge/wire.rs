//! The few MQTT 3.1.1 packets that load and sink need, by hand: the bench must cost less than what it measures.

use std::io::{self, Read, Write};
use std::net::TcpStream;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
/// In the first byte of a PUBLISH.
const QOS: u8 = 6;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// A clean session without keep-alive, on a loopback port.
pub fn connect(port: u16, client_id: &str) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    let head = [&text("MQTT")[..], &[4, 2, 0, 0]].concat();
    socket.write_all(&packet(CONNECT, &[&head, &text(client_id)]))?;
    expect(&mut socket, [CONNACK, 2, 0, 0])?;
    Ok(socket)
}

/// Subscribes at QoS 1 and waits until the broker has it.
pub fn subscribe(socket: &mut TcpStream, filter: &str) -> io::Result<()> {
    socket.write_all(&packet(SUBSCRIBE, &[&[0, 1], &text(filter), &[1]]))?;
    expect(socket, [SUBACK, 3, 0, 1, 1])
}

/// A QoS 0 message.
pub fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(PUBLISH, &[&text(topic), payload])
}

/// Blocks until something came, hands every whole message to `take`, and acknowledges those of QoS 1 together.
/// What of `pending` is left is the beginning of the next packet.
pub fn receive(socket: &mut TcpStream, pending: &mut Vec<u8>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut chunk = [0; 1 << 16];
    let count = socket.read(&mut chunk)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    pending.extend_from_slice(&chunk[..count]);
    let (mut at, mut acknowledgements) = (0, Vec::new());
    while let Some((kind, body, length)) = first_packet(&pending[at..]) {
        at += length;
        if kind & 0xf0 == PUBLISH {
            let after_topic = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
            let id_length = if kind & QOS == 0 { 0 } else { 2 };
            let (id, message) = body[after_topic..].split_at(id_length);
            id.chunks_exact(2).for_each(|id| acknowledgements.extend([PUBACK, 2, id[0], id[1]]));
            take(message);
        }
    }
    pending.drain(..at);
    socket.write_all(&acknowledgements)
}

/// Its first byte, its body and its whole length, if all of it is there.
fn first_packet(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte < 0x80 {
            return Some((bytes[0], bytes.get(at..at + length)?, at + length));
        }
    }
}

fn packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let (mut packet, mut rest) = (vec![kind], body.len());
    while rest >= 0x80 {
        packet.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    packet.push(rest as u8);
    packet.extend(body);
    packet
}

/// A text with its length before it.
fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// The one answer that is a yes.
fn expect<const N: usize>(socket: &mut TcpStream, yes: [u8; N]) -> io::Result<()> {
    let mut answer = [0; N];
    socket.read_exact(&mut answer)?;
    if answer == yes { Ok(()) } else { Err(io::Error::other(format!("the broker answered {answer:?}"))) }
}
