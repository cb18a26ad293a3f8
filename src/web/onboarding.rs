//! The first run, without a configuration: a page on this machine that asks for one, for whoever was given its address.
//!
//! ```text
//! GET /?token=…                      the page, and a cookie that stands for the token
//! GET  /api/v1/onboarding            where the configuration will lie
//! POST /api/v1/onboarding/check      what `ttn-ferry check --connect` says of the answers
//! POST /api/v1/onboarding/write      writes them, and ends the first run
//! ```
//!
//! The token is made for this run and dies with it. Answers hold an API key and a password: they are neither logged nor told back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, body::Bytes};
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::api::not_this_method;
use super::door::Door;
use super::front;
use super::guard::Guard;
use super::page::Page;
use super::port::{Port, PortError};
use super::problem::details;
use crate::control::{Body, Problem};

/// Random bytes of the token.
const TOKEN_BYTES: usize = 16;
/// What carries it once the page was opened.
const COOKIE: &str = "ttn-ferry-onboarding";
/// Answers are short.
const LONGEST_BODY: usize = 64 << 10;
const MOST_CONNECTIONS: usize = 32;
/// How long answers under way may take once the configuration is written.
const FAREWELL: Duration = Duration::from_secs(2);

/// Who asks for a configuration and writes it.
pub trait Asking: Send + Sync + 'static {
    /// What the page should know before anybody answered.
    fn known(&self) -> Value;

    /// Tries the answers, and tells what it found.
    fn check(&self, answers: Body) -> BoxFuture<'_, Result<Value, Problem>>;

    /// Writes the configuration, and tells where.
    ///
    /// # Errors
    /// The answers are wrong, or it cannot be written. Nothing is overwritten.
    fn write(&self, answers: Body) -> Result<Value, Problem>;
}

/// A page that asks for a configuration.
pub struct Onboarding {
    port: Port,
    token: String,
}

/// What the routes share.
#[derive(Clone)]
struct Desk {
    /// One at a time: a check makes connections of its own.
    asking: Arc<Mutex<Arc<dyn Asking>>>,
    /// Ends the first run.
    written: CancellationToken,
}

/// What stands before them.
#[derive(Clone)]
struct Gate {
    guard: Arc<Guard>,
    token: Arc<str>,
}

impl Onboarding {
    /// Listens at an address that only this machine can reach.
    ///
    /// # Errors
    /// It cannot be listened at.
    pub fn open(address: SocketAddr) -> Result<Self, PortError> {
        Ok(Self { port: Port::open(address, None)?, token: new_token() })
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What to open in a browser, once: it holds the token.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.address(), self.token)
    }

    /// Serves until a configuration is written, which it says, or until `stop`.
    pub async fn run(self, asking: Arc<dyn Asking>, stop: CancellationToken) -> bool {
        let (written, cut) = (CancellationToken::new(), CancellationToken::new());
        let _cut = cut.clone().drop_guard();
        let gate = Gate { guard: Arc::new(Guard::new("", &[], None)), token: self.token.into() };
        let router = router(Desk { asking: Arc::new(Mutex::new(asking)), written: written.clone() }, gate);
        let closing = stop.child_token();
        let door = Door::new(self.port.into_entrance(), MOST_CONNECTIONS, router);
        let over = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = written.cancelled() => closing.cancel(),
            }
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            () = door.run(closing.clone(), cut) => {}
            () = over => {}
        }
        written.is_cancelled()
    }
}

fn router(desk: Desk, gate: Gate) -> Router {
    let api = Router::new()
        .route("/api/v1/onboarding", get(known))
        .route("/api/v1/onboarding/check", post(check))
        .route("/api/v1/onboarding/write", post(write))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_this_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .with_state(desk);
    let inside = Page::new("/").router().fallback_service(api);
    Router::new().fallback_service(inside).layer(from_fn_with_state(gate, pass))
}

async fn known(State(desk): State<Desk>) -> Json<Value> {
    Json(desk.asking.lock().await.known())
}

async fn check(State(desk): State<Desk>, answers: Bytes) -> Result<Json<Value>, Problem> {
    let asking = desk.asking.lock().await;
    asking.check(Body::parse(&answers)?).await.map(Json)
}

async fn write(State(desk): State<Desk>, answers: Bytes) -> Result<Json<Value>, Problem> {
    let asking = desk.asking.lock().await;
    let written = asking.write(Body::parse(&answers)?)?;
    desk.written.cancel();
    Ok(Json(written))
}

async fn nothing_here() -> Response {
    let hint = "there is no configuration yet: there are /api/v1/onboarding, onboarding/check and onboarding/write";
    details(StatusCode::NOT_FOUND, "nothing is here before the first configuration is written", Some(hint))
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let answer = match gate.refuses(&request) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    front::safely(answer)
}

impl Gate {
    /// The answer to a request that is not let in, or that is sent on with a cookie.
    fn refuses(&self, request: &Request) -> Option<Response> {
        if let Err(refused) = self.guard.check(request.method(), request.uri(), request.headers()) {
            return Some(details(refused.status(), &refused.to_string(), Some(refused.hint())));
        }
        let path = request.uri().path();
        if path == "/" && request.uri().query().and_then(token_in).is_some_and(|token| self.is_right(token)) {
            return Some(self.welcome());
        }
        let is_open = !path.starts_with("/api/") || shown(request.headers()).any(|token| self.is_right(token));
        (!is_open).then(|| {
            let hint =
                "open the address that `ttn-ferry run` told, with its token: it is in the terminal, or in the log";
            details(StatusCode::UNAUTHORIZED, "this needs the token of this first run", Some(hint))
        })
    }

    /// To the page itself, without the token in its address.
    fn welcome(&self) -> Response {
        let cookie = format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict", self.token);
        let cookie = HeaderValue::try_from(cookie).expect("a token is hexadecimal digits");
        let headers = [(header::LOCATION, HeaderValue::from_static("/")), (header::SET_COOKIE, cookie)];
        (StatusCode::SEE_OTHER, headers).into_response()
    }

    /// How long it takes says nothing of where two texts differ.
    fn is_right(&self, token: &str) -> bool {
        let differences = token.bytes().zip(self.token.bytes()).fold(0, |all, (one, other)| all | (one ^ other));
        token.len() == self.token.len() && differences == 0
    }
}

fn token_in(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// Tokens that a request carries: scripts have a header for it, browsers the cookie.
fn shown(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = |name| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let cookies = values(header::COOKIE).flat_map(|cookies| cookies.split(';'));
    let cookies = cookies.filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    cookies.chain(values(header::AUTHORIZATION).filter_map(|value| value.strip_prefix("Bearer ")))
}

fn new_token() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).expect("a system that cannot give random bytes runs nothing that speaks TLS");
    hex::encode(bytes)
}
