//! A site on a real port: TLS, more visitors than there is room for, a stop.

use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::*;
use crate::mqtt::tls::{self, Identity};

/// A site that is served, and ends with this.
struct Served {
    address: SocketAddr,
    stop: CancellationToken,
    cut: CancellationToken,
    tasks: JoinSet<()>,
}

impl Served {
    async fn with(identity: Option<Identity>, connections: usize) -> Self {
        let port = Port::open((HERE, 0).into(), identity).unwrap();
        let address = port.address();
        let site = Site {
            port,
            base: "/".into(),
            password: Some(PASSWORD.into()),
            token: Some(TOKEN.into()),
            key: SigningKey([7; 32]),
            hosts: Vec::new(),
            url: None,
            edit_codecs: false,
            connections,
        };
        let (stop, cut) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(site.door(api(), probes_of(watch::channel(true).1)).run(stop.clone(), cut.clone()));
        Self { address, stop, cut, tasks }
    }

    async fn reach(&self) -> TcpStream {
        in_time(TcpStream::connect(self.address)).await.unwrap()
    }
}

/// Says something and hears all that is answered.
async fn speak(mut stream: impl AsyncRead + AsyncWrite + Unpin, words: &str) -> String {
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    // What is cut off by the other end is heard up to there.
    in_time(stream.read_to_end(&mut heard)).await.ok();
    String::from_utf8(heard).unwrap()
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n")
}

#[tokio::test]
async fn over_a_port_the_token_opens_and_nothing_else() {
    let served = Served::with(None, 8).await;
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    for (words, status) in [
        (get("/api/v1/devices", &token), "200"),
        (get("/api/v1/devices", ""), "401"),
        (get("/", ""), "200"),
        (get("/healthz", ""), "200"),
        (get("/", "").replace("localhost", "evil.example"), "421"),
        (get("/", "").replace("host: localhost\r\n", ""), "400"),
        (get("/", "host: localhost\r\n"), "400"),
        (get("http://evil.example/api/v1/devices", &token), "421"),
        ("GET / HTTP/1.0\r\n\r\n".into(), "400"),
        ("hello\r\n\r\n".into(), "400"),
    ] {
        let heard = speak(served.reach().await, &words).await;
        let start = format!("HTTP/1.{} {status} ", if words.contains("HTTP/1.0") { 0 } else { 1 });
        assert!(heard.starts_with(&start), "{words}: {heard}");
    }
}

#[tokio::test]
async fn over_tls_the_same_is_served_and_a_visitor_without_it_holds_up_nobody() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let served = Served::with(Some(identity), 8).await;
    let _mute = served.reach().await;
    let mut client = tls::private(made.cert.pem().as_bytes()).unwrap().as_ref().clone();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, served.reach().await).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let body = format!("{{\"password\": \"{PASSWORD}\"}}");
    let words = format!(
        "POST /api/v1/session HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let heard = speak(stream, &words).await;
    assert!(heard.starts_with("HTTP/1.1 200 ") && heard.contains("SameSite=Strict; Secure\r\n"), "{heard}");
    assert_eq!(speak(served.reach().await, &get("/", "")).await.find("HTTP/1.1 200"), None);
}

#[tokio::test]
async fn more_visitors_than_there_is_room_for_wait_their_turn() {
    let served = Served::with(None, 8).await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        let mut stream = served.reach().await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        idle.push(stream);
    }
    let mut next = served.reach().await;
    next.write_all(get("/healthz", "").as_bytes()).await.unwrap();
    // The last one is still served, so all of them are: the next has not been let in.
    let last = idle.pop().unwrap();
    let heard = speak(last, "host: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    let heard = speak(next, "").await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
}

#[tokio::test]
async fn a_stop_ends_what_waits_and_lets_nobody_in() {
    let mut served = Served::with(None, 8).await;
    let mut idle = served.reach().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    in_time(idle.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    served.stop.cancel();
    in_time(idle.read_to_end(&mut Vec::new())).await.unwrap();
    in_time(served.tasks.join_next()).await.unwrap().unwrap();
    assert!(TcpStream::connect(served.address).await.is_err());
    assert!(!served.cut.is_cancelled());
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_with_what_to_do() {
    let first = Port::open((HERE, 0).into(), None).unwrap();
    let error = Port::open(first.address(), None).err().unwrap();
    assert!(matches!(&error, PortError::Taken(address) if *address == first.address()), "{error}");
    assert!(error.hint().contains("[web] listen"));
    let elsewhere = Port::open("192.0.2.1:8899".parse().unwrap(), None).err().unwrap();
    assert!(
        matches!(elsewhere, PortError::Unusable { .. }) && elsewhere.hint().contains("does not have"),
        "{elsewhere}"
    );
}
