//! The topics the home sees, and what a command topic asks for.

use crate::model::HomeName;

/// The topic tree below one base topic.
#[derive(Debug, Clone)]
pub struct Topics {
    base: String,
    /// Levels of the longest device name, so that commands for it are subscribed to.
    name_levels: usize,
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
    /// `base` is one or more clean levels; `name_levels` at least 1.
    pub fn new(base: &str, name_levels: usize) -> Self {
        Self { base: base.into(), name_levels: name_levels.max(1) }
    }

    /// The merged, retained state of a device.
    pub fn state(&self, device: &HomeName) -> String {
        format!("{}/{device}", self.base)
    }

    /// Below a device: `uplink`, `downlink/state`, `event/join` …
    pub fn of_device(&self, device: &HomeName, what: &str) -> String {
        format!("{}/{device}/{what}", self.base)
    }

    /// Below the bridge: `state`, `info`, `devices`, `health`, `event`, `response/<command>`.
    pub fn of_bridge(&self, what: &str) -> String {
        format!("{}/bridge/{what}", self.base)
    }

    /// Everything the bridge listens to. Enumerated rather than `#`, so that it never hears its own messages.
    pub fn filters(&self) -> Vec<String> {
        let mut filters = vec![self.of_bridge("request/+")];
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

    fn routed(topic: &str) -> Vec<(String, Verb)> {
        match Topics::new("ttn", 2).route(topic) {
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
        let topics = Topics::new("ttn", 1);
        assert_eq!(topics.route("ttn/bridge/request/health"), Some(Route::Request("health".into())));
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
        let topics = Topics::new("ttn", 2);
        let name = HomeName::parse("hall/lamp").unwrap();
        let own = [
            topics.state(&name),
            topics.of_device(&name, "uplink"),
            topics.of_device(&name, "downlink/state"),
            topics.of_bridge("info"),
        ];
        for filter in topics.filters() {
            assert!(!filter.contains('#'));
            for topic in &own {
                let same = filter.split('/').count() == topic.split('/').count()
                    && filter.split('/').zip(topic.split('/')).all(|(f, t)| f == "+" || f == t);
                assert!(!same, "{filter} hears {topic}");
            }
        }
    }
}
