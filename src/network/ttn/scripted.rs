//! An HTTP server on loopback that answers by a script, for tests of what goes over the wire.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Api, Endpoints};
use crate::mqtt::{Address, tls};

/// One request as the server saw it.
#[derive(Debug)]
pub struct Seen {
    pub line: String,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Answers in the order of its script; what is not in the script is never answered.
#[derive(Default)]
pub struct Script {
    answers: Mutex<VecDeque<Response<Body>>>,
    pub seen: Mutex<Vec<Seen>>,
}

pub struct Server {
    pub script: Arc<Script>,
    pub api: Api,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn respond(
    State(script): State<Arc<Script>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    script.seen.lock().unwrap().push(Seen { line: format!("{method} {uri}"), headers, body });
    let answer = script.answers.lock().unwrap().pop_front();
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

#[allow(clippy::disallowed_methods, reason = "the server's task is owned by the Server")]
pub async fn server(answers: Vec<Response<Body>>) -> Server {
    let script = Arc::new(Script { answers: Mutex::new(answers.into()), ..Script::default() });
    let router = Router::new().fallback(respond).with_state(script.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let api = client(&format!("http://{}", listener.local_addr().unwrap()));
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { script, api, task }
}

pub fn client(host: &str) -> Api {
    let base = url::Url::parse(&format!("{host}/api/v3")).unwrap();
    let mqtt = Address::tcp("localhost", 1883);
    let endpoints = Endpoints { mqtt, api: Some(base.clone()), identity: Some(base), uid: "my-app@ttn".into() };
    Api::with_limit(&endpoints, "my-app", "NNSXS.SECRET".to_owned().into(), &tls::public(), Duration::from_millis(500))
        .unwrap()
}

pub fn answer(status: u16, body: Value) -> Response<Body> {
    Response::builder().status(status).body(Body::from(body.to_string())).unwrap()
}

pub fn error(status: u16, namespace: &str, name: &str) -> Response<Body> {
    let details = json!([{"@type": "type.googleapis.com/ttn.lorawan.v3.ErrorDetails", "namespace": namespace, "name": name, "code": 9}]);
    answer(
        status,
        json!({"code": 9, "message": format!("error:{namespace}:{name} (it is &lt;so&gt;)"), "details": details}),
    )
}
