//! One application at The Things Stack, as the flows see it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::downlinks::{self, Downlinks};
use super::formatters::Formatters;
use super::health::Health;
use super::history::History;
use super::messages;
use super::topics::TtnTopics;
use crate::model::{
    ApplicationName, DeviceId, DownlinkEvent, DownlinkHappening, DownlinkId, Failure, NetworkMessage, QueuedDownlink,
    VersionIds,
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
}

impl Ttn {
    async fn traced(
        &self,
        history: &History,
        device: &DeviceId,
        since: Timestamp,
    ) -> Result<DownlinkHistory, PushError> {
        let traced = history.downlinks(device, since).await.map_err(downlinks::push_error)?;
        let event = |raw: &RawMessage| match self.parse(raw) {
            Ok(NetworkMessage::Downlink(event)) => Some(event),
            _ => None,
        };
        Ok(DownlinkHistory { events: traced.messages.iter().filter_map(event).collect(), complete: traced.complete })
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
        let unknown = || Unreadable::Topic(String::from_utf8_lossy(&raw.topic).chars().take(200).collect());
        let topic = std::str::from_utf8(&raw.topic).map_err(|_| unknown())?;
        let device = self.topics.device(topic).ok_or_else(unknown)?;
        messages::parse(&self.name, device, raw).map(dropped)
    }

    fn push<'a>(
        &'a self,
        device: &'a DeviceId,
        items: &'a [QueuedDownlink],
    ) -> BoxFuture<'a, Result<Budget, PushError>> {
        async move { self.downlinks()?.push(device, items).await }.boxed()
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
