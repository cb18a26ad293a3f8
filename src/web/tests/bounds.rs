//! What a connection may take of time: with a clock that stands still, and pipes in the place of a network.

use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;
use crate::mqtt::tls::Identity;
use crate::web::door::{serve, serve_tls};
use crate::web::room::{Room, Stay};
use crate::web::visitor::Visitor;

const UPGRADE: &str = "GET /api/v1/live HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A connection that is served, and the other end of it.
struct Line {
    far: DuplexStream,
    cut: CancellationToken,
    room: Room,
    served: JoinSet<()>,
}

impl Line {
    /// With a network between that takes up so many bytes.
    fn new(bytes: usize) -> Self {
        Self::to(bytes, |visitor, stay| serve(visitor, None, api(), stay))
    }

    fn to<F>(bytes: usize, serve: impl FnOnce(Visitor<DuplexStream>, Arc<Stay>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (far, near) = duplex(bytes);
        let (cut, room) = (CancellationToken::new(), Room::new(1));
        let (place, stay) = room.enter(&CancellationToken::new()).now_or_never().unwrap();
        let mut served = JoinSet::new();
        served.spawn(serve(Visitor::new(near, &cut, place), stay));
        Self { far, cut, room, served }
    }

    /// How long it takes until the connection is over.
    async fn lasts(&mut self) -> Duration {
        let start = Instant::now();
        self.served.join_next().await.unwrap().unwrap();
        start.elapsed()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_never_ends_its_head_is_cut_after_thirty_seconds() {
    for words in ["", "GET / HT", "GET /api/v1/devices HTTP/1.1\r\nhost: localhost\r\n"] {
        let mut line = Line::new(1 << 16);
        line.far.write_all(words.as_bytes()).await.unwrap();
        assert_eq!(line.lasts().await.as_secs(), 30, "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_in_drops_is_cut_all_the_same() {
    let mut line = Line::new(1 << 16);
    let start = Instant::now();
    let drops = async {
        while line.far.write_all(b"a").await.is_ok() {
            tokio::time::sleep(seconds(1)).await;
        }
    };
    tokio::time::timeout(seconds(60), drops).await.unwrap();
    assert!((30..=32).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_head_without_measure_and_another_version_of_http_are_ended_at_once() {
    let long = format!("cookie: {}", "x".repeat(64 << 10));
    let many = "a: b\r\n".repeat(500);
    for (words, answer) in
        [(long, "HTTP/1.1 431 "), (many, "HTTP/1.1 431 "), ("PRI * HTTP/2.0".into(), "HTTP/1.1 400 ")]
    {
        let mut line = Line::new(1 << 17);
        let head = if words.starts_with("PRI") { "" } else { "GET / HTTP/1.1\r\nhost: localhost\r\n" };
        line.far.write_all(format!("{head}{words}\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(line.lasts().await.as_secs(), 0);
        let mut heard = String::new();
        line.far.read_to_string(&mut heard).await.unwrap();
        assert!(heard.starts_with(answer), "{heard}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_cut_after_thirty_seconds_and_who_takes_slowly_is_not() {
    let request = b"GET /api/v1/much HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let mut line = Line::new(1024);
    line.far.write_all(request).await.unwrap();
    assert_eq!(line.lasts().await.as_secs(), 30);

    let mut line = Line::new(1 << 16);
    line.far.write_all(request).await.unwrap();
    let (mut taken, mut buffer) = (0, vec![0; 1 << 16]);
    loop {
        tokio::time::sleep(seconds(20)).await;
        match line.far.read(&mut buffer).await.unwrap() {
            0 => break,
            bytes => taken += bytes,
        }
    }
    assert!(taken > 1 << 20, "{taken}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_never_ended_is_cut_after_ten_seconds() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let tls = certificate(Some(&identity)).unwrap();
    for words in [&b""[..], &[22, 3, 1, 2, 0][..]] {
        let tls = tls.clone();
        let mut line = Line::to(1 << 16, |visitor, stay| serve_tls(visitor, tls, HERE, api(), stay));
        line.far.write_all(words).await.unwrap();
        assert_eq!(line.lasts().await.as_secs(), 10, "{words:?}");
    }
    let mut line = Line::to(1 << 16, |visitor, stay| serve_tls(visitor, tls, HERE, api(), stay));
    line.far.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(line.lasts().await.as_secs(), 0, "that is no TLS");
}

#[tokio::test(start_paused = true)]
async fn a_websocket_lives_as_long_as_something_moves_keeps_its_place_and_ends_with_the_bridge() {
    let mut line = Line::new(1 << 16);
    line.far.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    line.far.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    assert!(line.lasts().await < seconds(1), "HTTP itself is done");
    for _ in 0..24 {
        tokio::time::sleep(seconds(300)).await;
        // An empty ping, masked with zeros (RFC 6455, 5.5.2).
        line.far.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
    }
    assert!(line.room.is_full(), "two hours later");
    line.cut.cancel();
    line.far.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(!line.room.is_full());
}

#[tokio::test(start_paused = true)]
async fn a_websocket_on_which_nothing_moves_is_cut() {
    let mut line = Line::new(1 << 16);
    line.far.write_all(UPGRADE.as_bytes()).await.unwrap();
    let start = Instant::now();
    line.far.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 11 * 60);
}

/// Where the network takes one byte after the other, somebody must make way in the middle of an answer.
#[tokio::test(start_paused = true)]
async fn who_must_make_way_hears_its_answer_to_the_end() {
    let mut line = Line::new(1);
    let stop = CancellationToken::new();
    let words = "GET /api/v1/devices?a=long&enough=to&be=sent&in=pieces HTTP/1.1\r\nhost: localhost\r\n\r\n";
    line.far.write_all(words.as_bytes()).await.unwrap();
    assert_eq!(line.far.read_u8().await.unwrap(), b'H');
    let mut next = Box::pin(line.room.enter(&stop));
    tokio::time::timeout(seconds(5), &mut next).await.err().unwrap();
    let mut rest = String::new();
    line.far.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("\r\n\r\n/api/v1/devices?a=long&enough=to&be=sent&in=pieces"), "{rest}");
    drop(next.await);
}

#[tokio::test(start_paused = true)]
async fn who_must_make_way_while_it_becomes_a_websocket_becomes_one() {
    let mut line = Line::new(1);
    let stop = CancellationToken::new();
    line.far.write_all(UPGRADE.as_bytes()).await.unwrap();
    assert_eq!(line.far.read_u8().await.unwrap(), b'H');
    tokio::time::timeout(seconds(5), line.room.enter(&stop)).await.err().unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(line.far.read_u8().await.unwrap());
    }
    line.far.write_all(&[0x89, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(line.far.read_u16().await.unwrap(), 0x8a00, "a ping is answered");
    assert!(line.room.is_full());
}
