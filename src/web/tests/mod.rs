//! The doors as a visitor finds them, with a stand-in for the API: what is asked of a request, and what a connection may
//! cost.

mod asked;
mod bounds;
mod page;
mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::get;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tokio::sync::watch;

use super::door::Peer;
use super::guard::Guard;
use super::lock::Lock;
use super::session::Facts;
use super::*;
use crate::control::Readiness;

const PASSWORD: &str = "three plain words";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far more than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came back.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The name and value of the cookie that was set.
    fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

/// In the place of the API: it answers what it is asked, whoever asks.
fn api() -> Router {
    let echo = async |request: axum::extract::Request| request.uri().to_string();
    let hold = async |upgrade: axum::extract::WebSocketUpgrade| {
        upgrade.on_upgrade(async |mut socket| while let Some(Ok(_)) = socket.recv().await {})
    };
    let router = Router::new().route("/api/v1/devices", get(echo).post(echo).delete(echo));
    let router = router.route("/metrics", get(echo)).route("/api/v1/live", get(hold));
    router.route("/api/v1/much", get(async || "x".repeat(1 << 20)))
}

/// Probes of a bridge without applications.
fn probes_of(home_connected: watch::Receiver<bool>) -> Router {
    probes::router(Arc::new(Readiness { servers: Vec::new(), home_connected }))
}

/// All that stands before the API of a bridge with a password and a token.
fn front() -> Router {
    front_with(Some(PASSWORD), Some(TOKEN), "/")
}

fn front_with(password: Option<&str>, token: Option<&str>, base: &str) -> Router {
    let secret = |text: Option<&str>| text.map(Into::into);
    let ended = EndedSessions::in_folder(Path::new("/nowhere/at/all")).unwrap();
    let lock = Lock::new(secret(password), secret(token), &SigningKey([7; 32]), ended).map(Arc::new);
    let guard = Guard::new("pi", &[], Some("https://home.example.org/ferry/"));
    let facts = Facts { lock, edit_codecs: false, base: base.into() };
    let proxies = Proxies(vec!["172.16.0.0/12".parse().unwrap()]);
    front::before(api(), probes_of(watch::channel(true).1), guard, proxies, facts)
}

/// Asks without a network between: `ask` is a method and a path.
async fn ask(router: &Router, ask: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    ask_from(HERE, router, ask, headers, body).await
}

async fn ask_from(from: IpAddr, router: &Router, ask: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let (method, path) = ask.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8899");
    }
    let request = request.extension(Peer { address: from, has_tls: false }).body(Body::from(body.to_owned())).unwrap();
    let answer = TowerToHyperService::new(router.clone()).call(request).await.unwrap();
    let (head, body) = answer.into_parts();
    Answer { status: head.status, headers: head.headers, body: to_bytes(body, 8 << 20).await.unwrap().to_vec() }
}

async fn in_time<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wanted).await.expect("it takes no time to speak of")
}
