//! The WebSocket of the running bridge, on its control socket.

use std::io;

use futures_util::{SinkExt, StreamExt};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::cli::service::{Problem, Service, ServiceError};

/// An open connection.
pub struct Wire(WebSocketStream<UnixStream>);

/// What the bridge says.
pub enum Said {
    /// First of all: the number of the last event.
    Hello {
        event: u64,
    },
    /// What was told up to this number will not come.
    Missed {
        to: u64,
        text: String,
    },
    Event {
        event: u64,
        frame: Frame,
        text: String,
    },
}

/// Something that happened.
#[derive(Debug, Deserialize)]
pub struct Frame {
    pub kind: String,
    pub device: Option<String>,
    pub at: Timestamp,
    pub data: Option<Box<RawValue>>,
}

/// What tells the sorts of frames apart.
#[derive(Deserialize)]
struct Sort {
    r#type: Option<String>,
    #[serde(default)]
    event: u64,
    #[serde(default)]
    to: u64,
}

impl Wire {
    /// # Errors
    /// The bridge cannot be reached, or refuses.
    pub async fn open(service: &Service, query: &[(&str, &str)]) -> Result<Self, ServiceError> {
        let stream = UnixStream::connect(service.socket()).await.map_err(|error| service.broken(&error))?;
        let opened = client_async(service.live(query).as_str(), stream).await;
        opened.map(|(socket, _)| Self(socket)).map_err(|error| wrong(service, error))
    }

    /// What is said next; nothing if the connection has ended.
    pub async fn next(&mut self) -> Option<Result<Said, ServiceError>> {
        while let Some(Ok(message)) = self.0.next().await {
            let Message::Text(text) = message else {
                // The library has an answer to a ping ready.
                self.0.flush().await.ok()?;
                continue;
            };
            match Said::read(&text) {
                Ok(None) => {}
                Ok(Some(said)) => return Some(Ok(said)),
                Err(error) => return Some(Err(ServiceError::Unreadable(error))),
            }
        }
        None
    }
}

impl Said {
    /// Nothing: it is of a sort that says nothing to us.
    fn read(text: &str) -> serde_json::Result<Option<Self>> {
        let Sort { r#type, event, to } = serde_json::from_str(text)?;
        let text = text.to_owned();
        Ok(match r#type.as_deref() {
            None => Some(Self::Event { event, frame: serde_json::from_str(&text)?, text }),
            Some("hello") => Some(Self::Hello { event }),
            Some("missed") => Some(Self::Missed { to, text }),
            Some(_) => None,
        })
    }
}

/// A refusal comes as an answer to the first request, with a problem in it.
fn wrong(service: &Service, error: Error) -> ServiceError {
    match error {
        Error::Http(answer) => Problem::parse(&String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default())),
        Error::Io(error) => service.broken(&error),
        other => service.broken(&io::Error::other(other)),
    }
}
