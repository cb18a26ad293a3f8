//! The task that owns the connection to the home broker.
//!
//! Everything published goes through its outbox and counts only once the broker acknowledged it; while the broker is
//! away, messages wait there. Commands come back the other way.
//!
//! - [`inbound`]: what comes; [`answers`]: what the broker says to what was sent.
//! - [`refusals`] and [`echo`]: what the broker does not take, and what it drops in silence.

mod answers;
mod echo;
mod inbound;
mod refusals;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Discovery, HomeCommand, HomeRequest, LiveSettings};
use crate::model::DownlinkId;
use crate::mqtt::{Allowed, Backoff, Connection, Endpoint, Event, Limits, Lost, Message, Outbox, Qos, Sender, unfit};
use crate::telemetry::{Count, Counters, Notice, WeakNotices, with_causes};
use echo::Echoes;
use refusals::Refusals;

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
    /// What is subscribed to on this connection, and the questions the broker has not answered yet.
    subscribed: Vec<String>,
    asked: VecDeque<Asked>,
    echoes: Echoes,
    refusals: Refusals,
}

/// A subscription that was asked for.
enum Asked {
    /// All that the bridge listens to.
    Commands(Vec<String>),
    /// What came to it later.
    More(Vec<String>),
    /// What is published on this topic is to come back.
    Echo(String),
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
            subscribed: Vec::new(),
            asked: VecDeque::new(),
            echoes: Echoes::new(),
            refusals: Refusals::default(),
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
            self.endpoint.unreleased.extend(self.outbox.unreleased());
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
        let (sender, allowed) = (connection.sender(), connection.allowed());
        self.outbox.connected(allowed.window.into(), allowed.most_qos);
        self.greet(&sender)?;
        let (mut farewell, mut batch) = (false, Vec::with_capacity(BATCH));
        let mut silence = pin!(tokio::time::sleep(LONGEST_SILENCE));
        loop {
            let mut next = pin!(connection.next());
            let event = loop {
                self.hand_over(&sender, allowed)?;
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
                    () = self.settings.changed() => self.subscribe_anew(&sender)?,
                }
            };
            match event {
                Event::Disconnected => return Ok(()),
                event => self.handle(event, &sender, stop)?,
            }
        }
    }

    /// Subscribes; [`Self::welcome`] follows when the broker answers.
    fn greet(&mut self, sender: &Sender) -> Result<(), Lost> {
        let settings = self.settings.now();
        let assistant = &settings.home_assistant;
        let prefix = (assistant.discovery != Discovery::Off).then_some(assistant.prefix.as_str());
        self.echoes.begin(settings.topics.of_bridge("state"), prefix);
        self.endpoint.unreleased.clear();
        self.asked.clear();
        self.subscribed = inbound::filters(&settings);
        sender.subscribe(&self.subscribed, Qos::AtLeastOnce)?;
        self.asked.push_back(Asked::Commands(self.subscribed.clone()));
        tracing::info!(broker = %self.endpoint.address, mqtt = %self.endpoint.version, waiting = self.outbox.len(), "Home broker connected.");
        if self.dropped > 0 {
            self.wiring.notices.tell(Notice::HomeBacklogDropped { count: std::mem::take(&mut self.dropped) });
        }
        self.wiring.connected.send_replace(true);
        Ok(())
    }

    /// The settings were replaced, and with them the topics of commands.
    fn subscribe_anew(&mut self, sender: &Sender) -> Result<(), Lost> {
        let wanted = inbound::filters(&self.settings.now());
        let missing_in = |there: &[String], one: &&String| !there.contains(*one);
        let new: Vec<_> = wanted.iter().filter(|one| missing_in(&self.subscribed, one)).cloned().collect();
        let gone: Vec<_> = self.subscribed.iter().filter(|one| missing_in(&wanted, one)).cloned().collect();
        self.subscribed = wanted;
        if !gone.is_empty() {
            sender.unsubscribe(&gone)?;
        }
        if !new.is_empty() {
            sender.subscribe(&new, Qos::AtLeastOnce)?;
            self.asked.push_back(Asked::More(new));
        }
        Ok(())
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

    fn hand_over(&mut self, sender: &Sender, allowed: Allowed) -> Result<(), Lost> {
        while let Some(message) = self.outbox.take_next() {
            if !allowed.fits(&message) {
                self.outbox.withdraw();
                self.give_up(&message, "it is larger than the broker takes");
                continue;
            }
            if self.echoes.watch(&message.topic, &message.payload) {
                sender.subscribe(std::slice::from_ref(&message.topic), Qos::AtMostOnce)?;
                self.asked.push_back(Asked::Echo(message.topic.clone()));
            }
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

#[cfg(test)]
mod tests;
