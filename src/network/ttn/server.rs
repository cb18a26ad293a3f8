//! One application at The Things Stack, as the flows see it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::downlinks::{self, Downlinks};
use super::end_to_end::{self, EndToEnd, NoKey};
use super::formatters::Formatters;
use super::health::Health;
use super::history::History;
use super::json::Envelope;
use super::messages;
use super::topics::TtnTopics;
use crate::model::{
    ApplicationName, DeviceId, DeviceKey, DownlinkEvent, DownlinkHappening, DownlinkId, Failure, NetworkMessage,
    QueuedDownlink, VersionIds,
};
use crate::network::{
    Budget, DownlinkHistory, Formatter, FormatterError, HistoryError, NetworkHealth, NetworkServer, PushError,
    RawMessage, Source, Span, Unreadable,
};

/// An application: its messages are parsed here, its downlinks pushed from here.
pub struct Ttn {
    pub name: ApplicationName,
    pub topics: TtnTopics,
    pub health: Arc<Health>,
    /// `None` for a plain broker that only carries the topics: nothing can be sent through it that would be tracked.
    pub downlinks: Option<Downlinks>,
    /// `None` likewise: a broker remembers nothing.
    pub history: Option<History>,
    /// `None` likewise: a broker runs none.
    pub formatters: Option<Formatters>,
    pub end_to_end: EndToEnd,
}

/// What a message says.
struct Read {
    message: NetworkMessage,
    /// Downlinks of ours that it gives back.
    given_back: Vec<DownlinkEvent>,
    /// Why its payload stays encrypted.
    sealed: Option<NoKey>,
}

impl Ttn {
    async fn traced(
        &self,
        history: &History,
        device: &DeviceId,
        since: Timestamp,
    ) -> Result<DownlinkHistory, PushError> {
        let traced = history.downlinks(device, since).await.map_err(downlinks::push_error)?;
        let events = |raw: &RawMessage| match self.open(raw).and_then(|(key, envelope)| self.read(key, envelope, raw)) {
            Ok(Read { message: NetworkMessage::Downlink(event), .. }) => vec![event],
            Ok(Read { given_back, .. }) => given_back,
            Err(_) => Vec::new(),
        };
        Ok(DownlinkHistory { events: traced.messages.iter().flat_map(events).collect(), complete: traced.complete })
    }

    /// Whose message it is, and its JSON.
    fn open<'a>(&self, raw: &'a RawMessage) -> Result<(DeviceKey, Envelope<'a>), Unreadable> {
        let unknown = || Unreadable::Topic(String::from_utf8_lossy(&raw.topic).chars().take(200).collect());
        let topic = std::str::from_utf8(&raw.topic).map_err(|_| unknown())?;
        let device = self.topics.device(topic).ok_or_else(unknown)?;
        Ok((DeviceKey::new(&self.name, device), messages::envelope(raw)?))
    }

    fn read(&self, key: DeviceKey, envelope: Envelope<'_>, raw: &RawMessage) -> Result<Read, Unreadable> {
        let at = envelope.received_at.unwrap_or(raw.at);
        let given_back = self.end_to_end.given_back(&key, at, &envelope);
        let subject = end_to_end::subject(&envelope);
        let (opening, sealed) = match self.end_to_end.key_of(&key.device, &envelope) {
            Some(Ok(opening)) => (Some(opening), None),
            Some(Err(missing)) => (None, Some(missing)),
            None => (None, None),
        };
        let message = match (dropped(messages::understand(key, envelope, raw)?), &opening) {
            (NetworkMessage::Uplink(mut uplink), Some(opening)) => {
                end_to_end::open(&mut uplink, opening);
                NetworkMessage::Uplink(uplink)
            }
            (NetworkMessage::Downlink(event), _) => match self.end_to_end.interpret(event, subject.as_ref()) {
                Some(event) => NetworkMessage::Downlink(event),
                None => NetworkMessage::Ignored("a report of an earlier push"),
            },
            (other, _) => other,
        };
        Ok(Read { message, given_back, sealed })
    }

    fn downlinks(&self) -> Result<&Downlinks, PushError> {
        self.downlinks.as_ref().ok_or_else(|| {
            PushError::Refused(Failure {
                name: "no_api".into(),
                message: "this application has no `api_url`: commands need the HTTP API".into(),
            })
        })
    }
}

impl NetworkServer for Ttn {
    fn name(&self) -> &ApplicationName {
        &self.name
    }

    fn parse(&self, raw: &RawMessage) -> Result<NetworkMessage, Unreadable> {
        let (key, envelope) = self.open(raw)?;
        self.read(key, envelope, raw).map(|read| read.message)
    }

    fn hear<'a>(&'a self, raw: &'a RawMessage) -> BoxFuture<'a, Result<Vec<NetworkMessage>, Unreadable>> {
        async move {
            let (key, envelope) = self.open(raw)?;
            let device = key.device.clone();
            let learnt = self.end_to_end.learn(&device, &envelope);
            let read = self.read(key, envelope, raw)?;
            if let Some(missing) = &read.sealed {
                self.end_to_end.tell(&device, missing);
            }
            if learnt {
                self.end_to_end.note(&device).await;
            }
            if !read.given_back.is_empty() {
                self.end_to_end.forget(&read.given_back);
            }
            let given_back = read.given_back.into_iter().map(NetworkMessage::Downlink);
            Ok(std::iter::once(read.message).chain(given_back).collect())
        }
        .boxed()
    }

    fn push<'a>(
        &'a self,
        device: &'a DeviceId,
        items: &'a [QueuedDownlink],
    ) -> BoxFuture<'a, Result<Budget, PushError>> {
        async move { self.end_to_end.push(self.downlinks()?, device, items).await }.boxed()
    }

    fn waiting<'a>(&'a self, device: &'a DeviceId) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        async move { self.downlinks()?.waiting(device).await }.boxed()
    }

    fn withdraw<'a>(
        &'a self,
        device: &'a DeviceId,
        ids: &'a [DownlinkId],
    ) -> BoxFuture<'a, Result<Vec<DownlinkId>, PushError>> {
        async move { self.downlinks()?.withdraw(device, ids).await }.boxed()
    }

    fn downlink_history<'a>(
        &'a self,
        device: &'a DeviceId,
        since: Timestamp,
    ) -> BoxFuture<'a, Result<DownlinkHistory, PushError>> {
        async move {
            match &self.history {
                Some(history) => self.traced(history, device, since).await,
                None => Ok(DownlinkHistory::default()),
            }
        }
        .boxed()
    }

    fn missed<'a>(
        &'a self,
        span: Span,
        device: Option<&'a DeviceId>,
        out: mpsc::Sender<RawMessage>,
    ) -> BoxFuture<'a, Result<Source, HistoryError>> {
        async move {
            match &self.history {
                Some(history) => history.missed(span, device, out).await,
                None => Err(HistoryError::NotActivated),
            }
        }
        .boxed()
    }

    fn formatter<'a>(
        &'a self,
        device: &'a DeviceId,
        version_ids: Option<&'a VersionIds>,
    ) -> BoxFuture<'a, Result<Option<Formatter>, FormatterError>> {
        async move {
            match &self.formatters {
                Some(formatters) => formatters.of(device, version_ids).await,
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn health(&self) -> NetworkHealth {
        self.health.read()
    }
}

/// A failure that passes is no end of the downlink.
fn dropped(message: NetworkMessage) -> NetworkMessage {
    match message {
        NetworkMessage::Downlink(DownlinkEvent { key, id, happening: DownlinkHappening::Failed(failure), at })
            if downlinks::passes(&failure) =>
        {
            NetworkMessage::Downlink(DownlinkEvent { key, id, happening: DownlinkHappening::Dropped(failure), at })
        }
        other => other,
    }
}
