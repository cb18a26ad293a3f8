//! A site on a real port: TLS, more visitors than there is room for, a stop.

use std::net::SocketAddr;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

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
    async fn with(connections: usize) -> Self {
        Self::showing(plain(), connections).await
    }

    async fn showing(shown: watch::Receiver<Certificate>, connections: usize) -> Self {
        let port = Port::open((HERE, 0).into(), shown).unwrap();
        let address = port.address();
        let site = Site {
            port,
            base: "/".into(),
            password: Some(PASSWORD.into()),
            token: Some(TOKEN.into()),
            key: SigningKey([7; 32]),
            hosts: Vec::new(),
            ended: EndedSessions::in_folder(Path::new("/nowhere/at/all")).unwrap(),
            url: None,
            proxies: Vec::new(),
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

/// Without TLS.
fn plain() -> watch::Receiver<Certificate> {
    watch::channel(None).1
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
    let served = Served::with(8).await;
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

/// A certificate that is shown, and the one who trusts it.
fn made() -> (Certificate, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let mut client = tls::private(made.cert.pem().as_bytes()).unwrap().as_ref().clone();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (certificate(Some(&identity)), TlsConnector::from(Arc::new(client)))
}

async fn shake_hands(client: &TlsConnector, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    in_time(client.connect(ServerName::try_from("localhost").unwrap(), stream)).await
}

#[tokio::test]
async fn over_tls_the_same_is_served_and_a_visitor_without_it_holds_up_nobody() {
    let (shown, client) = made();
    let served = Served::showing(watch::channel(shown).1, 8).await;
    let _mute = served.reach().await;
    let stream = shake_hands(&client, served.reach().await).await.unwrap();
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
async fn another_certificate_is_shown_from_the_next_handshake_on_and_who_is_there_stays() {
    let ((first, old), (second, new)) = (made(), made());
    let (shown, watched) = watch::channel(first);
    let served = Served::showing(watched, 8).await;
    let there = shake_hands(&old, served.reach().await).await.unwrap();
    assert!(shake_hands(&new, served.reach().await).await.is_err());
    shown.send_replace(second);
    let heard = speak(shake_hands(&new, served.reach().await).await.unwrap(), &get("/healthz", "")).await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    assert!(shake_hands(&old, served.reach().await).await.is_err(), "the old one is shown to nobody");
    assert!(speak(there, &get("/healthz", "")).await.starts_with("HTTP/1.1 200"));
    // HTTPS may be turned off as well.
    shown.send_replace(None);
    assert!(speak(served.reach().await, &get("/healthz", "")).await.starts_with("HTTP/1.1 200"));
}

const KEPT: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

impl Served {
    /// A connection that was asked something, and is kept.
    async fn kept(&self) -> TcpStream {
        let mut stream = self.reach().await;
        ask_again(&mut stream).await.unwrap();
        stream
    }

    async fn websocket(&self) -> TcpStream {
        let mut stream = self.reach().await;
        let words = format!(
            "GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(words.as_bytes()).await.unwrap();
        assert!(head(&mut stream).await.unwrap().starts_with("HTTP/1.1 101"));
        stream
    }
}

/// Up to the empty line that ends the head of an answer; an error if there comes none.
async fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(in_time(stream.read_u8()).await?);
    }
    Ok(String::from_utf8(heard).unwrap())
}

async fn ask_again(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(KEPT.as_bytes()).await?;
    assert!(head(stream).await?.starts_with("HTTP/1.1 200"));
    let mut body = [0; 14];
    in_time(stream.read_exact(&mut body)).await?;
    assert_eq!(&body, br#"{"alive":true}"#);
    Ok(())
}

#[tokio::test]
async fn who_asked_nothing_for_longest_makes_way_and_a_websocket_does_not() {
    let served = Served::with(8).await;
    let mut live = served.websocket().await;
    let mut idle = Vec::new();
    for _ in 0..7 {
        idle.push(served.kept().await);
    }
    // The oldest of them asks once more: so the second one is idle for longest.
    ask_again(&mut idle[0]).await.unwrap();
    let heard = speak(served.reach().await, &get("/healthz", "")).await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    assert_eq!(in_time(idle[1].read_to_end(&mut Vec::new())).await.unwrap(), 0, "it was closed");
    idle.remove(1);
    for stream in &mut idle {
        ask_again(stream).await.unwrap();
    }
    // A ping is answered (RFC 6455, 5.5.2).
    live.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(in_time(live.read_u16()).await.unwrap(), 0x8a00);
}

#[tokio::test]
async fn who_dribbles_or_says_nothing_keeps_nobody_out() {
    for words in ["", "GET /healthz HTTP/1.1\r\nhost: loc"] {
        let served = Served::with(8).await;
        let mut slow = Vec::new();
        for _ in 0..20 {
            let mut stream = served.reach().await;
            stream.write_all(words.as_bytes()).await.unwrap();
            slow.push(stream);
        }
        let heard = speak(served.reach().await, &get("/healthz", "")).await;
        assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
        // Cut off: an end, or a reset if something of theirs was left unread.
        assert!(in_time(slow[0].read_u8()).await.is_err());
    }
}

#[tokio::test]
async fn where_everybody_has_something_under_way_the_next_one_waits() {
    let served = Served::with(8).await;
    let mut live = Vec::new();
    for _ in 0..8 {
        live.push(served.websocket().await);
    }
    let mut next = served.reach().await;
    next.write_all(get("/healthz", "").as_bytes()).await.unwrap();
    for stream in &mut live {
        stream.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
        assert_eq!(in_time(stream.read_u16()).await.unwrap(), 0x8a00);
    }
    drop(live.pop());
    let heard = speak(next, "").await;
    assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
}

#[tokio::test]
async fn a_stop_ends_what_waits_and_lets_nobody_in() {
    let mut served = Served::with(8).await;
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
    let first = Port::open((HERE, 0).into(), plain()).unwrap();
    let error = Port::open(first.address(), plain()).err().unwrap();
    assert!(matches!(&error, PortError::Taken(address) if *address == first.address()), "{error}");
    assert!(error.hint().contains("[web] listen"));
    let elsewhere = Port::open("192.0.2.1:8899".parse().unwrap(), plain()).err().unwrap();
    assert!(
        matches!(elsewhere, PortError::Unusable { .. }) && elsewhere.hint().contains("does not have"),
        "{elsewhere}"
    );
}
