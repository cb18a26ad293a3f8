//! The TCP proxy between plain sockets: what passes, and what each interference looks like from both ends.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::future::Future;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use simulator::proxy::{Cut, Direction, Proxy, ProxyHandle, Traffic};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Long enough for bytes on loopback to arrive; shows that something does *not* arrive.
const MOMENT: Duration = Duration::from_millis(50);

struct Scene {
    proxy: Proxy,
    handle: ProxyHandle,
    listener: TcpListener,
}

impl Scene {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
        Self { handle: proxy.handle(), proxy, listener }
    }

    /// Both ends of a connection through the proxy.
    async fn connection(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.addr()).await.unwrap();
        let (server, _) = soon(self.listener.accept()).await.unwrap();
        (client, server)
    }

    async fn wait_for(&self, wanted: impl FnMut(&Traffic) -> bool) -> Traffic {
        *soon(self.handle.traffic().wait_for(wanted)).await.unwrap()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("nothing happened")
}

async fn read(socket: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    soon(socket.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// How a connection looks once everything is read: `Ok` after a FIN, the error after a RST.
async fn end(socket: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut rest = Vec::new();
    soon(socket.read_to_end(&mut rest)).await.map(|_| rest).map_err(|error| error.kind())
}

async fn is_silent(socket: &mut TcpStream) -> bool {
    tokio::time::timeout(MOMENT, socket.read_u8()).await.is_err()
}

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    let much: Vec<u8> = (0..300_000).map(|number| number as u8).collect();
    let (sent, received) = tokio::join!(client.write_all(&much), read(&mut server, much.len()));
    sent.unwrap();
    assert!(received == much);
    server.write_all(b"answer").await.unwrap();
    assert_eq!(read(&mut client, 6).await, b"answer");
    let traffic = scene.wait_for(|traffic| traffic.down == 6).await;
    assert_eq!((traffic.accepted, traffic.open, traffic.bytes(Direction::Up)), (1, 1, 300_000));
    drop(client);
    assert_eq!(end(&mut server).await, Ok(vec![]));
    drop(server);
    assert_eq!(scene.wait_for(|traffic| traffic.open == 0).await.cut, 0);
}

#[tokio::test]
async fn one_side_may_finish_while_the_other_goes_on() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(end(&mut server).await, Ok(b"last words".to_vec()));
    server.write_all(b"reply").await.unwrap();
    assert_eq!(read(&mut client, 5).await, b"reply");
}

#[tokio::test]
async fn a_cut_is_an_error_or_an_end_on_both_sides_and_new_connections_work() {
    let scene = Scene::start().await;
    for (how, expected) in [(Cut::Reset, Err(ErrorKind::ConnectionReset)), (Cut::Close, Ok(vec![]))] {
        let (mut client, mut server) = scene.connection().await;
        scene.wait_for(|traffic| traffic.open == 1).await;
        scene.handle.cut(how);
        assert_eq!(end(&mut client).await, expected, "{how:?}");
        assert_eq!(end(&mut server).await, expected, "{how:?}");
        scene.wait_for(|traffic| traffic.open == 0).await;
    }
    let (mut client, mut server) = scene.connection().await;
    client.write_all(b"again").await.unwrap();
    assert_eq!(read(&mut server, 5).await, b"again");
    assert_eq!(scene.wait_for(|traffic| traffic.up == 5).await.cut, 2);
}

#[tokio::test]
async fn a_reset_server_is_a_reset_client() {
    let scene = Scene::start().await;
    let (mut client, server) = scene.connection().await;
    server.set_zero_linger().unwrap();
    drop(server);
    assert_eq!(end(&mut client).await, Err(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn new_connections_can_be_refused_while_open_ones_go_on() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    scene.handle.refuse(true);
    let mut refused = TcpStream::connect(scene.proxy.addr()).await.unwrap();
    assert_eq!(end(&mut refused).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(scene.wait_for(|traffic| traffic.refused == 1).await.accepted, 1);
    client.write_all(b"x").await.unwrap();
    assert_eq!(read(&mut server, 1).await, b"x");
    scene.handle.refuse(false);
    scene.connection().await;
}

#[tokio::test]
async fn a_server_that_is_not_there_resets_and_may_move() {
    let scene = Scene::start().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = elsewhere.local_addr().unwrap();
    drop(elsewhere);
    scene.handle.forward_to(address);
    let mut client = TcpStream::connect(scene.proxy.addr()).await.unwrap();
    assert_eq!(end(&mut client).await, Err(ErrorKind::ConnectionReset));
    scene.handle.forward_to(scene.listener.local_addr().unwrap());
    scene.connection().await;
}

#[tokio::test]
async fn a_held_direction_stalls_alone_until_it_is_released() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    scene.handle.hold(Direction::Down);
    server.write_all(b"held").await.unwrap();
    client.write_all(b"free").await.unwrap();
    assert_eq!(read(&mut server, 4).await, b"free");
    assert!(is_silent(&mut client).await);
    scene.handle.release();
    assert_eq!(read(&mut client, 4).await, b"held");
}

#[tokio::test]
async fn a_held_direction_makes_its_sender_wait() {
    let scene = Scene::start().await;
    let (client, mut server) = scene.connection().await;
    scene.handle.hold(Direction::Down);
    let much = vec![0; 64 * 1024 * 1024];
    assert!(tokio::time::timeout(MOMENT, server.write_all(&much)).await.is_err(), "somebody buffers 64 MiB");
    assert_eq!(scene.handle.traffic().borrow().down, 0);
    scene.handle.cut(Cut::Reset);
    drop(client);
}

#[tokio::test]
async fn a_half_close_ends_one_direction_only() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    client.write_all(b"before").await.unwrap();
    assert_eq!(read(&mut server, 6).await, b"before");
    scene.handle.half_close(Direction::Up);
    assert_eq!(end(&mut server).await, Ok(vec![]));
    client.write_all(b"after").await.unwrap();
    server.write_all(b"still").await.unwrap();
    assert_eq!(read(&mut client, 5).await, b"still");
    assert_eq!(scene.wait_for(|traffic| traffic.down == 5).await.up, 6);
}

#[tokio::test]
async fn a_delayed_direction_is_late_but_whole() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    let delay = Duration::from_millis(400);
    scene.handle.delay(Direction::Up, delay);
    let begun = Instant::now();
    client.write_all(b"late").await.unwrap();
    server.write_all(b"soon").await.unwrap();
    assert_eq!(read(&mut client, 4).await, b"soon");
    assert!(begun.elapsed() < delay, "the other direction is late too");
    assert_eq!(read(&mut server, 4).await, b"late");
    assert!(begun.elapsed() >= delay, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_throttled_connection_takes_its_time() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    scene.handle.throttle(NonZeroU32::new(10_000));
    let begun = Instant::now();
    client.write_all(&[7; 2_000]).await.unwrap();
    read(&mut server, 2_000).await;
    // The wait for the last piece is after it.
    assert!(begun.elapsed() >= Duration::from_millis(170), "{:?}", begun.elapsed());
    scene.handle.throttle(None);
}

#[tokio::test]
async fn exactly_so_many_bytes_pass_before_a_cut() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    let (mut idle, _other) = scene.connection().await;
    scene.handle.cut_after(Direction::Up, 1_000, Cut::Close);
    client.write_all(&[1; 600]).await.unwrap();
    read(&mut server, 600).await;
    client.write_all(&[2; 600]).await.unwrap();
    assert_eq!(end(&mut server).await, Ok(vec![2; 400]));
    assert_eq!(end(&mut idle).await, Ok(vec![]));
    assert_eq!(scene.wait_for(|traffic| traffic.open == 0).await.up, 1_000);
    let (mut client, mut server) = scene.connection().await;
    client.write_all(&[3; 2_000]).await.unwrap();
    assert_eq!(read(&mut server, 2_000).await.len(), 2_000);
}

#[tokio::test]
async fn a_stopped_proxy_closes_everything_and_frees_its_port() {
    let scene = Scene::start().await;
    let (mut client, mut server) = scene.connection().await;
    let address = scene.proxy.addr();
    scene.proxy.stop().await;
    assert!(end(&mut client).await.is_ok_and(|rest| rest.is_empty()));
    assert!(end(&mut server).await.is_ok_and(|rest| rest.is_empty()));
    let again = Proxy::start_at(address, scene.listener.local_addr().unwrap()).await.unwrap();
    drop(again);
    scene.handle.cut(Cut::Reset);
}
