//! What both faces and the gateway side share, behind one cheap reference.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::config::{Rate, StackConfig};
use super::faults::{Fault, FaultBoard};
use super::messages::ApplicationUp;
use super::mqtt::Fanout;
use super::rate::{RateLimiter, Verdict};
use super::world::World;
use super::{HttpRequest, StackEvent};

/// Requests kept for `http_requests`; older ones are forgotten.
const LOGGED_REQUESTS: usize = 1_000;

/// Events a slow test may fall behind before it misses some.
const EVENT_BUFFER: usize = 4_096;

/// The look-alike's state.
#[derive(Debug)]
pub struct Shared {
    pub config: StackConfig,
    pub faults: FaultBoard,
    pub fanout: Fanout,
    pub archive: Archive,
    pub connections: watch::Sender<usize>,
    /// Cancelled to cut every MQTT connection; replaced by a fresh one for those to come.
    drop_connections: Mutex<CancellationToken>,
    pub stop: CancellationToken,
    world: Mutex<World>,
    limiter: Mutex<RateLimiter>,
    log: Mutex<VecDeque<HttpRequest>>,
    events: broadcast::Sender<StackEvent>,
    started: Instant,
}

impl Shared {
    pub fn new(config: StackConfig) -> Self {
        Self {
            world: Mutex::new(World::new(&config.applications, config.queue_capacity)),
            archive: Archive::new(&config),
            config,
            faults: FaultBoard::default(),
            fanout: Fanout::default(),
            connections: watch::Sender::new(0),
            drop_connections: Mutex::new(CancellationToken::new()),
            stop: CancellationToken::new(),
            limiter: Mutex::new(RateLimiter::default()),
            log: Mutex::new(VecDeque::new()),
            events: broadcast::Sender::new(EVENT_BUFFER),
            started: Instant::now(),
        }
    }

    /// The applications and devices. Held for single steps only, never across an `await`.
    pub fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Publishes one message of `uid`'s device under its own topic.
    pub fn publish(&self, uid: &str, message: &ApplicationUp) {
        let device = &message.end_device_ids.device_id;
        let topic = format!("v3/{uid}/devices/{device}/{}", message.body.topic_suffix());
        let payload = serde_json::to_vec(message).expect("messages hold no map with keys that are not strings");
        self.publish_raw(&topic, payload.into());
    }

    /// Keeps these bytes and delivers them to every subscriber of `topic`, unless a fault loses them.
    pub fn publish_raw(&self, topic: &str, payload: Bytes) {
        self.archive.keep(topic, &payload);
        if self.faults.spend(|fault| matches!(fault, Fault::DropSilently { .. })).is_none() {
            self.fanout.deliver(topic, &payload);
        }
        self.tell(StackEvent::Published { topic: topic.to_owned(), payload });
    }

    /// Tells whoever watches; nobody has to.
    pub fn tell(&self, event: StackEvent) {
        drop(self.events.send(event));
    }

    pub fn events(&self) -> broadcast::Receiver<StackEvent> {
        self.events.subscribe()
    }

    /// Asks the rate limiter; `None` if there is no limit.
    pub fn ask_rate(&self, key: &str, rate: Option<Rate>) -> Option<Verdict> {
        rate.map(|rate| lock(&self.limiter).ask(key, rate, self.started.elapsed()))
    }

    /// Cancelled when the connections of this moment are to be cut.
    pub fn connection_token(&self) -> CancellationToken {
        lock(&self.drop_connections).clone()
    }

    /// Cuts every MQTT connection.
    pub fn drop_connections(&self) {
        std::mem::take(&mut *lock(&self.drop_connections)).cancel();
    }

    /// Remembers a request and tells whoever watches.
    pub fn log(&self, request: HttpRequest) {
        let mut log = lock(&self.log);
        if log.len() == LOGGED_REQUESTS {
            log.pop_front();
        }
        log.push_back(request.clone());
        drop(log);
        self.tell(StackEvent::Http(request));
    }

    pub fn logged(&self) -> Vec<HttpRequest> {
        lock(&self.log).iter().cloned().collect()
    }
}

/// Every holder leaves whole data behind, so a lock poisoned by a panicking test is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
