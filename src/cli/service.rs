//! The running bridge as commands see it: its control API, HTTP on a Unix socket.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::upload::Upload;
use super::{Exit, Terminal};
use crate::config::{ConfigError, Environment, find_control_socket};
use crate::mqtt::tls;
use crate::telemetry::with_causes;

/// Only the path of it matters: the connection is the socket.
const BASE: &str = "http://ttn-ferry/api/v1/";
/// How long an answer may take beyond the time that it was asked to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// How long a whole store may be on its way: 16 GiB at 5 MB/s.
const TRANSFER_WITHIN: Duration = Duration::from_secs(3600);
/// The longest answer read, in bytes: a list of 10,000 downlinks fits.
const LONGEST_ANSWER: usize = 64 << 20;

/// How to reach the bridge, and how to tell what it says.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// The control socket of the running bridge [default: where the configuration says, or the usual places]
    #[arg(long, global = true, display_order = 900, env = "TTN_FERRY_SOCKET", value_name = "FILE")]
    socket: Option<PathBuf>,
    /// JSON instead of text
    #[arg(long, global = true, display_order = 901)]
    pub json: bool,
}

/// A running bridge.
pub struct Service {
    http: Client,
    socket: PathBuf,
}

/// A request that was not done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error(
        "this bridge has no control socket\n  hint: name one in the configuration, [service] socket, and start it again"
    )]
    NoSocket,
    #[error("no bridge is running at {}\n  hint: {AWAY}", .0.display())]
    Away(PathBuf),
    #[error("this user may not talk to the bridge at {}\n  hint: {FORBIDDEN}", .0.display())]
    Forbidden(PathBuf),
    #[error("the bridge at {} did not answer: {why}\n  hint: {AWAY}", socket.display())]
    NoAnswer { socket: PathBuf, why: String },
    #[error("the HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    #[error("{0}")]
    Problem(Problem),
    #[error("the bridge's answer cannot be understood: {0}\n  hint: is it of the same version as this command?")]
    Unreadable(serde_json::Error),
    #[error("the bridge's answer is longer than {LONGEST_ANSWER} bytes\n  hint: ask for less: --limit")]
    TooLong,
}

const AWAY: &str = "`systemctl status ttn-ferry` shows whether it runs; --socket FILE names another socket";
const FORBIDDEN: &str = "sudo helps; docs/guide/downlinks.md says how to let a group in";

/// What the bridge says when it does not do what was asked (RFC 9457).
#[derive(Debug, Clone, Deserialize)]
pub struct Problem {
    pub status: u16,
    pub detail: String,
    pub hint: Option<String>,
    /// As it came.
    #[serde(skip)]
    text: String,
}

impl Reach {
    /// The bridge that runs with this configuration. Nothing is asked of it yet.
    pub fn service(&self, config: Option<&Path>, environment: &dyn Environment) -> Result<Service, ServiceError> {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => find_control_socket(config, environment)?.ok_or(ServiceError::NoSocket)?,
        };
        Service::at(socket)
    }

    /// Shows an answer: with `--json` as it came, else as `show` has it. A refusal is told.
    pub fn show<T: DeserializeOwned>(
        &self,
        answer: Result<String, ServiceError>,
        terminal: &mut Terminal,
        show: impl FnOnce(T, &mut Terminal) -> io::Result<()>,
    ) -> anyhow::Result<Exit> {
        let text = match answer {
            Ok(text) => text,
            Err(error) => return self.told(error, terminal),
        };
        if self.json {
            terminal.line(&text)?;
        } else {
            show(serde_json::from_str(&text).map_err(ServiceError::Unreadable)?, terminal)?;
        }
        Ok(Exit::Success)
    }

    /// A refusal is an answer too: with `--json` it is told as one.
    pub fn told(&self, error: ServiceError, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        match error {
            ServiceError::Problem(problem) if self.json => {
                terminal.line(&problem.text)?;
                Ok(problem.exit())
            }
            other => Err(other.into()),
        }
    }
}

impl Service {
    pub fn at(socket: PathBuf) -> Result<Self, ServiceError> {
        let http = Client::builder()
            .unix_socket(socket.clone())
            .tls_backend_preconfigured(tls::public().as_ref().clone())
            // A kept connection may be gone when it is used again, and a downlink must not be sent twice.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .map_err(ServiceError::Setup)?;
        Ok(Self { http, socket })
    }

    /// The answer's text, JSON.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)], wait: Duration) -> Result<String, ServiceError> {
        self.send(self.http.request(Method::GET, url(path, query)).timeout(wait + ANSWER_WITHIN)).await
    }

    pub async fn post(&self, path: &[&str], body: String, wait: Duration) -> Result<String, ServiceError> {
        self.send(self.http.request(Method::POST, url(path, &[])).timeout(wait + ANSWER_WITHIN).body(body)).await
    }

    pub async fn delete(&self, path: &[&str]) -> Result<String, ServiceError> {
        self.send(self.http.request(Method::DELETE, url(path, &[])).timeout(ANSWER_WITHIN)).await
    }

    /// Writes the answer's body into `to`, however long it is. Returns its length.
    ///
    /// # Errors
    /// Within: what the bridge did not do. Without: what `to` did not take.
    pub async fn download(&self, path: &[&str], to: &mut dyn Write) -> io::Result<Result<u64, ServiceError>> {
        let asked = self.http.request(Method::GET, url(path, &[])).timeout(TRANSFER_WITHIN).send().await;
        let mut response = match asked {
            Ok(response) if response.status().is_success() => response,
            Ok(response) => return Ok(self.read(response).await.map(|_| 0)),
            Err(error) => return Ok(Err(self.unreachable(error))),
        };
        let mut length = 0;
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    to.write_all(&chunk)?;
                    length += chunk.len() as u64;
                }
                Ok(None) => return Ok(Ok(length)),
                Err(error) => return Ok(Err(self.unreachable(error))),
            }
        }
    }

    /// Sends a file, however long it is.
    pub async fn upload(&self, path: &[&str], file: File) -> Result<String, ServiceError> {
        let request = self.http.request(Method::POST, url(path, &[])).timeout(TRANSFER_WITHIN);
        self.send(request.body(Body::wrap(Upload::new(file)))).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<String, ServiceError> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        self.read(response).await
    }

    async fn read(&self, mut response: Response) -> Result<String, ServiceError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                return Err(ServiceError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        if response.status().is_success() {
            return Ok(text);
        }
        Err(Problem::parse(&text))
    }

    /// Where the bridge listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The address of the WebSocket.
    pub fn live(&self, query: &[(&str, &str)]) -> Url {
        let mut url = url(&["live"], query);
        url.set_scheme("ws").expect("it is as special as http");
        url
    }

    /// What it means that the connection failed.
    pub fn broken(&self, error: &io::Error) -> ServiceError {
        self.no_way(Some(error.kind()), error)
    }

    fn unreachable(&self, error: reqwest::Error) -> ServiceError {
        self.no_way(system_error(&error), &error)
    }

    fn no_way(&self, kind: Option<io::ErrorKind>, error: &dyn Error) -> ServiceError {
        let socket = self.socket.clone();
        match kind {
            Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => ServiceError::Away(socket),
            Some(io::ErrorKind::PermissionDenied) => ServiceError::Forbidden(socket),
            _ => ServiceError::NoAnswer { socket, why: with_causes(error) },
        }
    }
}

impl ServiceError {
    pub fn exit(&self) -> Exit {
        match self {
            Self::Configuration(_) => Exit::Configuration,
            Self::NoSocket | Self::Away(_) | Self::Forbidden(_) | Self::NoAnswer { .. } => Exit::Unavailable,
            Self::Problem(problem) => problem.exit(),
            Self::Setup(_) | Self::Unreadable(_) | Self::TooLong => Exit::Failure,
        }
    }

    /// Whether it may be better in a moment: the bridge is being started again.
    pub fn may_pass(&self) -> bool {
        self.exit() == Exit::Unavailable && !matches!(self, Self::NoSocket | Self::Forbidden(_))
    }
}

impl Problem {
    /// The refusal that an answer tells of.
    pub fn parse(text: &str) -> ServiceError {
        match serde_json::from_str(text) {
            Ok(problem) => ServiceError::Problem(Self { text: text.to_owned(), ..problem }),
            Err(error) => ServiceError::Unreadable(error),
        }
    }

    fn exit(&self) -> Exit {
        if self.status == 503 { Exit::Unavailable } else { Exit::Failure }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        self.hint.iter().try_for_each(|hint| write!(f, "\n  hint: {hint}"))
    }
}

fn url(path: &[&str], query: &[(&str, &str)]) -> Url {
    let mut url = Url::parse(BASE).expect("a constant that is a URL");
    url.path_segments_mut().expect("an http URL has a path").pop_if_empty().extend(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

/// What the system said, somewhere below what the client says.
fn system_error(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_slashes_is_one_part_of_a_path_and_a_query_is_escaped() {
        let told = url(&["downlinks", "a/b"], &[("device", "ground floor/lamp")]);
        assert_eq!(told.as_str(), "http://ttn-ferry/api/v1/downlinks/a%2Fb?device=ground+floor%2Flamp");
    }

    #[tokio::test]
    async fn a_bridge_that_does_not_run_is_told_with_the_socket_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("control.sock");
        // Left by a process that was killed, or not there at all: the same to who asks.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        for path in [socket, folder.path().join("nothing.sock")] {
            let error = Service::at(path.clone()).unwrap().get(&["health"], &[], Duration::ZERO).await.unwrap_err();
            let told = error.to_string();
            assert!(told.contains(path.to_str().unwrap()) && told.contains("systemctl status ttn-ferry"), "{told}");
            assert_eq!(error.exit(), Exit::Unavailable, "{error:?}");
        }
    }
}
