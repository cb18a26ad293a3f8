//! CONNECT: who is let in, and the one code that answers nearly every refusal.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::super::config::{ApiKey, Application};
use super::super::faults::Fault;
use super::super::shared::Shared;
use crate::wire::{ConnAck, Connect, ConnectAuth, ConnectReturnCode, Packet, WireError, write_packet};

/// A CONNECT is never longer than this: client id, user name, password and will are 64 KiB each at most.
const MAX_CONNECT: usize = 5 * 65_536;

/// A client that was let in. Its rights are those of this moment, whatever happens to the key later.
#[derive(Debug)]
pub struct Client<'a> {
    pub id: String,
    pub application: Arc<Application>,
    pub key: ApiKey,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    _counted: Counted<'a>,
}

/// One of the connections that are let in, for as long as it lives.
#[derive(Debug)]
struct Counted<'a>(&'a Shared);

impl<'a> Counted<'a> {
    /// Counts one more connection, unless there are too many already.
    fn one_more(shared: &'a Shared) -> Option<Self> {
        let limit = shared.config.connection_limit.unwrap_or(usize::MAX);
        let counted = shared.connections.send_if_modified(|count| {
            let room = *count < limit;
            *count += usize::from(room);
            room
        });
        counted.then_some(Self(shared))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.connections.send_modify(|count| *count -= 1);
    }
}

/// A first packet that could be read.
enum Greeting {
    Connect(Connect),
    /// Reads like a CONNECT, of another protocol name or level.
    OtherProtocol,
}

/// Reads the CONNECT and answers it. `None` if the client was refused or sent something else; the caller closes.
pub async fn greet<'a, S>(socket: &mut S, shared: &'a Shared) -> Result<Option<Client<'a>>, WireError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(greeting) = tokio::time::timeout(shared.config.first_packet, read_connect(socket)).await else {
        return Ok(None);
    };
    let verdict = match greeting? {
        None => return Ok(None),
        Some(Greeting::OtherProtocol) => Err(ConnectReturnCode::RefusedProtocolVersion),
        Some(Greeting::Connect(connect)) => admit(connect, shared),
    };
    let code = verdict.as_ref().err().copied().unwrap_or(ConnectReturnCode::Success);
    shared.faults.unmuted().await;
    write_packet(socket, &Packet::ConnAck(ConnAck::new(code, false))).await?;
    Ok(verdict.ok())
}

/// Code 5 stands for every failure, a broken identity server included; code 3 for limits.
fn admit(connect: Connect, shared: &Shared) -> Result<Client<'_>, ConnectReturnCode> {
    if shared.faults.holds(&Fault::RefuseConnect) || shared.faults.holds(&Fault::IdentityServerDown) {
        return Err(ConnectReturnCode::NotAuthorized);
    }
    let (application, key) = authenticate(&connect.auth, shared).ok_or(ConnectReturnCode::NotAuthorized)?;
    let counted = Counted::one_more(shared).ok_or(ConnectReturnCode::ServiceUnavailable)?;
    let id = connect.client_id.replace('/', ".");
    Ok(Client { id, application, key, keep_alive: connect.keep_alive, _counted: counted })
}

fn authenticate(auth: &ConnectAuth, shared: &Shared) -> Option<(Arc<Application>, ApiKey)> {
    let ConnectAuth::UsernamePassword { username, password } = auth else { return None };
    let world = shared.world();
    let application = world.application_by_uid(username)?;
    let key = application.keys.iter().find(|key| key.key.as_bytes() == password.as_ref())?;
    Some((application.clone(), key.clone()))
}

/// Reads the first packet. MQTT 3.1 and 3.1.1 differ in name and level only, so both are read as 3.1.1. An MQTT 5
/// CONNECT does not read as one, because of its properties: `None`, and the connection closes without a word.
async fn read_connect(socket: &mut (impl AsyncRead + Unpin)) -> Result<Option<Greeting>, WireError> {
    if socket.read_u8().await? != 0x10 {
        return Ok(None);
    }
    let length = read_remaining_length(socket).await?;
    if length > MAX_CONNECT {
        return Ok(None);
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    let Some((name, level, rest)) = split_protocol(&body) else { return Ok(None) };
    let known = matches!(name, b"MQTT" | b"MQIsdp") && matches!(level, 3 | 4);
    Ok(match read_as_3_1_1(rest) {
        Some(connect) if known => Some(Greeting::Connect(connect)),
        Some(_) => Some(Greeting::OtherProtocol),
        None => None,
    })
}

/// MQTT 3.1.1, 2.2.3: seven bits a byte, least significant first, four bytes at most.
async fn read_remaining_length(socket: &mut (impl AsyncRead + Unpin)) -> Result<usize, WireError> {
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let byte = socket.read_u8().await?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(length)
}

/// Protocol name, level, and what follows them.
fn split_protocol(body: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (level, rest) = rest.split_first()?;
    Some((name, *level, rest))
}

fn read_as_3_1_1(rest: &[u8]) -> Option<Connect> {
    let mut frame = BytesMut::from(&[0x10][..]);
    put_remaining_length(&mut frame, rest.len() + 7);
    frame.put_slice(b"\x00\x04MQTT\x04");
    frame.put_slice(rest);
    match Packet::read(&mut frame, MAX_CONNECT + 16) {
        Ok(Packet::Connect(connect)) => Some(connect),
        _ => None,
    }
}

fn put_remaining_length(frame: &mut BytesMut, mut length: usize) {
    while length >= 0x80 {
        frame.put_u8((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    frame.put_u8(length as u8);
}
