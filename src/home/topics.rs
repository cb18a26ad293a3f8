//! The topics the home sees, and what a command topic asks for.

use super::{HomeConfig, Retained};
use crate::model::{HomeName, Subject};

/// The topic tree below one base topic.
#[derive(Debug, Clone)]
pub struct Topics {
    base: String,
    /// Levels of the longest device name, so that commands for it are subscribed to.
    name_levels: usize,
}

/// A template that makes no topics, or not one for each device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {reason}")]
pub struct InvalidTopics {
    /// Of `[home]`.
    pub key: &'static str,
    pub reason: String,
    pub hint: String,
}

/// One reading of a command topic: a name with `/` in it can be read in two ways, and only the list of devices tells
/// which is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub device: String,
    pub verb: Verb,
}

/// What a command topic asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// `…/set`: a JSON object of fields.
    Set,
    /// `…/set/<field>` or `…/<field>/set`: the value of one field.
    SetField(String),
    Push,
    Replace,
    Cancel,
    Clear,
}

/// What an inbound topic is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A command for a device: the readings in order of preference, never none.
    Command(Vec<Candidate>),
    /// `bridge/request/<command>`.
    Request(String),
}

const EXPLICIT: [(&str, Verb); 4] =
    [("push", Verb::Push), ("replace", Verb::Replace), ("cancel", Verb::Cancel), ("clear", Verb::Clear)];

impl Topics {
    /// The topics of this configuration; `name_levels` is at least 1.
    pub fn new(config: &HomeConfig, name_levels: usize) -> Result<Self, InvalidTopics> {
        Ok(Self { base: config.base_topic.clone(), name_levels: name_levels.max(1) })
    }

    /// The merged, retained state of a device.
    pub fn state(&self, device: Subject<'_>) -> String {
        format!("{}/{}", self.base, device.name)
    }

    /// One field of a device; levels of nested fields are joined by `/`.
    pub fn field(&self, device: Subject<'_>, field: &str) -> String {
        self.below(device.name, field)
    }

    /// One message per uplink.
    pub fn uplink(&self, device: Subject<'_>) -> String {
        self.below(device.name, "uplink")
    }

    /// What happened to a device: `join`, `codec_error` …
    pub fn event(&self, device: Subject<'_>, kind: &str) -> String {
        self.below(device.name, &format!("event/{kind}"))
    }

    /// Whether a device is heard.
    pub fn availability(&self, device: Subject<'_>) -> String {
        self.below(device.name, "availability")
    }

    /// Where the value of one field is told to a device.
    pub fn set_field(&self, device: Subject<'_>, field: &str) -> String {
        self.below(device.name, &format!("set/{field}"))
    }

    /// Of a device's downlinks: `state` and `pending` are told.
    pub fn downlink(&self, device: Subject<'_>, verb: &str) -> String {
        self.below(device.name, &format!("downlink/{verb}"))
    }

    /// The topic of what is retained of a device; none for what is not below its name.
    pub fn of(&self, device: Subject<'_>, what: &Retained) -> Option<String> {
        match what {
            Retained::State => Some(self.state(device)),
            Retained::Field(field) => Some(self.field(device, field)),
            Retained::Availability => Some(self.availability(device)),
            Retained::DownlinkState => Some(self.downlink(device, "state")),
            Retained::DownlinkPending => Some(self.downlink(device, "pending")),
            Retained::Discovery | Retained::Bridge(_) => None,
        }
    }

    /// Steps of a downlink for a name that no device has.
    pub fn refusal(&self, name: &HomeName) -> String {
        self.below(name, "downlink/state")
    }

    fn below(&self, name: &HomeName, what: &str) -> String {
        format!("{}/{name}/{what}", self.base)
    }

    /// Below the bridge: `state`, `info`, `devices`, `health`, `event`, `response/<command>`.
    pub fn of_bridge(&self, what: &str) -> String {
        format!("{}/bridge/{what}", self.base)
    }

    /// Everything the bridge listens to. Devices' are enumerated rather than `#`, so that it never hears its own messages.
    pub fn filters(&self) -> Vec<String> {
        let mut filters = vec![self.of_bridge("request/#")];
        for levels in 1..=self.name_levels {
            let device = format!("{}/{}", self.base, vec!["+"; levels].join("/"));
            filters.push(format!("{device}/set"));
            filters.push(format!("{device}/set/+"));
            filters.extend(EXPLICIT.iter().map(|(verb, _)| format!("{device}/downlink/{verb}")));
        }
        filters.push(format!("{}/{}/set", self.base, vec!["+"; self.name_levels + 1].join("/")));
        filters
    }

    /// What an inbound topic asks for; `None` if it is none of [`Self::filters`].
    pub fn route(&self, topic: &str) -> Option<Route> {
        let rest = topic.strip_prefix(&self.base)?.strip_prefix('/')?;
        if let Some(command) = rest.strip_prefix("bridge/") {
            let command = command.strip_prefix("request/")?;
            return (!command.is_empty()).then(|| Route::Request(command.into()));
        }
        let candidates = candidates(rest);
        (!candidates.is_empty()).then_some(Route::Command(candidates))
    }
}

fn candidates(rest: &str) -> Vec<Candidate> {
    let candidate = |device: &str, verb: Verb| Candidate { device: device.into(), verb };
    if let Some(device) = rest.strip_suffix("/set") {
        let whole = candidate(device, Verb::Set);
        let field = device.rsplit_once('/').map(|(device, field)| candidate(device, Verb::SetField(field.into())));
        return std::iter::once(whole).chain(field).collect();
    }
    let Some((device, last)) = rest.rsplit_once('/') else { return Vec::new() };
    if let Some(device) = device.strip_suffix("/downlink") {
        let verb = EXPLICIT.iter().find(|(name, _)| *name == last);
        return verb.map(|(_, verb)| candidate(device, verb.clone())).into_iter().collect();
    }
    let device = device.strip_suffix("/set");
    device.map(|device| candidate(device, Verb::SetField(last.into()))).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApplicationName, DeviceId, DeviceKey};

    fn topics(name_levels: usize) -> Topics {
        Topics::new(&HomeConfig::default(), name_levels).unwrap()
    }

    fn routed(topic: &str) -> Vec<(String, Verb)> {
        match topics(2).route(topic) {
            Some(Route::Command(all)) => all.into_iter().map(|one| (one.device, one.verb)).collect(),
            other => panic!("{topic}: {other:?}"),
        }
    }

    #[test]
    fn command_topics_say_what_they_ask_for() {
        assert_eq!(routed("ttn/lamp/set"), [("lamp".into(), Verb::Set)]);
        assert_eq!(routed("ttn/lamp/set/led"), [("lamp".into(), Verb::SetField("led".into()))]);
        assert_eq!(routed("ttn/lamp/downlink/push"), [("lamp".into(), Verb::Push)]);
        assert_eq!(routed("ttn/hall/lamp/downlink/clear"), [("hall/lamp".into(), Verb::Clear)]);
    }

    #[test]
    fn a_field_before_set_may_also_be_the_end_of_a_name() {
        let both = [("hall/lamp".into(), Verb::Set), ("hall".into(), Verb::SetField("lamp".into()))];
        assert_eq!(routed("ttn/hall/lamp/set"), both);
    }

    #[test]
    fn requests_are_the_bridges_and_everything_else_is_nobodys() {
        let topics = topics(1);
        for request in ["health", "downlink/send"] {
            let topic = format!("ttn/bridge/request/{request}");
            assert_eq!(topics.route(&topic), Some(Route::Request(request.into())));
        }
        for topic in [
            "ttn/lamp",
            "ttn/lamp/uplink",
            "ttn/bridge/state",
            "ttn/bridge/set",
            "other/lamp/set",
            "ttnx/lamp/set",
            "ttn/lamp/downlink/state",
            "ttn/bridge/request/",
        ] {
            assert_eq!(topics.route(topic), None, "{topic}");
        }
    }

    #[test]
    fn no_filter_matches_a_topic_the_bridge_publishes() {
        let topics = topics(2);
        let name = HomeName::parse("hall/lamp").unwrap();
        let key = DeviceKey::new(&ApplicationName::parse("app").unwrap(), DeviceId::parse("lamp").unwrap());
        let lamp = Subject { key: &key, name: &name };
        let own = [topics.state(lamp), topics.uplink(lamp), topics.downlink(lamp, "state"), topics.of_bridge("info")];
        let requests = topics.of_bridge("request/#");
        for filter in topics.filters().into_iter().filter(|filter| *filter != requests) {
            assert!(!filter.contains('#'));
            for topic in &own {
                let same = filter.split('/').count() == topic.split('/').count()
                    && filter.split('/').zip(topic.split('/')).all(|(f, t)| f == "+" || f == t);
                assert!(!same, "{filter} hears {topic}");
            }
        }
    }
}
