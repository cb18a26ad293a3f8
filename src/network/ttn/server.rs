//! One application at The Things Stack, as the flows see it.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::downlinks::{self, Downlinks};
use super::health::Health;
use super::messages;
use super::topics::TtnTopics;
use crate::model::{
    ApplicationName, DeviceId, DownlinkEvent, DownlinkHappening, DownlinkId, Failure, NetworkMessage, QueuedDownlink,
};
use crate::network::{Budget, NetworkHealth, NetworkServer, PushError, RawMessage, Unreadable};

/// An application: its messages are parsed here, its downlinks pushed from here.
pub struct Ttn {
    pub name: ApplicationName,
    pub topics: TtnTopics,
    pub health: Arc<Health>,
    /// `None` for a plain broker that only carries the topics: nothing can be sent through it that would be tracked.
    pub downlinks: Option<Downlinks>,
}

impl Ttn {
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
        async move { self.downlinks()?.push(device, items).await.map(|()| Budget::default()) }.boxed()
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
