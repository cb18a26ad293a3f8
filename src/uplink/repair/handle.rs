//! What others may ask of the repair.

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot, watch};

use crate::model::ApplicationName;
use crate::network::{HistoryError, Source};
use crate::telemetry::LostFrames;

/// A handle on the repair. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RepairHandle {
    requests: mpsc::Sender<Request>,
    open: watch::Receiver<Vec<OpenGap>>,
}

/// A span in which messages may have gone by unheard, and that is being repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenGap {
    pub id: u64,
    pub application: ApplicationName,
    pub from: Timestamp,
    /// Nothing: it lasts until the network is heard.
    pub to: Option<Timestamp>,
    /// In a few words, for people.
    pub why: String,
    /// Uplinks fetched so far.
    pub repaired: u64,
}

/// What fetching by hand brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct BackfillOutcome {
    /// Uplinks that had not been received before.
    pub repaired: u64,
    /// Frames that counters still miss in the span.
    pub missing: LostFrames,
    pub source: Source,
}

/// Why nothing could be fetched by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackfillError {
    #[error("there is no application `{0}`")]
    UnknownApplication(ApplicationName),
    #[error("the span is empty: it must begin before it ends")]
    EmptySpan,
    #[error("too many spans are being fetched; try again in a few minutes")]
    Busy,
    /// If the network gave no answer, it is asked again without further orders.
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("the bridge is stopping")]
    Stopped,
}

#[derive(Debug)]
pub(super) enum Request {
    FrameGap { application: ApplicationName, after: Timestamp },
    Backfill { application: ApplicationName, since: Timestamp, until: Option<Timestamp>, reply: Reply },
}

pub(super) type Reply = oneshot::Sender<Result<BackfillOutcome, BackfillError>>;

impl RepairHandle {
    pub(super) fn new(requests: mpsc::Sender<Request>, open: watch::Receiver<Vec<OpenGap>>) -> Self {
        Self { requests, open }
    }

    /// The gaps that are being repaired. Jumps of counters are none: mostly nobody could have heard those frames.
    pub fn open_gaps(&self) -> Vec<OpenGap> {
        self.open.borrow().clone()
    }

    /// Notes that an uplink's counter tells of missing frames; the one before them was received at `after`, by the
    /// network's clock. Never waits: many at once mean one fetch, so that one which finds no room is no loss.
    pub fn frame_gap(&self, application: ApplicationName, after: Timestamp) {
        self.requests.try_send(Request::FrameGap { application, after }).ok();
    }

    /// Fetches what the network still has of this span, until now if no end is given. Returns after the first fetch,
    /// which may take long if there is much; a second one for late batches follows by itself.
    ///
    /// # Errors
    /// The application is unknown, the span empty, or the network cannot be asked.
    pub async fn backfill(
        &self,
        application: ApplicationName,
        since: Timestamp,
        until: Option<Timestamp>,
    ) -> Result<BackfillOutcome, BackfillError> {
        let (reply, outcome) = oneshot::channel();
        let request = Request::Backfill { application, since, until, reply };
        self.requests.send(request).await.map_err(|_| BackfillError::Stopped)?;
        outcome.await.unwrap_or(Err(BackfillError::Stopped))
    }
}

#[cfg(test)]
pub struct Overheard(mpsc::Receiver<Request>);

#[cfg(test)]
impl Overheard {
    pub fn next(&mut self) -> Option<Timestamp> {
        match self.0.try_recv().ok()? {
            Request::FrameGap { after, .. } => Some(after),
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(test)]
impl RepairHandle {
    /// One that nobody listens to.
    pub fn deaf() -> Self {
        Self::new(mpsc::channel(1).0, watch::channel(Vec::new()).1)
    }

    /// One whose listener gets only the jumps of counters.
    pub fn overheard() -> (Self, Overheard) {
        let (handle, requests) = mpsc::channel(8);
        (Self::new(handle, watch::channel(Vec::new()).1), Overheard(requests))
    }
}
