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

/// Outages noted and not yet taken. Cheap to clone; every clone is the same list.
#[derive(Debug, Clone, Default)]
pub struct Outages(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    noted: Mutex<Vec<Outage>>,
    news: Notify,
}

impl Outages {
    /// Notes an outage. Never waits.
    pub fn note(&self, outage: Outage) {
        let mut noted = self.lock();
        let full = noted.len() >= MOST;
        match noted.iter_mut().rev().find(|other| full && other.application == outage.application) {
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
