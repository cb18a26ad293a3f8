//! The task that owns the connection to the home broker.
//!
//! Everything published goes through its outbox and counts only once the broker acknowledged it; while the broker is
//! away, messages wait there. Commands come back the other way.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{HomeCommand, HomeRequest, LiveSettings, Route};
use crate::model::{DownlinkId, Receipt};
use crate::mqtt::{Backoff, Connection, Endpoint, Event, Inbound, Limits, Lost, Message, Outbox, Qos, Sender, unfit};
use crate::telemetry::{Count, Counters, Notice, WeakNotices, with_causes};

const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Short: the broker is the home's own, and each second of it back is a second of readings late.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const GOOD_CONNECTION: Duration = Duration::from_secs(30);

/// Messages taken from the flows at once, so that they leave together.
const BATCH: usize = 64;
/// Messages that wait in memory while the broker is away, and bytes of their payloads, beside those that are on disk:
/// events, answers, steps of downlinks.
const MOST_WAITING: usize = 5_000;
const MOST_WAITING_BYTES: usize = 8 << 20;
/// How long a broker that is away is waited for once nobody publishes any more: what matters is on disk.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// How long a broker may leave everything unacknowledged before the connection is taken for dead. The library's own
/// sign of life is put off by each message sent, so it does not notice.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

/// What the last will says, and what is published before a wanted end.
pub const OFFLINE: &str = r#"{"state":"offline"}"#;
const ONLINE: &str = r#"{"state":"online"}"#;

/// Owns the home broker's connection for as long as the bridge runs.
pub struct Broker {
    endpoint: Endpoint,
    settings: LiveSettings,
    outbox: Outbox,
    wiring: Wiring,
    /// Whether anybody may still publish.
    open: bool,
    /// Once nobody does: until when a broker that is away is waited for.
    last_try: Option<Instant>,
    /// Messages given up since they were last told of.
    dropped: u64,
    /// When the broker last acknowledged something, or was last asked to after it had acknowledged everything.
    progress: Instant,
    /// The broker acknowledged something on this connection.
    took_something: bool,
}

/// What the broker's task is connected to inside the bridge.
pub struct Wiring {
    /// What the flows publish. Closed once everyone who may publish has stopped: then the last messages leave.
    pub messages: mpsc::Receiver<Message>,
    pub commands: mpsc::Sender<HomeCommand>,
    pub requests: mpsc::Sender<HomeRequest>,
    pub counters: Counters,
    /// Weak: the listener ends before this task, and only when nobody else has anything to tell.
    pub notices: WeakNotices,
    /// Tells whether the broker is connected.
    pub connected: watch::Sender<bool>,
    /// Tells each time Home Assistant has started.
    pub assistant_started: watch::Sender<()>,
    /// Where the numbers of uplinks go that are settled. Has room for as many as the uplink flow has under way: there is
    /// one receipt for each, so it is never full.
    pub uplink_receipts: mpsc::Sender<u64>,
    /// Where the steps of downlinks go that the home has.
    pub step_receipts: mpsc::Sender<(DownlinkId, u32)>,
}

impl Broker {
    pub fn new(endpoint: Endpoint, settings: LiveSettings, wiring: Wiring) -> Self {
        let window = usize::from(endpoint.window);
        let outbox = Outbox::new(Limits { messages: MOST_WAITING, bytes: MOST_WAITING_BYTES, window });
        Self {
            endpoint,
            settings,
            outbox,
            wiring,
            open: true,
            last_try: None,
            dropped: 0,
            progress: Instant::now(),
            took_something: false,
        }
    }

    /// Runs until everything published is delivered after the last publisher is gone; then says `offline` and
    /// disconnects. A broker that is away by then is waited for only shortly. After `stop` no command is taken in any
    /// more.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut last_reason = String::new();
        loop {
            let started = Instant::now();
            let endpoint = self.endpoint.clone();
            let reason = match self.absorb_while(async move { Connection::open(&endpoint).await }).await {
                Some(Ok(connection)) => match self.serve(connection, &stop).await {
                    Ok(()) => return,
                    Err(lost) => lost.to_string(),
                },
                Some(Err(error)) => format!("{} (hint: {})", with_causes(&error), error.hint()),
                None => return self.leave(),
            };
            self.wiring.connected.send_replace(false);
            self.outbox.lost();
            self.give_up_if_found();
            let was_good = started.elapsed() >= GOOD_CONNECTION;
            if was_good {
                last_reason.clear();
            }
            if std::mem::take(&mut self.took_something) || was_good {
                backoff.reset();
            }
            if reason != last_reason {
                tracing::warn!(broker = %self.endpoint.address, reason, waiting = self.outbox.len(), "Home broker is away.");
                last_reason = reason;
            }
            let wait = tokio::time::sleep(backoff.next_wait().min(self.longest_pause()));
            if self.absorb_while(wait).await.is_none() {
                return self.leave();
            }
        }
    }

    /// Once everybody else has stopped, each moment counts.
    fn longest_pause(&self) -> Duration {
        if self.open { LONGEST_WAIT } else { FIRST_WAIT }
    }

    /// Leaves a broker that does not come. What has a receipt is sent after the next start, and states are made anew.
    fn leave(&self) {
        let (safe, lost) = self.outbox.waiting_each();
        if safe > 0 {
            tracing::info!(messages = safe, "The home broker is away: these messages go after the next start.");
        }
        self.wiring.counters.set_waiting_at_home(lost);
    }

    /// Takes messages in while something else goes on, so that nobody waits for the broker. Nothing: nobody publishes
    /// any more, and it takes too long.
    async fn absorb_while<T>(&mut self, other: impl Future<Output = T>) -> Option<T> {
        let (mut other, mut batch) = (pin!(other), Vec::new());
        loop {
            let until = self.last_try.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                output = &mut other => return Some(output),
                taken = self.wiring.messages.recv_many(&mut batch, BATCH), if self.open => self.take(taken, &mut batch),
                () = tokio::time::sleep_until(until), if !self.open => return None,
            }
        }
    }

    /// Serves one connection; well ended only after the farewell.
    async fn serve(&mut self, mut connection: Connection, stop: &CancellationToken) -> Result<(), Lost> {
        let sender = connection.sender();
        self.greet(&sender)?;
        let (mut farewell, mut batch) = (false, Vec::with_capacity(BATCH));
        let mut silence = pin!(tokio::time::sleep(LONGEST_SILENCE));
        loop {
            let mut next = pin!(connection.next());
            let event = loop {
                self.hand_over(&sender)?;
                if !farewell && self.is_finished() {
                    farewell = true;
                    self.say_goodbye(&sender)?;
                }
                tokio::select! {
                    biased;
                    event = &mut next => break event?,
                    () = &mut silence => {
                        let quiet_until = self.progress + LONGEST_SILENCE;
                        if self.outbox.under_way() > 0 && quiet_until <= Instant::now() {
                            return Err(Lost::silent());
                        }
                        silence.as_mut().reset(quiet_until.max(Instant::now() + LONGEST_SILENCE / 2));
                    }
                    taken = self.wiring.messages.recv_many(&mut batch, BATCH), if self.open => self.take(taken, &mut batch),
                }
            };
            match event {
                Event::Disconnected => return Ok(()),
                event => self.handle(event, stop),
            }
        }
    }

    /// Subscribes; [`Self::welcome`] follows when the broker answers.
    fn greet(&mut self, sender: &Sender) -> Result<(), Lost> {
        sender.subscribe(&self.settings.now().topics.filters(), Qos::AtLeastOnce)?;
        tracing::info!(broker = %self.endpoint.address, waiting = self.outbox.len(), "Home broker connected.");
        if self.dropped > 0 {
            self.wiring.notices.tell(Notice::HomeBacklogDropped { count: std::mem::take(&mut self.dropped) });
        }
        self.wiring.connected.send_replace(true);
        Ok(())
    }

    /// Says `online` once subscribed, for whoever sees `online` may send commands. The library sends what is published
    /// before a SUBSCRIBE that was asked for earlier.
    fn welcome(&mut self, granted: &[bool]) {
        if !granted.iter().all(|granted| *granted) {
            tracing::error!(broker = %self.endpoint.address, "Home broker refused a subscription: commands will not arrive.");
        }
        if self.open {
            self.keep(self.presence(ONLINE));
        }
    }

    /// The library sends DISCONNECT once `offline` is acknowledged.
    fn say_goodbye(&self, sender: &Sender) -> Result<(), Lost> {
        sender.publish(self.presence(OFFLINE))?;
        sender.disconnect()
    }

    fn presence(&self, state: &'static str) -> Message {
        Message::new(self.settings.now().topics.of_bridge("state"), state).retained().latest()
    }

    fn is_finished(&self) -> bool {
        !self.open && self.outbox.is_empty()
    }

    /// No messages at all means that the last publisher is gone.
    fn take(&mut self, taken: usize, batch: &mut Vec<Message>) {
        if taken == 0 {
            (self.open, self.last_try) = (false, Some(Instant::now() + LAST_WAIT));
        }
        batch.drain(..).for_each(|message| self.keep(message));
    }

    fn handle(&mut self, event: Event, stop: &CancellationToken) {
        match event {
            Event::Written(packet) => drop(self.outbox.written(packet)),
            Event::Acked(packet) => {
                if let Some(message) = self.outbox.acked(packet) {
                    (self.progress, self.took_something) = (Instant::now(), true);
                    self.wiring.counters.count(Count::Delivered);
                    self.settle(message.receipt);
                    self.give_up_if_found();
                }
            }
            Event::Message(message) => self.take_command(message, stop.is_cancelled()),
            Event::Subscribed(granted) => self.welcome(&granted),
            _ => {}
        }
    }

    /// Retained commands are ignored: a broker must not be able to replay a command at every start. A command that is
    /// not acknowledged the broker sends again with the next connection.
    fn take_command(&self, message: Inbound, stopping: bool) {
        let Inbound { topic, payload, retain, ack, answering } = message;
        let topics = &self.settings.now().topics;
        let route = std::str::from_utf8(&topic).ok().and_then(|topic| topics.route(topic));
        let topic = String::from_utf8_lossy(&topic);
        match route {
            Some(Route::Command(_)) if retain => {
                tracing::warn!(%topic, "Retained command ignored: publish commands without the retain flag.");
            }
            Some(Route::Command(_)) if stopping && ack.is_awaited() => return,
            Some(Route::Command(_)) if stopping => self.drop_command(&topic, "the bridge is stopping"),
            Some(Route::Command(candidates)) => {
                self.wiring.counters.count(Count::Command);
                let command = HomeCommand { candidates, payload, ack };
                if let Err(TrySendError::Full(command)) = self.wiring.commands.try_send(command) {
                    self.drop_command(&topic, "too many commands at once");
                    command.ack.done();
                }
                return;
            }
            Some(Route::Request(command)) if !retain && !stopping => {
                let request = HomeRequest { command, payload, answering };
                if let Err(TrySendError::Full(_)) = self.wiring.requests.try_send(request) {
                    self.drop_command(&topic, "too many requests at once");
                }
            }
            Some(Route::Request(_)) | None => {}
        }
        ack.done();
    }

    fn drop_command(&self, topic: &str, reason: &'static str) {
        self.wiring.notices.tell(Notice::CommandDropped { topic: clip(topic), reason });
    }

    /// What is given up for want of room is told once, with its number, when the broker is back.
    fn keep(&mut self, message: Message) {
        if let Some(reason) = unfit(&message) {
            return self.give_up(&message, reason);
        }
        if self.outbox.is_empty() {
            self.progress = Instant::now();
        }
        let gone = self.outbox.push(message) as u64;
        if gone > 0 && self.dropped == 0 {
            tracing::error!("Too much waits for the home broker: the oldest events are given up until it is back.");
        }
        (0..gone).for_each(|_| self.wiring.counters.count(Count::Dropped));
        self.dropped += gone;
        self.wiring.counters.set_waiting_at_home(self.outbox.len());
    }

    /// Tells whoever waits for a message that nobody need keep it any more. It may have gone: then it learns of it after
    /// its next start, when the message goes once more.
    fn settle(&self, receipt: Option<Receipt>) {
        match receipt {
            Some(Receipt::Uplink(seq)) => drop(self.wiring.uplink_receipts.try_send(seq)),
            Some(Receipt::Step(id, step)) => drop(self.wiring.step_receipts.try_send((id, step))),
            None => {}
        }
    }

    /// A message may be why connections end.
    fn give_up_if_found(&mut self) {
        if let Some(message) = self.outbox.take_given_up() {
            self.give_up(&message, "the connection ended each time it was sent");
        }
    }

    fn give_up(&self, message: &Message, reason: &'static str) {
        self.settle(message.receipt.clone());
        self.wiring.counters.count(Count::Dropped);
        let (topic, bytes) = (clip(&message.topic), message.payload.len());
        self.wiring.notices.tell(Notice::Undeliverable { topic, bytes, reason });
    }

    fn hand_over(&mut self, sender: &Sender) -> Result<(), Lost> {
        while let Some(message) = self.outbox.take_next() {
            sender.publish(message)?;
        }
        self.wiring.counters.set_waiting_at_home(self.outbox.len());
        Ok(())
    }
}

/// What a notice repeats of a topic.
fn clip(topic: &str) -> String {
    topic.chars().take(200).collect()
}
