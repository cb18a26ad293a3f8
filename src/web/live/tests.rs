//! The wire, with a clock that stands still: what comes, what is cut, and what a slow client is told.

use axum::Router;
use axum::routing::get;
use axum::serve::Listener;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{self, DuplexStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{self, Message as Said};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;
use crate::home::live::Whom;

/// What a client's connection holds, in bytes: less than two frames of [`Rig::tell_long`].
const PIPE: usize = 4 << 10;

struct Pipes(mpsc::Receiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(pipe) => (pipe, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

struct Rig {
    live: Live,
    stop: CancellationToken,
    listeners: Listeners,
    pipes: mpsc::Sender<DuplexStream>,
    _serving: JoinSet<()>,
}

type Client = WebSocketStream<DuplexStream>;

impl Rig {
    fn new() -> Self {
        let hall = Hall { live: Live::default(), stop: CancellationToken::new(), listeners: Listeners::default() };
        let (live, stop, listeners) = (hall.live.clone(), hall.stop.clone(), hall.listeners.clone());
        let (pipes, given) = mpsc::channel(1);
        let router = Router::new().route("/live", get(open)).with_state(hall);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(Pipes(given), router).await.unwrap() });
        Self { live, stop, listeners, pipes, _serving: serving }
    }

    async fn try_connect(&self, query: &str) -> Result<Client, tungstenite::Error> {
        let (ours, theirs) = io::duplex(PIPE);
        self.pipes.send(theirs).await.unwrap();
        Ok(client_async(format!("ws://ferry/live{query}"), ours).await?.0)
    }

    /// A client that has been greeted, and the greeting.
    async fn connect(&self, query: &str) -> (Client, Value) {
        let mut client = self.try_connect(query).await.unwrap();
        let hello = next(&mut client).await;
        (client, hello)
    }

    fn tell(&self, number: u64) {
        self.live.tell(Kind::Uplink, Whom::Bridge, Some(Bytes::from(number.to_string())));
    }

    fn tell_long(&self) {
        self.live.tell(Kind::State, Whom::Bridge, Some(Bytes::from(format!("\"{}\"", "x".repeat(PIPE / 2)))));
    }
}

/// The next text, read as JSON. Pings are answered by the library, with the next thing that is read.
async fn next(client: &mut Client) -> Value {
    loop {
        match client.next().await.expect("it is open").unwrap() {
            Said::Text(text) => return serde_json::from_str(&text).unwrap(),
            Said::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// How the connection ended, and what was said before.
async fn end(client: &mut Client) -> (Vec<Said>, Option<tungstenite::Error>) {
    let mut said = Vec::new();
    while let Some(next) = client.next().await {
        match next {
            Ok(message) => said.push(message),
            Err(error) => return (said, Some(error)),
        }
    }
    (said, None)
}

#[tokio::test(start_paused = true)]
async fn a_client_is_greeted_and_gets_what_it_wants() {
    let rig = Rig::new();
    rig.tell(1);
    let (mut client, hello) = rig.connect("?kinds=uplink").await;
    assert_eq!(hello, json!({"type": "hello", "version": env!("CARGO_PKG_VERSION"), "event": 1, "oldest": 1}));
    rig.tell_long();
    rig.tell(3);
    let frame = next(&mut client).await;
    assert_eq!((&frame["event"], &frame["kind"], &frame["data"]), (&json!(3), &json!("uplink"), &json!(3)));
    client.send(Said::text(r#"{"kinds": ["state"]}"#)).await.unwrap();
    client.send(Said::text("what?")).await.unwrap();
    assert_eq!(next(&mut client).await["type"], "error", "the filter before it is in use now");
    rig.tell(4);
    rig.tell_long();
    assert_eq!(next(&mut client).await["event"], 5);
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_gets_what_came_meanwhile_or_is_told_that_it_is_gone() {
    let rig = Rig::new();
    (1..4).for_each(|number| rig.tell(number));
    let (mut client, _) = rig.connect("?after=1").await;
    assert_eq!(
        (next(&mut client).await["event"].clone(), next(&mut client).await["event"].clone()),
        (json!(2), json!(3))
    );
    (0..2_500).for_each(|number| rig.tell(number));
    let (mut client, hello) = rig.connect("?after=3").await;
    assert_eq!((&hello["event"], &hello["oldest"]), (&json!(2503), &json!(504)));
    assert_eq!(next(&mut client).await, json!({"type": "missed", "from": 4, "to": 2503}));
    rig.tell(0);
    assert_eq!(next(&mut client).await["event"], 2504);
}

#[tokio::test(start_paused = true)]
async fn what_makes_no_sense_is_refused() {
    let rig = Rig::new();
    for query in ["?kinds=uplnk", "?after=soon", "?kind=uplink"] {
        let Err(tungstenite::Error::Http(answer)) = rig.try_connect(query).await else { panic!("{query}") };
        assert_eq!(answer.status(), 400, "{query}");
    }
    let (mut client, _) = rig.connect("").await;
    for text in [r#"{"kinds": ["uplnk"]}"#, r#"{"devces": []}"#, "7"] {
        client.send(Said::text(text)).await.unwrap();
        assert_eq!(next(&mut client).await["type"], "error", "{text}");
    }
    // It may be cut before all of it is said.
    client.send(Said::text("x".repeat(LONGEST_MESSAGE + 1))).await.ok();
    end(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn who_answers_pings_stays_and_who_does_not_is_cut() {
    let rig = Rig::new();
    let (mut awake, _) = rig.connect("?kinds=uplink").await;
    let (mut asleep, _) = rig.connect("").await;
    let start = Instant::now();
    let cut = async {
        let all_but_one = rig.listeners.0.acquire_many(MOST_CLIENTS as u32 - 1).await;
        all_but_one.map(|_| start.elapsed()).unwrap()
    };
    let (cut, stays) = tokio::join!(cut, timeout(5 * SILENCE, next(&mut awake)));
    assert!(stays.is_err(), "nothing was told: {stays:?}");
    assert_eq!(cut, SILENCE);
    end(&mut asleep).await;
    rig.tell(1);
    assert_eq!(next(&mut awake).await["event"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_client_holds_up_nobody_and_is_told_what_it_missed() {
    let rig = Rig::new();
    let (mut slow, _) = rig.connect("").await;
    let (mut quick, _) = rig.connect("").await;
    for number in 1..=3_000 {
        rig.tell_long();
        assert_eq!(next(&mut quick).await["event"], number);
    }
    let mut last = 0;
    let missed = loop {
        let said = next(&mut slow).await;
        match said["event"].as_u64() {
            Some(number) => assert_eq!(std::mem::replace(&mut last, number) + 1, number),
            None => break said,
        }
    };
    assert!(last < 10, "what was in the pipe: {last}");
    assert_eq!(missed, json!({"type": "missed", "from": last + 1, "to": 3_000}));
    rig.tell(0);
    assert_eq!(next(&mut slow).await["event"], 3_001);
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_so_many() {
    let rig = Rig::new();
    let mut clients = Vec::new();
    for _ in 0..MOST_CLIENTS {
        clients.push(rig.connect("").await.0);
    }
    let Err(tungstenite::Error::Http(answer)) = rig.try_connect("").await else { panic!("let in") };
    assert_eq!(answer.status(), 503);
    let mut first = clients.remove(0);
    first.close(None).await.unwrap();
    end(&mut first).await;
    drop(rig.listeners.0.acquire().await.unwrap());
    rig.connect("").await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_says_so_and_waits_for_nobody_who_does_not_listen() {
    let rig = Rig::new();
    let (mut client, _) = rig.connect("").await;
    let (_deaf, _) = rig.connect("").await;
    (0..10).for_each(|_| rig.tell_long());
    rig.stop.cancel();
    let start = Instant::now();
    let reading = async {
        let (said, _) = end(&mut client).await;
        let Some(Said::Close(Some(frame))) = said.last() else { panic!("{said:?}") };
        assert_eq!(u16::from(frame.code), 1001);
    };
    tokio::join!(reading, rig.listeners.gone());
    assert!(start.elapsed() <= FAREWELL);
}
