//! Who talks to a running bridge over its control socket: the command line, and anybody who speaks HTTP.

use std::path::PathBuf;
use std::process::Stdio;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::{Stage, in_time};

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Told {
    /// Standard output, which must be one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output, each line of which must be a JSON document.
    pub fn json_lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        self.out.lines().map(line).collect()
    }
}

impl Stage {
    /// Runs a command of `ttn-ferry` with this stage's configuration to its end.
    pub async fn command(&self, arguments: &[&str]) -> Told {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttn-ferry"));
        command.args(arguments).arg("--config").arg(self.configuration()).stdin(Stdio::null()).kill_on_drop(true);
        command.env_remove("TTN_FERRY_SOCKET");
        let output = in_time("the end of the command", command.output()).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Told { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// A request to the control API: the status, the media type, and the body, which must be JSON.
    pub async fn ask(&self, method: &str, path: &str, body: impl Into<String>) -> (StatusCode, String, Value) {
        ask(self.socket(), method, path, body.into()).await
    }

    /// What the control API says to these very words, to the end of the connection.
    pub async fn speak(&self, words: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut answer = String::new();
        in_time("an answer of the control API", stream.read_to_string(&mut answer)).await.unwrap();
        answer
    }
}

/// [`Stage::ask`] for a task of its own.
pub async fn ask(socket: PathBuf, method: &str, path: &str, body: String) -> (StatusCode, String, Value) {
    let tls = ttn_ferry::mqtt::tls::public().as_ref().clone();
    let client = Client::builder().unix_socket(socket).tls_backend_preconfigured(tls).no_proxy().build().unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = client.request(method, format!("http://ferry/api/v1/{path}")).body(body);
    let response = in_time("an answer of the control API", request.send()).await.unwrap();
    let media = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
    let (status, text) = (response.status(), response.text().await.unwrap());
    (status, media.unwrap_or_default(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}
