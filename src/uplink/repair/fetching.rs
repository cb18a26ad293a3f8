//! One fetch: from the network's history into the uplink flow, and what that made of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::model::{ApplicationName, Directory, NetworkMessage};
use crate::network::{Arrival, Content, HistoryError, MissingFrames, NetworkServer, RawMessage, Source, Span, Tally};
use crate::telemetry::{Count, Counters, LostFrames, Notice, Notices};
use crate::uplink::gaps::{Fetch, Fetched};

/// Fetched messages on their way to the flow.
const UNDER_WAY: usize = 64;
/// How long a fetch may bring nothing: longer than any wait that a network's rate limit asks for.
const LONGEST_SILENCE: Duration = Duration::from_secs(300);

/// What a fetch goes between.
pub struct Link {
    pub servers: HashMap<ApplicationName, Arc<dyn NetworkServer>>,
    pub arrivals: mpsc::Sender<Arrival>,
    pub directory: Arc<Mutex<Directory>>,
    pub counters: Counters,
    pub notices: Notices,
}

/// The uplink flow has ended.
struct Gone;

impl Link {
    /// Carries out a fetch. `None`: the uplink flow is gone.
    pub async fn fetch(self: Arc<Self>, fetch: Fetch) -> Option<Fetched> {
        let Fetch { id, application, ask, gap } = fetch;
        let result = match self.servers.get(&application) {
            Some(server) => self.bring(server.as_ref(), ask).await.ok()?,
            None => Err(HistoryError::NotActivated),
        };
        let (reply, tally) = oneshot::channel();
        let marker = Arrival::Fetched { application: application.clone(), span: gap, reply };
        self.arrivals.send(marker).await.ok()?;
        let Tally { new, missing } = tally.await.ok()?;
        Some(Fetched { id, application, result, new, lost: self.named(&missing) })
    }

    /// Tells how a gap stands, and counts what is lost.
    pub fn tell(&self, notice: Notice) {
        if let Notice::GapLost { application, lost, .. } = &notice {
            self.counters.count_many_for(application, Count::Lost, lost.frames());
        }
        self.notices.tell(notice);
    }

    /// Brings everything the network has of this span. The flow takes it when it can: this may wait, live reading not.
    async fn bring(&self, server: &dyn NetworkServer, ask: Span) -> Result<Result<Source, HistoryError>, Gone> {
        let (out, raw) = mpsc::channel(UNDER_WAY);
        let missed = async { Ok(server.missed(ask, None, out).await) };
        match tokio::try_join!(missed, self.pass_on(server, raw)) {
            Ok((result, ())) => Ok(result),
            Err(Some(gone)) => Err(gone),
            Err(None) => Ok(Err(HistoryError::Unavailable("it began to answer and fell silent".into()))),
        }
    }

    /// Until everything came; fails if nothing comes, or if nobody takes it.
    async fn pass_on(
        &self,
        server: &dyn NetworkServer,
        mut raw: mpsc::Receiver<RawMessage>,
    ) -> Result<(), Option<Gone>> {
        while let Some(raw) = timeout(LONGEST_SILENCE, raw.recv()).await.map_err(|_| None)? {
            match server.parse(&raw) {
                Ok(message) => self.arrive(raw, message).await.map_err(Some)?,
                Err(error) => {
                    self.counters.count_for(server.name(), Count::Unreadable);
                    self.notices.tell(error.notice(server.name(), &raw));
                }
            }
        }
        Ok(())
    }

    /// What became of downlinks is looked up by those who wait for it.
    async fn arrive(&self, raw: RawMessage, message: NetworkMessage) -> Result<(), Gone> {
        let content = match message {
            NetworkMessage::Uplink(uplink) => Content::Uplink(uplink),
            NetworkMessage::Join(join) => Content::Join(join),
            NetworkMessage::Location(location) => Content::Location(Box::new(location)),
            NetworkMessage::Service(data) => Content::Service(Box::new(data)),
            NetworkMessage::Downlink(_) | NetworkMessage::Ignored(_) => return Ok(()),
        };
        self.arrivals.send(Arrival::Message(raw, content)).await.map_err(|_| Gone)
    }

    /// Missing frames under the names their devices have at home.
    fn named(&self, missing: &[MissingFrames]) -> LostFrames {
        let (directory, mut lost) = (Directory::lock(&self.directory), LostFrames::default());
        for MissingFrames { key, first, last, .. } in missing {
            let name = directory.find(key).map_or(key.device.as_str(), |device| device.name.as_str());
            lost.add(name, &key.device, *first, *last);
        }
        lost
    }
}
