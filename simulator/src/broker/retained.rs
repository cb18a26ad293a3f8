//! The last retained message of every topic (MQTT 3.1.1, 3.3.1.3).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{message::Message, topics};

/// One message a topic, in the order of the topics.
#[derive(Debug, Default)]
pub(super) struct RetainedStore {
    messages: BTreeMap<Arc<str>, Message>,
}

impl RetainedStore {
    /// Keeps a message that asks for it; an empty payload clears its topic instead.
    pub fn keep(&mut self, message: &Message) {
        if !message.retain {
            return;
        }
        if message.payload.is_empty() {
            self.messages.remove(&message.topic);
        } else {
            self.messages.insert(message.topic.clone(), message.clone());
        }
    }

    /// What a new subscription to this filter is sent first.
    pub fn matching<'a>(&'a self, filter: &'a str) -> impl Iterator<Item = &'a Message> {
        self.messages.values().filter(move |message| topics::matches(filter, &message.topic))
    }

    pub fn get(&self, topic: &str) -> Option<&Message> {
        self.messages.get(topic)
    }

    pub fn all(&self) -> impl Iterator<Item = &Message> {
        self.messages.values()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::QoS;

    fn message(topic: &str, payload: &'static str, retain: bool) -> Message {
        Message { topic: topic.into(), payload: Bytes::from(payload), qos: QoS::AtMostOnce, retain }
    }

    #[test]
    fn the_last_retained_message_of_a_topic_is_kept() {
        let mut store = RetainedStore::default();
        for (topic, payload, retain) in [("a/b", "1", true), ("a/b", "2", true), ("a/b", "3", false), ("c", "4", true)]
        {
            store.keep(&message(topic, payload, retain));
        }
        assert_eq!(store.get("a/b").unwrap().payload, "2");
        assert_eq!(store.matching("a/#").count(), 1);
        assert_eq!(store.all().count(), 2);
    }

    #[test]
    fn an_empty_retained_message_clears_its_topic() {
        let mut store = RetainedStore::default();
        store.keep(&message("a", "1", true));
        store.keep(&message("a", "", false));
        assert!(store.get("a").is_some(), "only a retained one clears");
        store.keep(&message("a", "", true));
        assert!(store.get("a").is_none());
    }
}
