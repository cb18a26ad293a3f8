//! A look at everything again: what changed on the disk, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Chosen, Finder, Found, Refused};
use crate::codecs::Codec;
use crate::codecs::library::{Draft, FindError, Library, Lookup, Place};
use crate::model::DeviceKey;
use crate::telemetry::with_causes;

/// An answer that differs from the one before.
#[derive(Debug)]
pub struct News {
    pub lookup: Lookup,
    /// What is there now; `None` if it is gone.
    pub draft: Result<Option<Draft>, FindError>,
}

impl Finder {
    /// What was asked so far, to be asked again without holding anybody up.
    pub fn questions(&self) -> (Library, Vec<Lookup>) {
        let mut asked: Vec<_> = self.found.keys().cloned().collect();
        asked.sort();
        (self.library.clone(), asked)
    }

    /// The places outside of this program.
    pub fn library(&self) -> Library {
        self.library.clone()
    }

    /// The codecs found or learned so far.
    pub fn in_use(&self) -> Vec<Arc<Codec>> {
        self.found.values().filter_map(|found| found.codec.clone()).chain(self.learned.values().cloned()).collect()
    }

    /// What is there and cannot be used, and why.
    pub fn refused(&self) -> BTreeMap<String, String> {
        let refused = |found: &Found| found.refused.as_ref().map(|refused| refused.error.clone());
        self.found.iter().filter_map(|(lookup, found)| Some((lookup.to_string(), refused(found)?))).collect()
    }

    /// Where the answers may change; the user's folder in any case.
    pub fn places(&self) -> BTreeSet<Place> {
        let folder = Lookup::Entry(String::new());
        self.found.keys().chain([&folder]).filter_map(|lookup| self.library.place_of(lookup)).collect()
    }

    /// Rung when there may be further questions and places.
    pub fn asked(&self) -> Arc<Notify> {
        self.asked.clone()
    }

    /// Whether an answer differs from what is in use, and from what was refused already.
    pub fn is_news(&self, lookup: &Lookup, answer: &Result<Option<Draft>, FindError>) -> bool {
        let Some(found) = self.found.get(lookup) else { return false };
        match answer {
            Ok(None) => found.codec.is_some() || found.refused.is_some(),
            Ok(Some(draft)) => match &found.refused {
                Some(refused) => refused.draft.as_ref() != Some(draft),
                None => found.codec.as_ref().is_none_or(|codec| !codec.is_made_of(draft)),
            },
            Err(error) => found.refused.as_ref().is_none_or(|refused| refused.error != with_causes(error)),
        }
    }

    /// What is there now is used from now on.
    pub fn accept(&mut self, lookup: Lookup, draft: Option<Draft>) {
        let codec = draft.map(|draft| self.intern(draft));
        self.found.insert(lookup, Found { codec, refused: None });
    }

    /// What is there now cannot be used: what was there before goes on. Returns whether it was not refused for the same
    /// reason before.
    pub fn refuse(&mut self, lookup: Lookup, draft: Option<Draft>, error: String) -> bool {
        let Found { codec, refused } = self.found.remove(&lookup).unwrap_or_default();
        let refused_now = Some(Refused { draft, error });
        let is_news = refused != refused_now;
        self.found.insert(lookup, Found { codec, refused: refused_now });
        is_news
    }

    /// Makes the search again for every device. Returns those whose codec, or the reason for it, is another one now.
    pub fn choose_again(&mut self) -> Vec<(DeviceKey, Option<Chosen>)> {
        let before: Vec<_> = self.devices.iter().map(|(key, known)| (key.clone(), known.chosen.clone())).collect();
        let after = before.into_iter().map(|(key, old)| (self.settle(&key), key, old));
        after.filter(|(new, _, old)| new != old).map(|(new, key, _)| (key, new)).collect()
    }
}
