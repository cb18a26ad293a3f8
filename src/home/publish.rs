//! The handle through which everything reaches the home broker.

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

use super::live::{Kind, Live, Whom};
use super::{Called, Ledger, LiveSettings, Options, Output, Retained};
use crate::model::{DeviceKey, Receipt, Step, Subject};
use crate::mqtt::{Answering, Message};
use crate::telemetry::Notice;

/// Publishes at home. A message counts as delivered only once the broker acknowledged it; until then the home broker's
/// task keeps it. What the broker shall keep is noted in the [`Ledger`]. Whoever listens through [`Live`] gets the same
/// words, whether or not a broker is there. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Home {
    messages: mpsc::Sender<Message>,
    settings: LiveSettings,
    ledger: Ledger,
    live: Live,
}

/// Whose a retained message is, and what it tells.
type Kept<'a> = (Option<&'a DeviceKey>, Retained);

/// What happened to a device, with what that is called beside it.
#[derive(Serialize)]
struct Named<'a, T: Serialize> {
    name: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

impl Home {
    pub fn new(messages: mpsc::Sender<Message>, settings: LiveSettings) -> Self {
        Self { messages, settings, ledger: Ledger::default(), live: Live::default() }
    }

    /// The same with what was retained before the last start.
    pub fn with_ledger(self, ledger: Ledger) -> Self {
        Self { ledger, ..self }
    }

    /// The same, heard through this hub.
    pub fn with_live(self, live: Live) -> Self {
        Self { live, ..self }
    }

    pub fn settings(&self) -> &LiveSettings {
        &self.settings
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Where everything is heard.
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// One message per uplink, and who waits for its delivery. Published last of all that an uplink gives rise to.
    pub async fn uplink(&self, device: Subject<'_>, body: Bytes, receipt: Option<Receipt>) {
        let topic = self.settings.now().topics.uplink(device);
        self.live.tell(Kind::Uplink, device, Some(body.clone()));
        self.send(self.about(device, topic, body).receipt(receipt)).await;
    }

    /// The merged state: only the newest counts. The broker gets it unless it gets its fields instead.
    pub async fn state(&self, device: Subject<'_>, body: Bytes) {
        self.live.tell_newest(Kind::State, device, &body);
        if self.settings.now().options(device.key).output != Output::Attribute {
            self.tell(device, Retained::State, body).await;
        }
    }

    /// One field of the state, by its path; levels are joined by `/`.
    pub async fn field(&self, device: Subject<'_>, path: &str, value: Bytes) {
        self.tell(device, Retained::Field(path.to_owned()), value).await;
    }

    /// Whether the device is heard. Retained, and only the newest counts.
    pub async fn availability(&self, device: Subject<'_>, body: &impl Serialize) {
        let body = json(body);
        self.live.tell_newest(Kind::Availability, device, &body);
        self.tell(device, Retained::Availability, body).await;
    }

    /// What is under way to the device. Retained, and only the newest counts.
    pub async fn pending(&self, device: Subject<'_>, body: &impl Serialize) {
        let body = json(body);
        self.live.tell_newest(Kind::Pending, device, &body);
        self.tell(device, Retained::DownlinkPending, body).await;
    }

    /// Something that happened to a device: `join`, `codec_error`, `location` …
    pub async fn event(&self, device: Subject<'_>, kind: &str, told: &impl Serialize, receipt: Option<Receipt>) {
        let (topic, body) = (self.settings.now().topics.event(device, kind), json(told));
        self.live.tell(Kind::Event, device, Some(json(&Named { name: kind, body: told })));
        self.send(self.about(device, topic, body).receipt(receipt)).await;
    }

    /// A step of a downlink. Each counts, and the last one stays with the broker.
    pub async fn downlink_state(&self, device: Subject<'_>, step: &Step, receipt: Option<Receipt>) {
        let (topic, body) = (self.settings.now().topics.downlink(device, "state"), json(step));
        self.live.tell(Kind::Downlink, device, Some(body.clone()));
        let message = Message::new(topic, body).retained().receipt(receipt);
        self.keep(message, (Some(device.key), Retained::DownlinkState)).await;
    }

    /// Why a command for a device nobody knows is refused. Not retained: a typo must not stay with the broker for ever.
    /// Nothing goes if nothing can be published under what the device was called.
    pub async fn refusal(&self, device: &Called, step: &Step) {
        let body = json(step);
        self.live.tell(Kind::Downlink, Whom::Stranger(device.clone()), Some(body.clone()));
        if let Some(topic) = self.settings.now().topics.refusal(device) {
            self.send(Message::new(topic, body)).await;
        }
    }

    /// Announces something to Home Assistant: retained, and only the newest counts. Without an owner it is the bridge.
    /// `components` is for nobody but who announces.
    pub async fn announce(&self, owner: Option<&DeviceKey>, topic: String, payload: Bytes, components: String) {
        self.keep(Message::new(topic, payload).retained().latest(), (owner, Retained::Discovery(components))).await;
    }

    /// Takes back what was announced on a topic; does nothing if the topic is not, or no longer, this owner's.
    pub async fn retract(&self, owner: Option<&DeviceKey>, topic: &str) {
        self.empty(owner, topic, &Retained::Discovery(String::new())).await;
    }

    /// Takes everything that is retained of a device away from the broker, but for what discovery announced.
    pub async fn abandon(&self, key: &DeviceKey) {
        self.live.forget(key);
        self.empty_where(Some(key), |_, what| !matches!(what, Retained::Discovery(_))).await;
    }

    /// Takes away what is retained of a device and is not wanted any more: under another name, by other templates, in
    /// another form. What discovery announced stays.
    pub async fn tidy(&self, device: Subject<'_>) {
        let settings = self.settings.now();
        self.empty_where(Some(device.key), |topic, what| {
            let own = settings.topics.of(device, what);
            own.is_some_and(|own| own != *topic || !settings.wants(device.key, what))
        })
        .await;
    }

    /// Takes away the fields that a device's state does not have any more.
    pub async fn keep_fields(&self, device: Subject<'_>, has: impl Fn(&str) -> bool) {
        self.empty_where(Some(device.key), |_, what| matches!(what, Retained::Field(path) if !has(path))).await;
    }

    /// The same for what the bridge tells of itself.
    pub async fn tidy_bridge(&self) {
        let settings = self.settings.now();
        self.empty_where(
            None,
            |topic, what| matches!(what, Retained::Bridge(what) if settings.topics.of_bridge(what) != *topic),
        )
        .await;
    }

    /// Something that happened to the bridge.
    pub async fn bridge_event(&self, notice: &Notice) {
        let (body, about) = (json(notice), notice.device());
        let whom = about.map_or(Whom::Bridge, |(key, name)| Whom::Device(key, name.clone()));
        self.live.tell(Kind::Bridge, whom, Some(body.clone()));
        self.send(Message::new(self.of_bridge("event"), body)).await;
    }

    /// What the bridge is like now: `info`, `devices`, `health`. Retained, and only the newest counts.
    pub async fn bridge_status(&self, what: &str, body: &impl Serialize) {
        let body = json(body);
        if let Some(kind) = Kind::parse(what) {
            // Whoever wants the list asks for it: it can be long, and most of what listens has no use for it.
            self.live.tell(kind, Whom::Bridge, Some(body.clone()).filter(|_| kind != Kind::Devices));
        }
        let message = Message::new(self.of_bridge(what), body).retained().latest();
        self.keep(message, (None, Retained::Bridge(what.to_owned()))).await;
    }

    /// The answer to a request: where the bridge always answers and, if the asker named a place, there too.
    pub async fn respond(&self, command: &str, answering: Option<Answering>, body: &impl Serialize) {
        let body = json(body);
        if let Some(Answering { topic, correlation }) = answering {
            self.send(Message { correlation, ..Message::new(topic, body.clone()) }).await;
        }
        self.send(Message::new(self.of_bridge(&format!("response/{command}")), body)).await;
    }

    fn of_bridge(&self, what: &str) -> String {
        self.settings.now().topics.of_bridge(what)
    }

    /// A message about a device, as its options have it.
    fn about(&self, device: Subject<'_>, topic: String, body: Bytes) -> Message {
        let Options { qos, expiry, .. } = self.settings.now().options(device.key);
        Message { qos, expiry, ..Message::new(topic, body) }
    }

    /// Tells of a device what only the newest counts of, and has the broker keep it if that is wanted.
    async fn tell(&self, device: Subject<'_>, what: Retained, body: Bytes) {
        let settings = self.settings.now();
        let Some(topic) = settings.topics.of(device, &what) else { return };
        let mut message = self.about(device, topic, body).latest();
        // What is told only when it changes must not fade away while it is true.
        message.expiry = message.expiry.filter(|_| matches!(what, Retained::State | Retained::Field(_)));
        if settings.wants(device.key, &what) {
            self.keep(message.retained(), (Some(device.key), what)).await;
        } else {
            self.send(message).await;
        }
    }

    async fn send(&self, message: Message) {
        self.carry(message, None).await;
    }

    async fn keep(&self, message: Message, kept: Kept<'_>) {
        self.carry(message, Some(kept)).await;
    }

    /// Waits while the broker's task is busy. A closed channel means the process is past its drain: the message is
    /// told, because nobody will carry it any more.
    async fn carry(&self, message: Message, kept: Option<Kept<'_>>) {
        let Ok(room) = self.messages.reserve().await else {
            return tracing::warn!(topic = message.topic, "Message came after the home side had stopped.");
        };
        // Noted and sent in one step: nobody can empty the topic in between.
        if let Some((owner, what)) = kept {
            self.ledger.note(&message.topic, owner, &what);
        }
        room.send(message);
    }

    async fn empty_where(&self, owner: Option<&DeviceKey>, unwanted: impl Fn(&String, &Retained) -> bool) {
        for (topic, what) in self.ledger.of(owner) {
            if unwanted(&topic, &what) {
                self.empty(owner, &topic, &what).await;
            }
        }
    }

    /// An empty retained message makes the broker forget. It goes behind what the topic was told before: steps of
    /// downlinks each count, of all else only the newest does.
    async fn empty(&self, owner: Option<&DeviceKey>, topic: &str, what: &Retained) {
        let Ok(room) = self.messages.reserve().await else { return };
        if self.ledger.forget(topic, owner) {
            let message = Message::new(topic, Bytes::new()).retained();
            room.send(if *what == Retained::DownlinkState { message } else { message.latest() });
        }
    }
}

fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).expect("our own types have string keys and always serialise").into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;
    use tokio::sync::watch;

    use super::*;
    use crate::home::{AvailabilityConfig, DeviceConfig, HomeAssistantConfig, HomeConfig, Output, Settings};
    use crate::model::{ApplicationName, DeviceId, HomeName};
    use crate::mqtt::Qos;

    struct Rig {
        home: Home,
        messages: mpsc::Receiver<Message>,
        settings: watch::Sender<Arc<Settings>>,
    }

    fn key() -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("garden").unwrap(), DeviceId::parse("node-1").unwrap())
    }

    fn settings(own: &DeviceConfig, change: impl FnOnce(&mut HomeConfig)) -> Settings {
        let mut home = HomeConfig::default();
        change(&mut home);
        let (assistant, availability) = (HomeAssistantConfig::default(), AvailabilityConfig::default());
        Settings::new(&home, &assistant, availability, [(key(), own)], 2).unwrap()
    }

    fn rig(own: &DeviceConfig) -> Rig {
        let (sender, messages) = mpsc::channel(64);
        let (replace, live) = LiveSettings::new(settings(own, |home| home.output = Output::Both));
        Rig { home: Home::new(sender, live), messages, settings: replace }
    }

    impl Rig {
        async fn tell_everything(&self, device: Subject<'_>) {
            let body = || Bytes::from_static(b"{}");
            self.home.state(device, body()).await;
            self.home.field(device, "a/b", body()).await;
            self.home.availability(device, &json!({})).await;
            self.home.pending(device, &json!({})).await;
            self.home.uplink(device, body(), None).await;
            self.home.event(device, "join", &json!({}), None).await;
            let topic = "homeassistant/device/x/config".to_owned();
            self.home.announce(Some(device.key), topic, body(), String::new()).await;
        }

        fn take(&mut self) -> Vec<Message> {
            std::iter::from_fn(|| self.messages.try_recv().ok()).collect()
        }

        /// The topics emptied since the last look, in alphabetical order.
        fn emptied(&mut self) -> Vec<String> {
            let messages = self.take();
            assert!(messages.iter().all(|message| message.payload.is_empty() && message.retain), "{messages:?}");
            messages.into_iter().map(|message| message.topic).collect()
        }
    }

    #[tokio::test]
    async fn what_is_told_of_a_device_goes_as_its_options_have_it() {
        let expiry = Some(Duration::from_secs(60));
        let own = DeviceConfig { qos: Some(Qos::ExactlyOnce), retain: Some(false), expiry, ..DeviceConfig::default() };
        let (mut rig, key, name) = (rig(&own), key(), HomeName::parse("lamp").unwrap());
        rig.tell_everything(Subject { key: &key, name: &name }).await;
        let messages = rig.take();
        let (announced, told) = messages.split_last().unwrap();
        assert_eq!(told.len(), 6);
        assert!(told.iter().all(|message| message.qos == Qos::ExactlyOnce));
        let lasting: Vec<_> = told.iter().filter(|message| message.expiry.is_none()).map(|it| &*it.topic).collect();
        assert_eq!(lasting, ["ttn/lamp/availability", "ttn/lamp/downlink/pending"], "they are told on a change only");
        assert!(told.iter().all(|message| message.expiry.is_none_or(|some| Some(some) == expiry)));
        let retained: Vec<_> = told.iter().filter(|message| message.retain).map(|message| &*message.topic).collect();
        assert_eq!(retained, ["ttn/lamp/availability", "ttn/lamp/downlink/pending"]);
        assert_eq!((announced.qos, announced.expiry, announced.retain), (Qos::AtLeastOnce, None, true));
    }

    #[tokio::test]
    async fn only_what_is_not_wanted_any_more_is_emptied_and_only_once() {
        let own = DeviceConfig::default();
        let (mut rig, key) = (rig(&own), key());
        let (old, new) = (HomeName::parse("lamp").unwrap(), HomeName::parse("hall/lamp").unwrap());
        rig.tell_everything(Subject { key: &key, name: &old }).await;
        rig.take();
        rig.home.tidy(Subject { key: &key, name: &old }).await;
        assert!(rig.emptied().is_empty(), "everything is in use");
        rig.home.tidy(Subject { key: &key, name: &new }).await;
        let all = ["ttn/lamp", "ttn/lamp/a/b", "ttn/lamp/availability", "ttn/lamp/downlink/pending"];
        assert_eq!(rig.emptied(), all);
        rig.home.tidy(Subject { key: &key, name: &new }).await;
        assert!(rig.emptied().is_empty());
        rig.tell_everything(Subject { key: &key, name: &new }).await;
        rig.take();
        rig.settings.send_replace(Arc::new(settings(&own, |home| home.output = Output::Attribute)));
        rig.home.tidy(Subject { key: &key, name: &new }).await;
        assert_eq!(rig.emptied(), ["ttn/hall/lamp"]);
    }

    #[tokio::test]
    async fn a_device_that_is_gone_leaves_nothing_and_announcements_are_discoverys() {
        let (mut rig, key, name) = (rig(&DeviceConfig::default()), key(), HomeName::parse("lamp").unwrap());
        rig.tell_everything(Subject { key: &key, name: &name }).await;
        rig.take();
        rig.home.abandon(&key).await;
        assert_eq!(rig.emptied().len(), 4);
        rig.home.retract(None, "homeassistant/device/x/config").await;
        assert!(rig.emptied().is_empty(), "it is not the bridge's");
        rig.home.retract(Some(&key), "homeassistant/device/x/config").await;
        assert_eq!(rig.emptied(), ["homeassistant/device/x/config"]);
        assert!(rig.home.ledger().devices().is_empty());
    }

    #[tokio::test]
    async fn what_the_bridge_tells_of_itself_moves_with_the_base_topic() {
        let mut rig = rig(&DeviceConfig::default());
        rig.home.bridge_status("info", &json!({})).await;
        rig.settings
            .send_replace(Arc::new(settings(&DeviceConfig::default(), |home| home.base_topic = "house".into())));
        rig.home.bridge_status("health", &json!({})).await;
        rig.take();
        rig.home.tidy_bridge().await;
        assert_eq!(rig.emptied(), ["ttn/bridge/info"]);
    }
}
