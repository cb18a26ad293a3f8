//! The connection to TTN's MQTT server, read without waiting for anything.
//!
//! That server is a QoS 0 fan-out: whatever is not read at once is gone, without a word. So this loop only stamps each
//! message and hands it on; if the bridge behind it is too far behind, the loop drops and counts, and says so, rather
//! than let the server drop in silence. Every time in which it may have missed something it notes as an outage.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::pulse::{Moment, Pulse};
use crate::model::ApplicationName;
use crate::mqtt::{Backoff, ConnectError, Connection, Endpoint, Event, Inbound, Lost, Qos};
use crate::network::{Outage, Outages, RawMessage};
use crate::telemetry::{Notice, Notices, with_causes};

/// Waits between connections: TTN limits how often an address may connect.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// While no server is reached at all there is none to protect, and every second costs uplinks.
const LONGEST_WAIT_UNREACHED: Duration = Duration::from_secs(15);
/// After a connection that brought messages.
const LONGEST_WAIT_AFTER_MESSAGES: Duration = Duration::from_secs(2);
/// A connection that held this long was a good one: the next waits are short again.
const GOOD_CONNECTION: Duration = Duration::from_secs(60);
/// How long the server may take to answer the subscription.
const SUBSCRIBE_LIMIT: Duration = Duration::from_secs(20);
/// How long a server may say nothing at all. The client library ends such a connection after two keep-alives, unless it
/// is itself stuck in writing to it.
const SILENCE: Duration = Duration::from_secs(75);

/// Reads one application's messages for as long as the bridge runs.
pub struct Stream {
    pub application: ApplicationName,
    pub endpoint: Endpoint,
    pub filters: Vec<String>,
    pub raw: mpsc::Sender<RawMessage>,
    pub outages: Outages,
    pub health: Arc<Health>,
    pub notices: Notices,
}

impl Stream {
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        // Until when nothing was missed.
        let mut heard = Moment::now();
        while !stop.is_cancelled() {
            let started = Instant::now();
            let ended = tokio::select! {
                () = stop.cancelled() => break,
                ended = self.one_connection(&mut heard) => ended,
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
    async fn one_connection(&self, heard: &mut Moment) -> Ended {
        let mut connection = match Connection::open(&self.endpoint).await {
            Ok(connection) => connection,
            Err(error) => return error.into(),
        };
        if let Err(lost) = connection.sender().subscribe(&self.filters, Qos::AtLeastOnce) {
            return lost.into();
        }
        match tokio::time::timeout(SUBSCRIBE_LIMIT, self.read_until_subscribed(&mut connection)).await {
            Ok(Ok(())) => {}
            Ok(Err(ended)) => return ended,
            Err(_) => return Ended::because("the subscription was not answered", ""),
        }
        let last = std::mem::replace(heard, Moment::now());
        self.note(heard.at - last.until(*heard), heard.at, "not connected");
        self.health.set_connected(true);
        self.health.restore("mqtt");
        self.notices.tell(Notice::NetworkConnected { application: self.application.clone() });
        self.read(&mut connection, heard).await
    }

    async fn read_until_subscribed(&self, connection: &mut Connection) -> Result<(), Ended> {
        let mut dropped = None;
        let ended = loop {
            match connection.next().await {
                Ok(Event::Subscribed(granted)) if granted.iter().all(|granted| *granted) => break Ok(()),
                Ok(Event::Subscribed(_)) => {
                    break Err(Ended::because("the subscription was refused", WRONG_TENANT));
                }
                Ok(Event::Message(message)) => self.hand_on(message, &mut dropped),
                Ok(_) => {}
                Err(lost) => break Err(lost.into()),
            }
        };
        self.tell_dropped(&mut dropped);
        ended
    }

    async fn read(&self, connection: &mut Connection, heard: &mut Moment) -> Ended {
        let (mut dropped, mut pulse) = (None, Pulse::start());
        // The server is there and takes us: what cuts the connection does not call for long waits.
        let mut longest_wait = LONGEST_WAIT_UNREACHED;
        let ended = loop {
            match self.next(connection, &mut pulse, *heard, &mut dropped).await {
                Ok(event) => {
                    *heard = Moment::now();
                    if let Event::Message(message) = event {
                        longest_wait = LONGEST_WAIT_AFTER_MESSAGES;
                        self.hand_on(message, &mut dropped);
                    }
                }
                Err(ended) => break ended,
            }
        };
        self.tell_dropped(&mut dropped);
        Ended { longest_wait, ..ended }
    }

    /// Waits for what the connection brings, and looks at the pulse meanwhile.
    async fn next(
        &self,
        connection: &mut Connection,
        pulse: &mut Pulse,
        heard: Moment,
        dropped: &mut Option<Dropped>,
    ) -> Result<Event, Ended> {
        let mut next = pin!(connection.next());
        loop {
            tokio::select! {
                event = &mut next => return event.map_err(Ended::from),
                beat = pulse.next() => {
                    if let Some(since) = pulse.stalled_since(beat) {
                        self.note(since, beat.at, "the bridge stood still");
                    }
                    if self.raw.capacity() > 0 {
                        self.tell_dropped(dropped);
                    }
                    if heard.instant.elapsed() >= SILENCE {
                        return Err(Ended::because("the server has gone silent", ""));
                    }
                }
            }
        }
    }

    /// `dropped` counts since the queue last had room, so that a burst is told once, with its size.
    fn hand_on(&self, message: Inbound, dropped: &mut Option<Dropped>) {
        let at = Timestamp::now();
        self.health.heard(at);
        match self.raw.try_send(RawMessage { topic: message.topic, payload: message.payload, at, backfilled: false }) {
            Ok(()) => self.tell_dropped(dropped),
            Err(TrySendError::Full(_)) => {
                let burst = dropped.get_or_insert(Dropped { count: 0, from: at, to: at });
                (burst.count, burst.to) = (burst.count + 1, at);
                self.health.count_dropped();
            }
            // The flow behind is past its drain.
            Err(TrySendError::Closed(_)) => {}
        }
    }

    fn tell_dropped(&self, dropped: &mut Option<Dropped>) {
        if let Some(Dropped { count, from, to }) = dropped.take() {
            self.notices.tell(Notice::UplinksDropped { application: self.application.clone(), count });
            self.note(from, to, "the bridge was too far behind");
        }
    }

    fn note(&self, from: Timestamp, to: Timestamp, why: &'static str) {
        // A burst during which the clock was set back still ends after it began.
        self.outages.note(Outage { application: self.application.clone(), from: from.min(to), to, why });
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

/// Messages dropped in one go.
struct Dropped {
    count: u64,
    from: Timestamp,
    to: Timestamp,
}

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
