//! The Storage Integration: messages kept for later, read page by page.
//!
//! Its real counterpart is closed source. What is played here is documented: retention, a delay because writes are
//! batched, paging by a continuation token. Not documented, hence our choice: `after` and `before` exclude their own
//! instant, messages of the same instant come in the order of their arrival, the default order is `received_at`.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::super::config::{Batching, StorageConfig};
use super::message::{Kind, Message};

/// Whose messages are wanted, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub application: String,
    /// `None` for all of the application's devices.
    pub device: Option<String>,
    /// `None` for every kind.
    pub kind: Option<Kind>,
}

/// Which messages of a scope are wanted, in which order, how many at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// Messages received later than this.
    pub after: Option<Timestamp>,
    /// Messages received earlier than this.
    pub before: Option<Timestamp>,
    pub newest_first: bool,
    /// Messages on one page; the server's own maximum holds as well.
    pub limit: Option<usize>,
    /// The last message of the page before.
    pub behind: Option<Place>,
}

/// Where a message stands: by time, and by arrival within the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub received_at: Timestamp,
    pub number: u64,
}

/// Some messages, and how to ask for those that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub messages: Vec<Bytes>,
    /// `None` if nothing follows.
    pub next: Option<Query>,
}

/// Stored messages of every application.
#[derive(Debug)]
pub struct Storage {
    config: StorageConfig,
    messages: BTreeMap<Place, Stored>,
    /// In order of arrival, for the bound on their number.
    arrivals: VecDeque<Place>,
    next_number: u64,
    /// Messages with a smaller number were flushed and are visible.
    flushed: u64,
}

#[derive(Debug)]
struct Stored {
    message: Arc<Message>,
    at: Instant,
}

impl Storage {
    pub fn new(config: StorageConfig) -> Self {
        Self { config, messages: BTreeMap::new(), arrivals: VecDeque::new(), next_number: 0, flushed: 0 }
    }

    /// Keeps a message; the one stored longest goes if there are too many.
    pub fn store(&mut self, message: Arc<Message>) {
        let place = Place { received_at: message.received_at, number: self.next_number };
        self.next_number += 1;
        self.messages.insert(place, Stored { message, at: Instant::now() });
        self.arrivals.push_back(place);
        if self.arrivals.len() > self.config.capacity {
            self.arrivals.pop_front().map(|oldest| self.messages.remove(&oldest));
        }
    }

    /// Makes everything stored so far visible, whatever the batching.
    pub fn flush(&mut self) {
        self.flushed = self.next_number;
    }

    /// The page this query asks for.
    pub fn page(&self, scope: &Scope, query: &Query) -> Page {
        let size = query.limit.unwrap_or(usize::MAX).min(self.config.page).max(1);
        let mut found: Vec<(Place, Bytes)> = match query.newest_first {
            false => self.select(scope, query).take(size + 1).collect(),
            true => self.select(scope, query).rev().take(size + 1).collect(),
        };
        let more = found.len() > size;
        found.truncate(size);
        let behind = found.last().map(|(place, _)| *place).filter(|_| more);
        let next = behind.map(|place| Query { behind: Some(place), ..query.clone() });
        Page { messages: found.into_iter().map(|(_, body)| body).collect(), next }
    }

    /// The number of messages of each device.
    pub fn tally(&self, scope: &Scope, query: &Query) -> BTreeMap<String, usize> {
        let mut tally = BTreeMap::new();
        for (_, message) in self.visible(query).filter(|(_, message)| scope.covers(message)) {
            *tally.entry(message.device.clone()).or_default() += 1;
        }
        tally
    }

    fn select(&self, scope: &Scope, query: &Query) -> impl DoubleEndedIterator<Item = (Place, Bytes)> {
        let wanted = self.visible(query).filter(move |(_, message)| scope.covers(message));
        wanted.map(|(place, message)| (place, message.body.clone()))
    }

    /// What lies between the query's bounds, is not too old and was written already.
    fn visible(&self, query: &Query) -> impl DoubleEndedIterator<Item = (Place, &Message)> {
        let (now, flushed, batching) = (Instant::now(), self.flushed, self.config.batching);
        let written = move |place: &Place, stored: &Stored| {
            let waited = matches!(batching, Batching::Delay(delay) if now - stored.at >= delay);
            place.number < flushed || waited
        };
        let between = self.messages.range(self.bounds(query));
        between
            .filter(move |(place, stored)| written(place, stored))
            .map(|(place, stored)| (*place, stored.message.as_ref()))
    }

    fn bounds(&self, query: &Query) -> (Bound<Place>, Bound<Place>) {
        let retention = SignedDuration::try_from(self.config.retention).unwrap_or(SignedDuration::MAX);
        let oldest = Timestamp::now().checked_sub(retention).unwrap_or(Timestamp::MIN);
        let after = query.after.unwrap_or(Timestamp::MIN).max(oldest);
        let mut low = Place { received_at: after, number: u64::MAX };
        let mut high = Place { received_at: query.before.unwrap_or(Timestamp::MAX), number: 0 };
        match query.behind {
            Some(place) if query.newest_first => high = high.min(place),
            Some(place) => low = low.max(place),
            None => {}
        }
        // A range that ends before it begins would panic.
        let high = high.max(low);
        (Bound::Excluded(low), if high == low { Bound::Included(high) } else { Bound::Excluded(high) })
    }
}

impl Scope {
    fn covers(&self, message: &Message) -> bool {
        message.application == self.application
            && self.device.as_ref().is_none_or(|device| *device == message.device)
            && self.kind.is_none_or(|kind| kind == message.kind)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn storage(change: impl FnOnce(&mut StorageConfig)) -> Storage {
        let mut config = StorageConfig { page: 3, ..StorageConfig::default() };
        change(&mut config);
        Storage::new(config)
    }

    fn at(seconds_ago: i64) -> Timestamp {
        Timestamp::now() - SignedDuration::from_secs(seconds_ago)
    }

    /// A message whose body is its name.
    fn message(name: &str, received_at: Timestamp) -> Arc<Message> {
        let topic = "v3/app/devices/dev/up";
        let read = Message::read(topic, &Bytes::from(format!("{{\"received_at\":\"{received_at}\"}}"))).unwrap();
        Arc::new(Message { body: Bytes::from(name.to_owned()), ..read })
    }

    fn scope() -> Scope {
        Scope { application: "app".into(), device: None, kind: None }
    }

    fn all(storage: &Storage, mut query: Query) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            let page = storage.page(&scope(), &query);
            names.extend(page.messages.iter().map(|body| String::from_utf8(body.to_vec()).unwrap()));
            match page.next {
                Some(next) => query = next,
                None => return names,
            }
        }
    }

    #[test]
    fn pages_cover_everything_once_in_either_order_also_within_one_instant() {
        let mut storage = storage(|_| {});
        let instant = at(60);
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            storage.store(message(name, instant));
        }
        assert_eq!(all(&storage, Query::default()).concat(), "abcdefg");
        assert_eq!(all(&storage, Query { newest_first: true, ..Query::default() }).concat(), "gfedcba");
        assert_eq!(all(&storage, Query { limit: Some(1), ..Query::default() }).concat(), "abcdefg");
    }

    #[test]
    fn a_page_that_is_just_full_has_no_successor() {
        let mut storage = storage(|_| {});
        (0..3).for_each(|age| storage.store(message("x", at(age))));
        assert_eq!(storage.page(&scope(), &Query::default()).next, None);
    }

    #[test]
    fn bounds_are_exclusive_and_what_is_too_old_is_gone() {
        let mut storage = storage(|config| config.retention = Duration::from_secs(3600));
        let times = [at(4000), at(30), at(20), at(10)];
        for (name, time) in ["old", "a", "b", "c"].iter().zip(times) {
            storage.store(message(name, time));
        }
        assert_eq!(all(&storage, Query::default()).concat(), "abc");
        let between = Query { after: Some(times[1]), before: Some(times[3]), ..Query::default() };
        assert_eq!(all(&storage, between).concat(), "b");
        let backwards = Query { after: Some(times[3]), before: Some(times[1]), ..Query::default() };
        assert_eq!(all(&storage, backwards).concat(), "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_shows_after_the_batching_delay_or_a_flush() {
        let mut storage = storage(|config| config.batching = Batching::Delay(Duration::from_secs(5)));
        storage.store(message("a", at(1)));
        assert_eq!(all(&storage, Query::default()).concat(), "");
        tokio::time::advance(Duration::from_secs(5)).await;
        storage.store(message("b", at(0)));
        assert_eq!(all(&storage, Query::default()).concat(), "a");
        storage.flush();
        assert_eq!(all(&storage, Query::default()).concat(), "ab");
    }

    #[test]
    fn the_number_of_messages_is_bounded() {
        let mut storage = storage(|config| config.capacity = 2);
        ["a", "b", "c"].iter().for_each(|name| storage.store(message(name, at(1))));
        assert_eq!(all(&storage, Query::default()).len(), 2);
        assert_eq!(storage.tally(&scope(), &Query::default())["dev"], 2);
    }
}
