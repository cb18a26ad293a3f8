//! Whether what is published comes back: the only way to find out that a broker drops it.
//!
//! MQTT 3.1.1 has no word for "you may not publish this": Mosquitto acknowledges such a message and forgets it, and with
//! MQTT 5 some brokers do so too. So for one topic below the base topic and one below the discovery prefix the task
//! subscribes for a moment to what it publishes there.
//!
//! The message may overtake the subscription; then it comes back as a retained one. So a retained message counts if it is
//! what was published: the broker has it, and nobody misses anything.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// How long a message may take to come back once the broker has acknowledged it.
const LIMIT: Duration = Duration::from_secs(10);

/// The topics of one connection that are watched.
#[derive(Debug)]
pub struct Echoes {
    places: [Place; 2],
}

/// A part of the topic tree, for which the first message published there stands.
#[derive(Debug)]
struct Place {
    scope: Scope,
    watched: Watched,
    /// The user was told. Outlives the connection.
    told: Option<String>,
}

#[derive(Debug)]
enum Scope {
    Topic(String),
    Below(String),
    Nothing,
}

#[derive(Debug)]
enum Watched {
    Nothing,
    Published(String, Bytes),
    Acknowledged(String, Bytes, Instant),
    Over,
}

/// What became of a watched topic.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It comes back; and did not before, if that was told.
    Heard { topic: String, again: bool },
    /// It was acknowledged, and does not come back. Not told yet.
    Dropped(String),
    /// The same as was told before.
    StillDropped(String),
}

impl Echoes {
    pub fn new() -> Self {
        let place = || Place { scope: Scope::Nothing, watched: Watched::Over, told: None };
        Self { places: [place(), place()] }
    }

    /// There is a new connection. `own`: the topic of the bridge's presence; `prefix`: what announcements begin with, if
    /// there are any.
    pub fn begin(&mut self, own: String, prefix: Option<&str>) {
        let below = prefix.map_or(Scope::Nothing, |prefix| Scope::Below(format!("{prefix}/")));
        for (place, scope) in self.places.iter_mut().zip([Scope::Topic(own), below]) {
            (place.scope, place.watched) = (scope, Watched::Nothing);
        }
    }

    /// Whether to subscribe to this topic, on which something is now published.
    pub fn watch(&mut self, topic: &str, payload: &Bytes) -> bool {
        let place = self.places.iter_mut().find(|place| place.waits_for(topic));
        place.map(|place| place.watched = Watched::Published(topic.to_owned(), payload.clone())).is_some()
    }

    /// It cannot be subscribed to: nothing will be known of it.
    pub fn unheard(&mut self, topic: &str) {
        let place = self.places.iter_mut().find(|place| place.watched.topic() == Some(topic));
        place.into_iter().for_each(|place| place.watched = Watched::Over);
    }

    /// The broker acknowledged a message on this topic. Judged only here: an acknowledgement that comes later shows that
    /// the connection carries.
    pub fn acked(&mut self, topic: &str, now: Instant) -> Option<Verdict> {
        self.places.iter_mut().find_map(|place| place.acked(topic, now))
    }

    /// A message came. A retained one that is another tells of the past only.
    pub fn heard(&mut self, topic: &str, payload: &Bytes, retain: bool) -> Option<Verdict> {
        let place = self.places.iter_mut().find(|place| place.watched.topic() == Some(topic))?;
        if retain && place.watched.payload() != Some(payload) {
            return None;
        }
        place.watched = Watched::Over;
        Some(Verdict::Heard { topic: topic.to_owned(), again: place.told.take().is_some() })
    }
}

impl Place {
    fn waits_for(&self, topic: &str) -> bool {
        let inside = match &self.scope {
            Scope::Topic(own) => own == topic,
            Scope::Below(prefix) => topic.starts_with(prefix.as_str()),
            Scope::Nothing => false,
        };
        inside && matches!(self.watched, Watched::Nothing)
    }

    fn acked(&mut self, topic: &str, now: Instant) -> Option<Verdict> {
        match &self.watched {
            Watched::Published(own, payload) if own == topic => {
                self.watched = Watched::Acknowledged(topic.to_owned(), payload.clone(), now);
            }
            Watched::Acknowledged(own, _, since) if own != topic && now - *since >= LIMIT => {
                let own = own.clone();
                self.watched = Watched::Over;
                let told = self.told.replace(own.clone()).is_some();
                return Some(if told { Verdict::StillDropped(own) } else { Verdict::Dropped(own) });
            }
            _ => {}
        }
        None
    }
}

impl Watched {
    fn topic(&self) -> Option<&str> {
        match self {
            Self::Published(topic, _) | Self::Acknowledged(topic, ..) => Some(topic),
            Self::Nothing | Self::Over => None,
        }
    }

    fn payload(&self) -> Option<&Bytes> {
        match self {
            Self::Published(_, payload) | Self::Acknowledged(_, payload, _) => Some(payload),
            Self::Nothing | Self::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONLINE: Bytes = Bytes::from_static(b"online");

    fn begun() -> Echoes {
        let mut echoes = Echoes::new();
        echoes.begin("ttn/bridge/state".into(), Some("homeassistant"));
        echoes
    }

    #[test]
    fn the_first_message_of_each_place_is_watched_until_it_comes_back() {
        let (mut echoes, now) = (begun(), Instant::now());
        assert!(
            !echoes.watch("ttn/lamp", &ONLINE)
                && echoes.watch("ttn/bridge/state", &ONLINE)
                && !echoes.watch("ttn/bridge/state", &ONLINE)
        );
        assert!(
            echoes.watch("homeassistant/device/a/config", &ONLINE)
                && !echoes.watch("homeassistant/device/b/config", &ONLINE)
        );
        assert_eq!(echoes.acked("ttn/bridge/state", now), None);
        assert_eq!(echoes.heard("ttn/bridge/state", &Bytes::from_static(b"offline"), true), None);
        let heard = Verdict::Heard { topic: "ttn/bridge/state".into(), again: false };
        assert_eq!(echoes.heard("ttn/bridge/state", &ONLINE, false), Some(heard));
        assert_eq!(echoes.acked("ttn/lamp", now + LIMIT), None);
    }

    #[test]
    fn what_is_acknowledged_and_never_comes_back_is_told_once() {
        let (mut echoes, now) = (begun(), Instant::now());
        for (verdict, later) in [
            (Verdict::Dropped("ttn/bridge/state".into()), now),
            (Verdict::StillDropped("ttn/bridge/state".into()), now + LIMIT * 5),
        ] {
            echoes.watch("ttn/bridge/state", &ONLINE);
            assert_eq!(echoes.acked("ttn/bridge/state", later), None);
            assert_eq!(echoes.acked("ttn/lamp", later + LIMIT / 2), None);
            assert_eq!(echoes.acked("ttn/lamp", later + LIMIT), Some(verdict));
            assert_eq!(echoes.acked("ttn/lamp", later + LIMIT * 2), None);
            echoes.begin("ttn/bridge/state".into(), None);
        }
        echoes.watch("ttn/bridge/state", &ONLINE);
        let heard = Verdict::Heard { topic: "ttn/bridge/state".into(), again: true };
        assert_eq!(echoes.heard("ttn/bridge/state", &ONLINE, false), Some(heard));
    }

    #[test]
    fn a_message_that_overtook_its_subscription_comes_back_as_a_retained_one() {
        let mut echoes = begun();
        echoes.watch("ttn/bridge/state", &ONLINE);
        let heard = Verdict::Heard { topic: "ttn/bridge/state".into(), again: false };
        assert_eq!(echoes.heard("ttn/bridge/state", &ONLINE, true), Some(heard));
    }

    #[test]
    fn a_slow_connection_is_no_refusal() {
        let (mut echoes, now) = (begun(), Instant::now());
        echoes.watch("ttn/bridge/state", &ONLINE);
        assert_eq!(echoes.acked("ttn/lamp", now + LIMIT * 100), None);
        assert_eq!(echoes.acked("ttn/bridge/state", now + LIMIT * 101), None);
        assert_eq!(echoes.acked("ttn/lamp", now + LIMIT * 101), None);
    }
}
