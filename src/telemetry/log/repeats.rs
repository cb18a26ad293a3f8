//! The same line again and again is written a few times, then counted, and the count is told.
//!
//! Lines are the same if they come from the same place in the code and say the same of the same things: only numbers may
//! differ. So what is said of one device never hides what is said of another, nor one error another. Of each line
//! [`SHOWN`] are written within [`SPAN`]; how many more there were is told when that time is over. What is logged below
//! `info` is written as it is: whoever asks for it wants to see it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that are the same and yet written, within a span.
const SHOWN: u64 = 10;
const SPAN: Duration = Duration::from_secs(60);
/// Lines told apart at once. What is beyond is written: so many different ones are no repetition.
const MOST: usize = 1024;
/// Characters of a line that its count repeats.
const LONGEST: usize = 300;
/// Where lines about lines come from.
pub const OWN_TARGET: &str = "ttn_ferry::telemetry::log::repeats";

/// Keeps repeated lines out of the log. To be put over what writes them.
#[derive(Debug, Clone, Default)]
pub struct Limit(SharedRepeats);

/// Lines that were seen, and the word that some were not written.
#[derive(Debug, Clone, Default)]
pub struct SharedRepeats(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    repeats: Mutex<Repeats>,
    withheld: Notify,
}

/// Which lines were seen when. Time is an argument.
#[derive(Debug, Default)]
struct Repeats {
    seen: HashMap<u64, Seen>,
    /// Counts of spans that are over.
    over: Vec<Repeated>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    times: u64,
    level: Level,
    line: String,
}

/// A line, and how many more there were.
#[derive(Debug, PartialEq, Eq)]
struct Repeated {
    level: Level,
    line: String,
    more: u64,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Written,
    Withheld,
}

impl Limit {
    pub fn repeats(&self) -> SharedRepeats {
        self.0.clone()
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        // Levels are ordered by how much they say.
        if *metadata.level() > Level::INFO || metadata.target() == OWN_TARGET {
            return true;
        }
        let mut words = Words::of(metadata.callsite());
        event.record(&mut words);
        let verdict = self.0.lock().see(words, *metadata.level(), Instant::now());
        if verdict == Verdict::Withheld {
            self.0.0.withheld.notify_one();
        }
        verdict == Verdict::Written
    }
}

impl SharedRepeats {
    /// Tells of what is withheld, each time a span after it began. Sleeps while nothing is.
    pub async fn tell(&self) {
        loop {
            self.0.withheld.notified().await;
            tokio::time::sleep(SPAN).await;
            let over = self.lock().take_over(Instant::now());
            over.iter().for_each(Repeated::tell);
        }
    }

    /// Tells of what is withheld, without waiting for the end of its span.
    pub fn tell_all(&self) {
        let over = self.lock().take_over(Instant::now() + SPAN);
        over.iter().for_each(Repeated::tell);
    }

    fn lock(&self) -> MutexGuard<'_, Repeats> {
        self.0.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Repeats {
    fn see(&mut self, words: Words, level: Level, now: Instant) -> Verdict {
        let key = words.hash.finish();
        match self.seen.get_mut(&key) {
            Some(seen) if now.duration_since(seen.since) < SPAN => {
                seen.times += 1;
                return if seen.times > SHOWN { Verdict::Withheld } else { Verdict::Written };
            }
            Some(seen) => {
                self.over.extend(seen.repeated());
                (seen.since, seen.times) = (now, 1);
            }
            None => {
                self.make_room(now);
                if self.seen.len() < MOST {
                    let line = words.line.chars().take(LONGEST).collect();
                    self.seen.insert(key, Seen { since: now, times: 1, level, line });
                }
            }
        }
        Verdict::Written
    }

    /// What was counted in the spans that are over.
    fn take_over(&mut self, now: Instant) -> Vec<Repeated> {
        let is_over = |seen: &Seen| now.duration_since(seen.since) >= SPAN;
        self.over.extend(self.seen.values().filter(|seen| is_over(seen)).filter_map(Seen::repeated));
        self.seen.retain(|_, seen| !is_over(seen));
        std::mem::take(&mut self.over)
    }

    fn make_room(&mut self, now: Instant) {
        if self.seen.len() >= MOST {
            let over = self.take_over(now);
            self.over = over;
        }
    }
}

impl Seen {
    fn repeated(&self) -> Option<Repeated> {
        let more = self.times.saturating_sub(SHOWN);
        (more > 0).then(|| Repeated { level: self.level, line: self.line.clone(), more })
    }
}

impl Repeated {
    fn tell(&self) {
        let Self { level, line, more } = self;
        match *level {
            Level::ERROR => tracing::error!(target: OWN_TARGET, more, line, "… {more} more like this."),
            Level::WARN => tracing::warn!(target: OWN_TARGET, more, line, "… {more} more like this."),
            _ => tracing::info!(target: OWN_TARGET, more, line, "… {more} more like this."),
        }
    }
}

/// What a line says, without its numbers.
struct Words {
    hash: DefaultHasher,
    line: String,
}

impl Words {
    fn of(callsite: tracing::callsite::Identifier) -> Self {
        let mut hash = DefaultHasher::new();
        callsite.hash(&mut hash);
        Self { hash, line: String::new() }
    }

    fn add(&mut self, field: &Field, text: &str) {
        (field.name(), text).hash(&mut self.hash);
        let space = if self.line.is_empty() { "" } else { " " };
        match field.name() {
            "message" => self.line = format!("{text}{space}{}", self.line),
            name => self.line = format!("{}{space}{name}={text}", self.line),
        }
    }
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_f64(&mut self, _: &Field, _: f64) {}
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What comes through.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut words = Words::of(event.metadata().callsite());
            event.record(&mut words);
            self.0.lock().unwrap().push(words.line);
        }
    }

    impl Heard {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    fn log() -> (tracing::subscriber::DefaultGuard, SharedRepeats, Heard) {
        let (limit, heard) = (Limit::default(), Heard::default());
        let repeats = limit.repeats();
        let subscriber = tracing_subscriber::registry().with(limit).with(heard.clone());
        (tracing::subscriber::set_default(subscriber), repeats, heard)
    }

    fn fail(device: &str, attempt: u64) {
        tracing::error!(device, attempt, "Cannot be read.");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_repeated_is_counted_and_told_once() {
        let (_log, repeats, heard) = log();
        let telling = repeats.tell();
        tokio::pin!(telling);
        (0..67).for_each(|attempt| fail("soil", attempt));
        assert_eq!(heard.take(), vec!["Cannot be read. device=soil"; 10], "a number makes no other line");
        assert!(tokio::time::timeout(SPAN + Duration::from_secs(1), &mut telling).await.is_err());
        assert_eq!(heard.take(), ["… 57 more like this. line=Cannot be read. device=soil"]);
        fail("soil", 68);
        assert_eq!(heard.take().len(), 1, "a new span shows them again");
        assert!(tokio::time::timeout(3 * SPAN, &mut telling).await.is_err());
        assert_eq!(heard.take(), [""; 0], "nothing was withheld");
    }

    #[tokio::test(start_paused = true)]
    async fn one_device_does_not_hide_another_nor_one_error_another() {
        let (_log, _, heard) = log();
        for attempt in 0..20 {
            fail("soil", attempt);
            tracing::error!(device = "soil", "Cannot be written.");
        }
        heard.take();
        fail("barn", 1);
        tracing::error!(device = "soil", error = "no room", "Cannot be written.");
        assert_eq!(heard.take(), ["Cannot be read. device=barn", "Cannot be written. device=soil error=no room"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_in_detail_is_not_counted() {
        let (_log, _, heard) = log();
        (0..30).for_each(|_| tracing::debug!("Detail."));
        assert_eq!(heard.take().len(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_everything_is_told() {
        let (_log, repeats, heard) = log();
        (0..12).for_each(|attempt| fail("soil", attempt));
        heard.take();
        repeats.tell_all();
        assert_eq!(heard.take(), ["… 2 more like this. line=Cannot be read. device=soil"]);
        repeats.tell_all();
        assert_eq!(heard.take(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_different_lines_are_no_repetition_and_the_table_stays_small() {
        let (_log, repeats, heard) = log();
        for device in 0..MOST + 100 {
            (0..SHOWN + 2).for_each(|_| fail(&device.to_string(), 1));
        }
        assert_eq!(repeats.lock().seen.len(), MOST);
        assert_eq!(heard.take().len() as u64, SHOWN * MOST as u64 + 100 * (SHOWN + 2));
        tokio::time::advance(SPAN).await;
        fail("another", 1);
        let repeats = repeats.lock();
        assert_eq!((repeats.seen.len(), repeats.over.len()), (1, MOST));
    }
}
