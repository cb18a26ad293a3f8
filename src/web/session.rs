//! `/api/v1/session`: whether somebody is let in, logging in and logging out.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::door::Peer;
use super::front::Access;
use super::lock::{Lock, Locked, SESSION, Shown};
use super::problem::details;
use crate::control::QUICK;

/// The cookie of a browser that has logged in.
pub const COOKIE: &str = "ttn_ferry_session";
/// What it is called by one that speaks TLS. By the same name, a browser would let nobody log in without TLS on this host, on
/// whatever port, for as long as it keeps it (RFC 6265bis, 5.7: secure cookies are left alone; 4.1.3: the prefix).
const SECURE: &str = "__Secure-";
pub const PATH: &str = "/api/v1/session";
/// The longest body read, in bytes.
const LONGEST_BODY: usize = 4 << 10;

/// What a page needs to know before anybody logged in.
#[derive(Clone)]
pub struct Facts {
    /// None: nothing is asked of anybody.
    pub lock: Option<Arc<Lock>>,
    pub edit_codecs: bool,
    /// The path below which a browser sees everything, with a slash at both ends.
    pub base: Arc<str>,
}

/// How a visitor stands to this bridge.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Session<'a> {
    /// Whether a password or a token is asked for at all.
    needed: bool,
    authenticated: bool,
    /// Whether there is a password; else there is a token only.
    password: bool,
    /// Whether codecs may be saved.
    edit_codecs: bool,
    /// The path below which everything lies, with a slash at both ends.
    base_path: &'a str,
}

/// What somebody logs in with.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Login {
    Password(String),
    Token(String),
}

pub fn router(facts: Facts) -> Router {
    Router::new().route(PATH, get(show).post(open).delete(close)).with_state(facts)
}

/// Every session that a request carries in its cookies.
pub fn carried(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let texts = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| name.strip_prefix(SECURE).unwrap_or(name) == COOKIE).map(|(_, value)| value)
}

/// Somebody who is not let in, and why.
pub fn locked_out(locked: Locked) -> Response {
    match locked {
        Locked::Wrong => {
            let hint = "the configuration names it, or where it is: [web] password_file, token_file";
            details(StatusCode::UNAUTHORIZED, "the password or token is wrong", Some(hint))
        }
        Locked::TooOften(wait) => {
            let seconds = wait.max(Duration::from_secs(1)).as_secs_f32().ceil() as u32;
            let detail = format!("too many wrong passwords or tokens: the next try is due in {seconds} seconds");
            let mut response = details(StatusCode::TOO_MANY_REQUESTS, &detail, None);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            response
        }
    }
}

async fn show(State(facts): State<Facts>, Extension(access): Extension<Access>) -> Response {
    facts.session(access.is_open)
}

async fn open(
    State(facts): State<Facts>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(lock) = &facts.lock else { return facts.session(true) };
    let Some(login) = login(body).await else {
        let hint = r#"{"password": "…"} or {"token": "…"}"#;
        return details(StatusCode::BAD_REQUEST, "the body is no login", Some(hint));
    };
    let shown = match &login {
        Login::Password(password) => Shown::Password(password),
        Login::Token(token) => Shown::Token(token),
    };
    if let Err(locked) = lock.open(shown, peer.address) {
        return locked_out(locked);
    }
    let value = lock.session(Timestamp::now());
    with_cookie(facts.session(true), &facts.cookie(&value, SESSION, is_encrypted(peer, &headers)))
}

async fn close(State(facts): State<Facts>, Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    let Some(lock) = facts.lock.clone() else { return facts.session(true) };
    let sessions: Vec<_> = carried(&headers).map(str::to_owned).collect();
    let ended = tokio::task::spawn_blocking(move || {
        sessions.iter().for_each(|session| lock.end(session, Timestamp::now()));
    });
    ended.await.expect("ending a session does not panic");
    let cookie = facts.cookie("", Duration::ZERO, is_encrypted(peer, &headers));
    with_cookie(facts.session(false), &cookie)
}

/// The body, if it is one and comes in time. What is wrong with it is not told: it may hold what was meant to be secret.
async fn login(body: Body) -> Option<Login> {
    let bytes = tokio::time::timeout(QUICK, to_bytes(body, LONGEST_BODY)).await.ok()?.ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Facts {
    fn session(&self, authenticated: bool) -> Response {
        let password = self.lock.as_ref().is_some_and(|lock| lock.has_password());
        let (needed, edit_codecs) = (self.lock.is_some(), self.edit_codecs);
        Json(Session { needed, authenticated, password, edit_codecs, base_path: &self.base }).into_response()
    }

    /// RFC 6265, 4.1. Scripts cannot read it, other sites' requests do not carry it.
    fn cookie(&self, value: &str, age: Duration, is_encrypted: bool) -> String {
        let (base, age) = (&self.base, age.as_secs());
        let (prefix, secure) = if is_encrypted { (SECURE, "; Secure") } else { ("", "") };
        format!("{prefix}{COOKIE}={value}; Path={base}; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }
}

/// Whether the browser speaks TLS, to us or to a proxy before us: then its page is one of HTTPS.
fn is_encrypted(peer: Peer, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
    peer.has_tls || origin.starts_with(b"https://")
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    let cookie = HeaderValue::from_str(cookie).expect("digits, hex and a checked path can stand in a header");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}
