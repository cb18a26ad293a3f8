//! The connection to TTN's MQTT server, read without waiting for anything.
//!
//! That server is a QoS 0 fan-out: whatever is not read at once is gone, without a word. So this loop only stamps each
//! message and hands it on; if the bridge behind it is too far behind, the loop drops and counts, and says so, rather
//! than let the server drop in silence.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use crate::model::ApplicationName;
use crate::mqtt::{Backoff, ConnectError, Connection, Endpoint, Event, Inbound, Lost};
use crate::network::RawMessage;
use crate::telemetry::{Notice, Notices, with_causes};

/// Waits between connections: TTN limits how often an address may connect.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// While no server is reached at all there is none to protect, and every second costs uplinks.
const LONGEST_WAIT_UNREACHED: Duration = Duration::from_secs(15);
/// A connection that held this long was a good one: the next waits are short again.
const GOOD_CONNECTION: Duration = Duration::from_secs(60);
/// How long the server may take to answer the subscription.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(20);

/// Reads one application's messages for as long as the bridge runs.
pub struct Stream {
    pub application: ApplicationName,
    pub endpoint: Endpoint,
    pub filters: Vec<String>,
    pub raw: mpsc::Sender<RawMessage>,
    pub health: Arc<Health>,
    pub notices: Notices,
}

impl Stream {
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        while !stop.is_cancelled() {
            let started = tokio::time::Instant::now();
            let ended = tokio::select! {
                () = stop.cancelled() => break,
                ended = self.one_connection() => ended,
            };
            self.health.set_connected(false);
            if started.elapsed() >= GOOD_CONNECTION {
                backoff.reset();
            }
            self.tell_end(&ended);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(backoff.next_wait().min(ended.longest_wait)) => {}
            }
        }
        self.health.set_connected(false);
    }

    /// Connects, subscribes and reads until the connection ends; says why it ended.
    async fn one_connection(&self) -> Ended {
        let mut connection = match Connection::open(&self.endpoint).await {
            Ok(connection) => connection,
            Err(error) => return error.into(),
        };
        if let Err(lost) = connection.sender().subscribe(&self.filters) {
            return lost.into();
        }
        match tokio::time::timeout(SUBSCRIBE_LIMIT, self.read_until_subscribed(&mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::because("the subscription was not answered", ""),
        }
        self.health.set_connected(true);
        self.health.restore("mqtt");
        self.notices.tell(Notice::NetworkConnected { application: self.application.clone() });
        self.read(&mut connection).await
    }

    async fn read_until_subscribed(&self, connection: &mut Connection) -> Result<(), Ended> {
        loop {
            match connection.next().await.map_err(Ended::from)? {
                Event::Subscribed(granted) if granted.iter().all(|granted| *granted) => return Ok(()),
                Event::Subscribed(_) => {
                    return Err(Ended::because("the subscription was refused", WRONG_TENANT));
                }
                Event::Message(message) => self.hand_on(message, &mut 0),
                _ => {}
            }
        }
    }

    async fn read(&self, connection: &mut Connection) -> Ended {
        let mut dropped = 0;
        loop {
            match connection.next().await {
                Ok(Event::Message(message)) => self.hand_on(message, &mut dropped),
                Ok(_) => {}
                Err(lost) => {
                    self.tell_dropped(&mut dropped);
                    return lost.into();
                }
            }
        }
    }

    /// `dropped` counts since the queue last had room, so that a burst is told once, with its size.
    fn hand_on(&self, message: Inbound, dropped: &mut u64) {
        let at = Timestamp::now();
        self.health.heard(at);
        match self.raw.try_send(RawMessage { topic: message.topic, payload: message.payload, at, backfilled: false }) {
            Ok(()) => self.tell_dropped(dropped),
            Err(TrySendError::Full(_)) => {
                *dropped += 1;
                self.health.count_dropped();
            }
            // The flow behind is past its drain.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    fn tell_dropped(&self, dropped: &mut u64) {
        match std::mem::take(dropped) {
            0 => {}
            count => self.notices.tell(Notice::UplinksDropped { application: self.application.clone(), count }),
        }
    }

    fn tell_end(&self, ended: &Ended) {
        if self.health.degrade("mqtt", &ended.reason) {
            let application = self.application.clone();
            match ended.hint {
                "" => self.notices.tell(Notice::NetworkLost { application, reason: ended.reason.clone() }),
                hint => {
                    self.notices.tell(Notice::Degraded { application, what: ended.reason.clone(), hint: hint.into() })
                }
            }
        }
    }
}

const WRONG_TENANT: &str = "the server lets an application subscribe only to its own topics: check `id` and `tenant`";

/// Why a connection is over, and what to do about it if that is known.
struct Ended {
    reason: String,
    hint: &'static str,
    /// How long the next attempt may be put off.
    longest_wait: Duration,
}

impl Ended {
    fn because(reason: impl Into<String>, hint: &'static str) -> Self {
        Self { reason: reason.into(), hint, longest_wait: LONGEST_WAIT }
    }
}

impl From<Lost> for Ended {
    fn from(lost: Lost) -> Self {
        Self::because(lost.to_string(), "")
    }
}

impl From<ConnectError> for Ended {
    fn from(error: ConnectError) -> Self {
        let unreached = matches!(error, ConnectError::Unreachable { .. } | ConnectError::Silent { .. });
        let longest_wait = if unreached { LONGEST_WAIT_UNREACHED } else { LONGEST_WAIT };
        Self { longest_wait, ..Self::because(with_causes(&error), error.hint()) }
    }
}
