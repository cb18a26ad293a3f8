//! `/api/v1/live`: everything that happens, over a WebSocket, as JSON text frames.
//!
//! - `{"type":"hello","version":"0.1.0","event":N,"oldest":M}` comes first: the number of the last event, and of the
//!   oldest that can still be had.
//! - `{"event":124,"kind":"uplink","device":…,"application":…,"device_id":…,"at":…,"data":{…}}` for each event that the
//!   client wants: `?kinds=state,uplink&devices=a,b`. `after=N` begins behind the event of that number.
//! - `{"type":"missed","from":125,"to":170}` if those are gone: the client was too slow, or away for too long. It goes on
//!   from now.
//! - The client may send `{"kinds":[…],"devices":[…]}`, which takes the place of what it wanted. Anything else is answered
//!   with `{"type":"error","detail":…}`.
//!
//! A client that reads slowly costs nobody else anything: it reads from [`crate::home::live`] at its own pace. One that
//! answers no ping is cut.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRef, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::on;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use url::form_urlencoded;

use super::api::{Api, Given, Own};
use super::problem::details;
use crate::control::{Kind as Sort, Problem};
use crate::home::live::{Filter, Follower, Kind, Live, Piece};
use crate::model::did_you_mean;

/// Clients at once, whichever door they came through.
const MOST_CLIENTS: usize = 100;
/// The longest message read, in bytes: a filter with a few hundred devices.
const LONGEST_MESSAGE: usize = 16 << 10;
const PING: Duration = Duration::from_secs(30);
/// A client from which nothing came for so long, not even the answer to a ping, is cut.
const SILENCE: Duration = Duration::from_secs(60);
/// How long the end may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// What a client has said and nobody has looked at.
const ORDERS: usize = 4;

/// `GET /live`.
pub const OPERATION: Own = Own {
    summary: "A WebSocket with everything that happens, as JSON texts",
    route: |method| on(method, open),
    takes: Some(SchemaGenerator::subschema_for::<Wanted>),
    gives: Given::Nothing,
};

/// Those who listen. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Listeners(Arc<Semaphore>);

/// What clients are served from.
#[derive(Debug, Clone)]
pub struct Hall {
    pub live: Live,
    pub stop: CancellationToken,
    pub listeners: Listeners,
}

/// What a client wants to hear, in its address.
#[derive(Debug, Default, PartialEq, JsonSchema)]
#[schemars(default)]
struct Wanted {
    /// All of them without it: `state`, `uplink`, `event`, `availability`, `pending`, `downlink`, `bridge`, `info`,
    /// `health`, `devices`.
    kinds: Vec<String>,
    /// By their names at home, their ids at the network, or `<application>/<id>`; all without it. What is about no device
    /// comes in any case.
    devices: Vec<String>,
    /// The number of an event: it begins behind that one. From now on without it.
    after: Option<u64>,
}

/// The same in a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    devices: Vec<String>,
}

/// What is said of the stream itself.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Aside<'a> {
    Hello { version: &'static str, event: u64, oldest: u64 },
    Missed { from: u64, to: u64 },
    Error { detail: &'a str },
}

/// What a client said.
enum Order {
    Filter(Filter),
    Misunderstood(String),
}

type Told = Result<(), axum::Error>;

impl FromRef<Api> for Hall {
    fn from_ref(Api { answers, stop, listeners }: &Api) -> Self {
        Self { live: answers.live.clone(), stop: stop.clone(), listeners: listeners.clone() }
    }
}

impl Default for Listeners {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_CLIENTS)))
    }
}

impl Listeners {
    /// Resolves when nobody listens any more, and lets nobody in from then on.
    pub async fn gone(&self) {
        // Nobody closes it.
        self.0.acquire_many(MOST_CLIENTS as u32).await.map(|places| places.forget()).ok();
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.0.clone().try_acquire_owned().map_err(|_| {
            Problem::new(Sort::Unavailable, format!("{MOST_CLIENTS} clients listen already")).hint("close one of them")
        })
    }
}

/// Opens a WebSocket.
pub async fn open(
    State(Hall { live, stop, listeners }): State<Hall>,
    RawQuery(query): RawQuery,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let Wanted { kinds, devices, after } = Wanted::read(query.as_deref().unwrap_or_default())?;
    let filter = filter(&kinds, devices).map_err(|detail| Problem::new(Sort::Malformed, detail))?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.max_message_size(LONGEST_MESSAGE).max_frame_size(LONGEST_MESSAGE),
        Err(_) => return Ok(no_upgrade()),
    };
    let place = listeners.enter()?;
    Ok(upgrade.on_upgrade(move |socket| async move {
        serve(socket, live, (filter, after), stop).await;
        drop(place);
    }))
}

/// Serves one client until it goes, is cut, or the bridge stops.
async fn serve(socket: WebSocket, live: Live, (filter, after): (Filter, Option<u64>), stop: CancellationToken) {
    let (mut sink, mut stream) = socket.split();
    let (orders, given) = mpsc::channel(ORDERS);
    tokio::select! {
        () = listen(&mut stream, orders) => {}
        // It ends only when nothing can be sent any more.
        _ = speak(&mut sink, &live, (filter, after), given) => {}
        () = stop.cancelled() => {
            timeout(FAREWELL, part(sink, stream)).await.ok();
        }
    }
}

/// Tells what happens, what the client missed, and that we are here.
async fn speak(
    sink: &mut SplitSink<WebSocket, Message>,
    live: &Live,
    (filter, after): (Filter, Option<u64>),
    mut orders: mpsc::Receiver<Order>,
) -> Told {
    let (event, oldest) = live.window();
    sink.send(aside(&Aside::Hello { version: env!("CARGO_PKG_VERSION"), event, oldest })).await?;
    let mut follower: Follower = live.follow(filter, after.or(Some(event)));
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let message = tokio::select! {
            biased;
            Some(order) = orders.recv() => match order {
                Order::Filter(filter) => {
                    follower.set_filter(filter);
                    continue;
                }
                Order::Misunderstood(detail) => aside(&Aside::Error { detail: &detail }),
            },
            _ = pings.tick() => Message::Ping(Bytes::new()),
            piece = follower.next() => match piece {
                Piece::Frame(frame) => text(frame.text()),
                Piece::Missed { from, to } => aside(&Aside::Missed { from, to }),
            },
        };
        sink.send(message).await?;
    }
}

/// Hears what the client says; ends when it goes, says what cannot be a message, or nothing for too long. One whose words
/// nobody takes because it does not read itself ends too.
async fn listen(stream: &mut SplitStream<WebSocket>, orders: mpsc::Sender<Order>) {
    while let Ok(Some(Ok(message))) = timeout(SILENCE, stream.next()).await {
        let order = match message {
            Message::Text(text) => Order::read(&text),
            Message::Binary(_) => Order::Misunderstood("a filter is JSON text".to_owned()),
            // The library answers them by itself.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
        };
        if !matches!(timeout(SILENCE, orders.send(order)).await, Ok(Ok(()))) {
            return;
        }
    }
}

/// The bridge stops: says so, and lets the client have the last word.
async fn part(mut sink: SplitSink<WebSocket, Message>, mut stream: SplitStream<WebSocket>) -> Told {
    let reason = Utf8Bytes::from_static("the bridge is stopping");
    sink.send(Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }))).await?;
    while let Some(Ok(_)) = stream.next().await {}
    Ok(())
}

impl Wanted {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "kinds" => wanted.kinds.extend(listed(&value)),
                "devices" => wanted.devices.extend(listed(&value)),
                "after" => wanted.after = Some(value.parse().map_err(|_| not_a_number())?),
                unknown => {
                    let shown: String = unknown.chars().take(80).collect();
                    let problem = Problem::new(Sort::Malformed, format!("`{shown}` is no key of this request"));
                    return Err(problem.hint(did_you_mean(unknown, &["kinds", "devices", "after"])));
                }
            }
        }
        Ok(wanted)
    }
}

impl Order {
    fn read(text: &str) -> Self {
        let change: Result<Change, _> = serde_json::from_str(text);
        let wanted = change
            .map_err(|error| format!("expected {{\"kinds\": […], \"devices\": […]}}, the filter from now on: {error}"));
        let filter = wanted.and_then(|wanted| filter(&wanted.kinds, wanted.devices));
        filter.map_or_else(Self::Misunderstood, Self::Filter)
    }
}

fn listed(text: &str) -> impl Iterator<Item = String> {
    text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty())
}

fn not_a_number() -> Problem {
    Problem::new(Sort::Malformed, "`after` is the number of an event").hint("it stands in each as `event`")
}

/// The error says which kind there is not.
fn filter(kinds: &[String], devices: Vec<String>) -> Result<Filter, String> {
    let known = || Kind::ALL.map(|(name, _)| name);
    let kind = |name: &String| {
        let shown: String = name.chars().take(40).collect();
        Kind::parse(name).ok_or_else(|| format!("there is no kind `{shown}`: {}", did_you_mean(name, &known())))
    };
    Ok(Filter { kinds: kinds.iter().map(kind).collect::<Result<_, _>>()?, devices })
}

fn aside(aside: &Aside<'_>) -> Message {
    text(serde_json::to_vec(aside).expect("our own types have string keys and always serialise").into())
}

fn text(json: Bytes) -> Message {
    Message::Text(Utf8Bytes::try_from(json).expect("JSON is UTF-8"))
}

/// RFC 9110, 15.5.22: the answer names what it wants.
fn no_upgrade() -> Response {
    let hint = "open it as one, such as with `websocat`, or use `ttn-ferry tail`";
    let problem = details(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket", Some(hint));
    ([(header::UPGRADE, "websocket")], problem).into_response()
}

#[cfg(test)]
mod tests;
