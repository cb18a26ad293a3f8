//! What the broker says to what was sent: taken, refused, dropped in silence.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::echo::Verdict;
use super::{Asked, Broker, ONLINE, clip};
use crate::model::Receipt;
use crate::mqtt::{Event, Inbound, Lost, Message, Reason, Sender};
use crate::telemetry::{Count, Notice};

impl Broker {
    pub(super) fn handle(&mut self, event: Event, sender: &Sender, stop: &CancellationToken) -> Result<(), Lost> {
        match event {
            Event::Written(packet) => {
                if let Some(message) = self.outbox.written(packet) {
                    self.wiring.counters.count(Count::Delivered);
                    self.settle(message.receipt);
                }
            }
            Event::Acked(packet) => return self.acknowledged(packet, sender),
            Event::Refused(packet, reason) => self.refused(packet, reason),
            Event::Message(message) => return self.take_message(message, sender, stop.is_cancelled()),
            Event::Subscribed(granted) => self.welcome(&granted),
            Event::Alive | Event::Disconnected => {}
        }
        Ok(())
    }

    fn acknowledged(&mut self, packet: u16, sender: &Sender) -> Result<(), Lost> {
        let Some(message) = self.outbox.acked(packet) else { return Ok(()) };
        (self.progress, self.took_something) = (Instant::now(), true);
        self.wiring.counters.count(Count::Delivered);
        self.refusals.works(&message.topic);
        self.settle(message.receipt);
        self.give_up_if_found();
        match self.echoes.acked(&message.topic, self.progress) {
            Some(verdict) => self.judge(verdict, sender),
            None => Ok(()),
        }
    }

    /// It would be refused again: it counts as given up, and nobody waits for it any more.
    fn refused(&mut self, packet: u16, reason: Reason) {
        let Some(message) = self.outbox.acked(packet) else { return };
        (self.progress, self.took_something) = (Instant::now(), true);
        self.wiring.counters.count(Count::Dropped);
        if self.refusals.refused(&message.topic) {
            let (topic, reason, hint) = (clip(&message.topic), reason.to_string(), reason.hint().to_owned());
            self.wiring.notices.tell(Notice::PublishRefused { topic, reason, hint });
        }
        self.settle(message.receipt);
        self.give_up_if_found();
    }

    fn take_message(&mut self, message: Inbound, sender: &Sender, stopping: bool) -> Result<(), Lost> {
        let topic = std::str::from_utf8(&message.topic).unwrap_or_default();
        match self.echoes.heard(topic, &message.payload, message.retain) {
            Some(verdict) => {
                message.ack.done();
                self.judge(verdict, sender)
            }
            None => {
                self.take_in(message, stopping);
                Ok(())
            }
        }
    }

    /// What a watched topic showed. It is watched no longer.
    fn judge(&self, verdict: Verdict, sender: &Sender) -> Result<(), Lost> {
        let topic = match verdict {
            Verdict::Heard { topic, again: true } => {
                self.wiring.notices.tell(Notice::BridgeRestored { what: format!("publishing on {topic}") });
                topic
            }
            Verdict::Dropped(topic) => {
                self.wiring.notices.tell(dropped_in_silence(&topic));
                topic
            }
            Verdict::Heard { topic, .. } | Verdict::StillDropped(topic) => topic,
        };
        sender.unsubscribe(&[topic])
    }

    /// Says `online` once subscribed, for whoever sees `online` may send commands. The library sends what is published
    /// before a SUBSCRIBE that was asked for earlier.
    pub(super) fn welcome(&mut self, granted: &[bool]) {
        match self.asked.pop_front() {
            Some(Asked::Echo(topic)) if granted != [true] => self.echoes.unheard(&topic),
            // That these are granted says nothing of the others.
            Some(Asked::More(filters)) if granted.contains(&false) => self.tell_refused(&filters, granted),
            Some(Asked::Commands(filters)) => {
                self.tell_refused(&filters, granted);
                if self.open {
                    self.keep(self.presence(ONLINE));
                }
            }
            Some(Asked::Echo(_) | Asked::More(_)) | None => {}
        }
    }

    fn tell_refused(&mut self, filters: &[String], granted: &[bool]) {
        let what = "commands from the home broker";
        self.wiring.notices.tell(match self.refusals.granted(filters, granted) {
            None => return,
            Some([]) => Notice::BridgeRestored { what: what.into() },
            Some(refused) => Notice::BridgeDegraded {
                what: format!("{what}: it refuses the subscription to {}", clip(&refused.join(", "))),
                hint: "let the bridge's user read these topics in the broker's access rules (ACL)".into(),
            },
        });
    }

    /// Tells whoever waits for a message that nobody need keep it any more. It may have gone: then it learns of it after
    /// its next start, when the message goes once more.
    pub(super) fn settle(&self, receipt: Option<Receipt>) {
        match receipt {
            Some(Receipt::Uplink(seq)) => drop(self.wiring.uplink_receipts.try_send(seq)),
            Some(Receipt::Step(id, step)) => drop(self.wiring.step_receipts.try_send((id, step))),
            None => {}
        }
    }

    /// A message may be why connections end.
    pub(super) fn give_up_if_found(&mut self) {
        if let Some(message) = self.outbox.take_given_up() {
            self.give_up(&message, "the connection ended each time it was sent");
        }
    }

    pub(super) fn give_up(&self, message: &Message, reason: &'static str) {
        self.settle(message.receipt.clone());
        self.wiring.counters.count(Count::Dropped);
        let (topic, bytes) = (clip(&message.topic), message.payload.len());
        self.wiring.notices.tell(Notice::Undeliverable { topic, bytes, reason });
    }
}

fn dropped_in_silence(topic: &str) -> Notice {
    let base = topic.strip_suffix("/bridge/state");
    let root = base.unwrap_or_else(|| topic.split('/').next().unwrap_or(topic));
    Notice::PublishRefused {
        topic: clip(topic),
        reason: "acknowledged, and not passed on: the broker's access rules (ACL) seem to refuse it".into(),
        hint: format!(
            "let the bridge's user write to and read {root}/# in the broker's ACL; `check --connect` tries it"
        ),
    }
}
