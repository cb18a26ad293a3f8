//! What the broker refuses, told once each until it works again.

use std::collections::BTreeSet;

/// Topics remembered. More are refused only by a broker that refuses everything, which the first of them tell.
const MOST: usize = 100;

/// Topics on which the broker takes nothing, and filters that it does not grant.
#[derive(Debug, Default)]
pub struct Refusals {
    topics: BTreeSet<String>,
    filters: Vec<String>,
}

impl Refusals {
    /// Whether this refusal is news.
    pub fn refused(&mut self, topic: &str) -> bool {
        self.topics.len() < MOST && self.topics.insert(topic.to_owned())
    }

    /// The broker took something on this topic.
    pub fn works(&mut self, topic: &str) {
        if !self.topics.is_empty() {
            self.topics.remove(topic);
        }
    }

    /// Of these filters the broker granted some. Returns those it did not, if they are others than the last time.
    pub fn granted<'a>(&mut self, filters: &'a [String], granted: &[bool]) -> Option<&[String]> {
        let refused = |at: usize| granted.get(at) != Some(&true);
        let now: Vec<&'a String> = (0..filters.len()).filter(|at| refused(*at)).map(|at| &filters[at]).collect();
        if now.iter().copied().eq(self.filters.iter()) {
            return None;
        }
        self.filters = now.into_iter().cloned().collect();
        Some(&self.filters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_told_once_until_it_works_again() {
        let mut refusals = Refusals::default();
        assert!(refusals.refused("a") && !refusals.refused("a"));
        refusals.works("a");
        assert!(refusals.refused("a"));
        let told = (0..10_000).filter(|number| refusals.refused(&number.to_string())).count();
        assert_eq!(told, MOST - 1);
    }

    #[test]
    fn filters_are_told_when_they_change() {
        let (mut refusals, filters) = (Refusals::default(), ["a".to_owned(), "b".to_owned()]);
        assert_eq!(refusals.granted(&filters, &[true, true]), None);
        assert_eq!(refusals.granted(&filters, &[true, false]), Some(&["b".to_owned()][..]));
        assert_eq!(refusals.granted(&filters, &[true, false]), None);
        assert_eq!(refusals.granted(&filters, &[true, true]), Some(&[][..]));
    }
}
