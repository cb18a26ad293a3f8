//! What the broker brings: commands, requests, and that Home Assistant has started.

use tokio::sync::mpsc::error::TrySendError;

use super::{Broker, clip};
use crate::home::{Discovery, HomeCommand, HomeRequest, Route, Settings};
use crate::mqtt::{Ack, Answering, Inbound};
use crate::telemetry::{Count, Notice};

/// What Home Assistant says when it has started.
const STARTED: &[u8] = b"online";

impl Broker {
    /// Retained commands are ignored: a broker must not be able to replay a command at every start. A command that is
    /// not acknowledged the broker sends again with the next connection.
    pub(super) fn take_in(&self, message: Inbound, stopping: bool) {
        let Inbound { topic, payload, retain, ack, answering } = message;
        let settings = self.settings.now();
        let Ok(topic) = std::str::from_utf8(&topic) else { return ack.done() };
        if Some(topic) == status_topic(&settings) {
            if !retain && *payload == *STARTED {
                self.wiring.assistant_started.send_replace(());
            }
            return ack.done();
        }
        match settings.topics.route(topic) {
            Some(Route::Command(_)) if retain => {
                tracing::warn!(%topic, "Retained command ignored: publish commands without the retain flag.");
            }
            Some(Route::Command(_)) if stopping && ack.is_awaited() => return,
            Some(Route::Command(_)) if stopping => self.drop_command(topic, "the bridge is stopping"),
            Some(Route::Command(candidates)) => return self.command(topic, HomeCommand { candidates, payload, ack }),
            Some(Route::Request(_)) if retain => {
                tracing::warn!(%topic, "Retained request ignored: publish requests without the retain flag.");
            }
            Some(Route::Request(command)) if !stopping => {
                let answering = answering.filter(|answering| is_elsewhere(answering, &settings));
                self.request(topic, HomeRequest { command, payload, answering });
            }
            Some(Route::Request(_)) | None => {}
        }
        ack.done();
    }

    fn command(&self, topic: &str, command: HomeCommand) {
        self.wiring.counters.count(Count::Command);
        if let Err(TrySendError::Full(HomeCommand { ack, .. })) = self.wiring.commands.try_send(command) {
            self.drop_command(topic, "too many commands at once");
            Ack::done(ack);
        }
    }

    fn request(&self, topic: &str, request: HomeRequest) {
        if let Err(TrySendError::Full(_)) = self.wiring.requests.try_send(request) {
            self.drop_command(topic, "too many requests at once");
        }
    }

    fn drop_command(&self, topic: &str, reason: &'static str) {
        self.wiring.notices.tell(Notice::CommandDropped { topic: clip(topic), reason });
    }
}

/// Everything the bridge listens to.
pub(super) fn filters(settings: &Settings) -> Vec<String> {
    let mut filters = settings.topics.filters();
    filters.extend(status_topic(settings).map(str::to_owned).filter(|topic| !filters.contains(topic)));
    filters
}

/// Where Home Assistant says that it has started, if that matters to anyone.
fn status_topic(settings: &Settings) -> Option<&str> {
    let assistant = &settings.home_assistant;
    (assistant.discovery != Discovery::Off).then_some(assistant.status_topic.as_str())
}

/// Whether an answer there would not be taken for a command or a request: nobody may have the bridge talk to itself.
pub(super) fn is_elsewhere(answering: &Answering, settings: &Settings) -> bool {
    let topic = answering.topic.as_str();
    settings.topics.route(topic).is_none() && Some(topic) != status_topic(settings) && !topic.starts_with('$')
}
