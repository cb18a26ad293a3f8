//! A raw MQTT client and a raw HTTP client, so that nothing hides what the look-alike does.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use simulator::wire::{
    ConnAck, Connect, ConnectReturnCode, Packet, PacketReader, Publish, QoS, SubAck, Subscribe, SubscribeFilter,
    SubscribeReasonCode, write_packet,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// One MQTT connection.
pub struct Mqtt {
    reader: PacketReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
}

impl Mqtt {
    /// A socket on which nothing was said yet.
    pub async fn open(address: SocketAddr) -> Self {
        let (read, writer) = TcpStream::connect(address).await.unwrap().into_split();
        Self { reader: PacketReader::new(read), writer }
    }

    /// A socket on which these bytes were said.
    pub async fn say(address: SocketAddr, bytes: &[u8]) -> Self {
        let mut client = Self::open(address).await;
        client.writer.write_all(bytes).await.unwrap();
        client
    }

    /// A connection that was let in.
    pub async fn login(address: SocketAddr, user: &str, key: &str) -> Self {
        let mut client = Self::open(address).await;
        client.send(Packet::Connect(connect(user, key))).await;
        assert_eq!(client.receive().await, Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)));
        client
    }

    pub async fn send(&mut self, packet: Packet) {
        write_packet(&mut self.writer, &packet).await.unwrap();
    }

    pub async fn receive(&mut self) -> Packet {
        let packet = tokio::time::timeout(PATIENCE, self.reader.next()).await.expect("nothing came");
        packet.unwrap().expect("the connection was closed")
    }

    /// The next publish: topic and JSON.
    pub async fn message(&mut self) -> (String, Value) {
        match self.receive().await {
            Packet::Publish(publish) => (
                String::from_utf8(publish.topic.to_vec()).unwrap(),
                serde_json::from_slice(&publish.payload).unwrap_or(Value::Null),
            ),
            other => panic!("expected a publish, got {other:?}"),
        }
    }

    pub async fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Vec<SubscribeReasonCode> {
        let filters = filters.iter().map(|(path, qos)| SubscribeFilter::new((*path).to_owned(), *qos));
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = 1;
        self.send(Packet::Subscribe(subscribe)).await;
        match self.receive().await {
            Packet::SubAck(SubAck { pkid: 1, return_codes }) => return_codes,
            other => panic!("expected a SUBACK, got {other:?}"),
        }
    }

    pub async fn publish(&mut self, topic: &str, qos: QoS, pkid: u16, payload: &str) {
        let mut publish = Publish::new(topic, qos, payload);
        publish.pkid = pkid;
        self.send(Packet::Publish(publish)).await;
    }

    /// True if the server closed without saying anything more.
    pub async fn is_closed(&mut self) -> bool {
        let next = tokio::time::timeout(PATIENCE, self.reader.next()).await.expect("the connection stays open");
        !matches!(next, Ok(Some(_)))
    }

    /// True if the next thing that comes is the answer to this ping: the connection lives, and nothing was waiting.
    pub async fn is_quiet(&mut self) -> bool {
        self.send(Packet::PingReq).await;
        self.receive().await == Packet::PingResp
    }
}

/// A CONNECT with credentials and a keep-alive of a minute.
pub fn connect(user: &str, key: &str) -> Connect {
    let mut connect = Connect::new("test");
    connect.keep_alive = 60;
    connect.set_credentials(user, key.to_owned());
    connect
}

/// An answer of the HTTP face.
#[derive(Debug)]
pub struct HttpAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl HttpAnswer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `namespace:name` of the error.
    pub fn error(&self) -> String {
        let detail = &self.body["details"][0];
        format!("{}:{}", detail["namespace"].as_str().unwrap_or("-"), detail["name"].as_str().unwrap_or("-"))
    }
}

/// One request on a connection of its own; `authorization` is the whole header value.
pub async fn request(address: SocketAddr, line: &str, authorization: Option<&str>, body: &str) -> HttpAnswer {
    let mut socket = begin_request(address, line, authorization, body).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await;
    read.expect("no answer came").unwrap();
    parse(&String::from_utf8(answer).unwrap())
}

/// Sends a request and leaves the answer to the caller.
pub async fn begin_request(address: SocketAddr, line: &str, authorization: Option<&str>, body: &str) -> TcpStream {
    let authorization = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    send_request(address, line, &authorization, body).await
}

/// Asks for a stream that ends by itself: a page of stored messages.
pub async fn page(address: SocketAddr, line: &str, key: &str) -> (HttpAnswer, Vec<Value>) {
    let mut socket = send_request(address, line, &accepting_streams(key), "").await;
    let mut answer = String::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_string(&mut answer)).await;
    read.expect("no answer came").unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let blocks = body.split("\n\n").filter(|block| !block.is_empty());
    let results = blocks.filter_map(|block| serde_json::from_str::<Value>(block).unwrap().get("result").cloned());
    (parse(&answer), results.collect())
}

/// A stream that stays open.
pub struct EventStream {
    lines: Lines<BufReader<TcpStream>>,
    /// The lines of the answer's head.
    pub head: Vec<String>,
}

impl EventStream {
    pub async fn open(address: SocketAddr, line: &str, key: &str, body: &Value) -> Self {
        let socket = send_request(address, line, &accepting_streams(key), &body.to_string()).await;
        let mut stream = Self { lines: BufReader::new(socket).lines(), head: Vec::new() };
        loop {
            match stream.line().await.expect("the head ends with an empty line") {
                line if line.is_empty() => return stream,
                line => stream.head.push(line),
            }
        }
    }

    /// The next object; `None` once the server ended the stream.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            // Between the objects stand blank lines and the lengths of HTTP's chunks.
            let line = self.line().await?;
            if line.starts_with('{') {
                return Some(serde_json::from_str::<Value>(&line).unwrap()["result"].clone());
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("nothing came").unwrap()
    }
}

fn accepting_streams(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\nAccept: text/event-stream\r\n")
}

/// `headers` are whole lines.
async fn send_request(address: SocketAddr, line: &str, headers: &str, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

fn parse(answer: &str) -> HttpAnswer {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a header has a value");
        (name.to_ascii_lowercase(), value.to_owned())
    };
    HttpAnswer {
        status: status.expect("an answer has a status"),
        headers: lines.map(header).collect(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    }
}
