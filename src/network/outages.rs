//! The times in which messages may have gone by unheard. The read loop notes them and never waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::model::ApplicationName;

/// Outages kept until somebody takes them; beyond that the last one is stretched.
const MOST: usize = 256;

/// A time in which messages of one application may have gone by unheard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub application: ApplicationName,
    pub from: Timestamp,
    pub to: Timestamp,
    /// In a few words, for people.
    pub why: &'static str,
}

impl Outage {
    fn touches(&self, other: &Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// Outages noted and not yet taken. Cheap to clone; every clone is the same list.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    noted: Mutex<Vec<Outage>>,
    news: Notify,
}

impl Outages {
    /// Notes an outage, or stretches one of the same kind that it touches. Never waits.
    pub fn note(&self, outage: Outage) {
        let mut noted = self.lock();
        let full = noted.len() >= MOST;
        let joins = |other: &&mut Outage| {
            other.application == outage.application && (full || other.touches(&outage) && other.why == outage.why)
        };
        match noted.iter_mut().rev().find(joins) {
            Some(last) => (last.from, last.to) = (last.from.min(outage.from), last.to.max(outage.to)),
            None => noted.push(outage),
        }
        drop(noted);
        self.0.news.notify_one();
    }

    /// What was noted since the last call, as soon as there is anything. May be dropped at any time.
    pub async fn next(&self) -> Vec<Outage> {
        loop {
            let noted = std::mem::take(&mut *self.lock());
            if !noted.is_empty() {
                return noted;
            }
            self.0.news.notified().await;
        }
    }

    /// A list is whole after every statement, so one left by a panicking task is still good.
    fn lock(&self) -> MutexGuard<'_, Vec<Outage>> {
        self.0.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn outage(from: i64, to: i64) -> Outage {
        let at = |second| Timestamp::from_second(second).unwrap();
        let application = ApplicationName::parse("my-app").unwrap();
        Outage { application, from: at(from), to: at(to), why: "a test" }
    }

    #[test]
    fn what_touches_is_one_outage_and_what_does_not_stays_apart() {
        let outages = Outages::default();
        for (from, to) in [(10, 20), (15, 30), (40, 50)] {
            outages.note(outage(from, to));
        }
        outages.note(Outage { why: "something else", ..outage(45, 60) });
        let noted = outages.next().now_or_never().unwrap();
        assert_eq!(noted[..2], [outage(10, 30), outage(40, 50)]);
        assert_eq!(noted.len(), 3);
        assert_eq!(outages.next().now_or_never(), None, "they are taken once");
    }

    #[test]
    fn a_full_list_stretches_instead_of_forgetting() {
        let outages = Outages::default();
        for n in 0..300 {
            outages.note(outage(n * 10, n * 10 + 1));
        }
        let noted = outages.next().now_or_never().unwrap();
        assert_eq!((noted.len(), noted[MOST - 1].to), (MOST, outage(0, 2991).to));
    }
}
