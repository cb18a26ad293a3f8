//! What tests and the demo can do to a running broker from outside.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{message::Message, router::Command, topics};
use crate::wire::QoS;

/// Why the broker did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Empty, too long, or with a wildcard or NUL in it.
    #[error("not a topic a message can be published to: {0:?}")]
    InvalidTopic(String),
    /// It was stopped.
    #[error("the broker was stopped")]
    Stopped,
}

/// A cheap handle; clones speak to the same broker. Every call returns once the broker has done it.
#[derive(Debug, Clone)]
pub struct BrokerHandle {
    commands: mpsc::Sender<Command>,
    /// Weak, so that watchers see the end when the broker goes and handles stay.
    watchers: broadcast::WeakSender<Message>,
}

impl BrokerHandle {
    pub(super) fn new(commands: mpsc::Sender<Command>, watchers: broadcast::WeakSender<Message>) -> Self {
        Self { commands, watchers }
    }

    /// Publishes as the broker itself: `denied_publish` does not hold here. Returns once it is routed, whether or not
    /// anybody received it.
    ///
    /// # Errors
    /// The topic is not valid, or the broker was stopped.
    pub async fn publish(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        qos: QoS,
        retain: bool,
    ) -> Result<(), BrokerError> {
        if !topics::is_valid_topic(topic) {
            return Err(BrokerError::InvalidTopic(topic.to_owned()));
        }
        let message = Message { topic: topic.into(), payload: payload.into(), qos, retain };
        self.ask(|done| Command::Publish { message, done }).await
    }

    /// The retained payload of one topic; `None` too if the broker was stopped.
    pub async fn retained(&self, topic: &str) -> Option<Bytes> {
        let topic = topic.to_owned();
        self.ask(|reply| Command::Retained { topic, reply }).await.ok().flatten()
    }

    /// Every retained payload by its topic; empty if the broker was stopped.
    pub async fn retained_all(&self) -> BTreeMap<Arc<str>, Bytes> {
        self.ask(|reply| Command::RetainedAll { reply }).await.unwrap_or_default()
    }

    /// The ids of the clients connected now, sorted; empty if the broker was stopped.
    pub async fn connections(&self) -> Vec<String> {
        self.ask(|reply| Command::Connections { reply }).await.unwrap_or_default()
    }

    /// Cuts every connection as a failing network would: wills are sent, sessions that are not clean stay.
    ///
    /// # Errors
    /// The broker was stopped.
    pub async fn drop_connections(&self) -> Result<(), BrokerError> {
        self.ask(|done| Command::DropConnections { done }).await
    }

    /// From now on holds back PUBACK and PUBREC (`true`), or sends those held back and goes on as usual (`false`).
    /// Messages are routed all the same. A client is read from until 4,096 acknowledgements are held back for it; what
    /// is held back for a connection that ends is never sent.
    ///
    /// # Errors
    /// The broker was stopped.
    pub async fn withhold_acks(&self, withhold: bool) -> Result<(), BrokerError> {
        self.ask(|done| Command::WithholdAcks { withhold, done }).await
    }

    /// Every message routed from now on, once each, whoever published it and whoever subscribed. A watcher that falls
    /// 16,384 messages behind is told how many it missed; it ends with the broker.
    pub fn watch(&self) -> broadcast::Receiver<Message> {
        match self.watchers.upgrade() {
            Some(watchers) => watchers.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, BrokerError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| BrokerError::Stopped)?;
        answer.await.map_err(|_| BrokerError::Stopped)
    }
}
