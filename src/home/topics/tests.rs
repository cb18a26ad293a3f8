//! Topics as they are without configuration, and as people want them.

use proptest::prelude::*;

use super::*;
use crate::model::{ApplicationName, DeviceId, DeviceKey};

struct Node {
    key: DeviceKey,
    name: HomeName,
}

impl Node {
    fn new(name: &str) -> Self {
        let application = ApplicationName::parse("garden").unwrap();
        Self {
            key: DeviceKey::new(&application, DeviceId::parse("node-1").unwrap()),
            name: HomeName::parse(name).unwrap(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { key: &self.key, name: &self.name }
    }
}

fn topics(name_levels: usize) -> Topics {
    Topics::new(&HomeConfig::default(), name_levels).unwrap()
}

fn with(change: impl FnOnce(&mut HomeConfig)) -> Result<Topics, InvalidTopics> {
    let mut config = HomeConfig::default();
    change(&mut config);
    Topics::new(&config, 2)
}

fn refused(change: impl FnOnce(&mut HomeConfig)) -> String {
    let InvalidTopics { key, reason, hint } = with(change).unwrap_err();
    format!("{key}: {reason} ({hint})")
}

fn named(name: &str) -> Called {
    Called { name: Some(name.into()), ..Called::default() }
}

fn routed(topics: &Topics, topic: &str) -> Vec<(Called, Verb)> {
    match topics.route(topic) {
        Some(Route::Command(all)) => all.into_iter().map(|one| (one.device, one.verb)).collect(),
        other => panic!("{topic}: {other:?}"),
    }
}

#[test]
fn command_topics_say_what_they_ask_for() {
    let topics = topics(2);
    assert_eq!(routed(&topics, "ttn/lamp/set"), [(named("lamp"), Verb::Set)]);
    assert_eq!(routed(&topics, "ttn/lamp/set/led"), [(named("lamp"), Verb::SetField("led".into()))]);
    assert_eq!(routed(&topics, "ttn/lamp/downlink/push"), [(named("lamp"), Verb::Push)]);
    assert_eq!(routed(&topics, "ttn/hall/lamp/downlink/clear"), [(named("hall/lamp"), Verb::Clear)]);
}

#[test]
fn a_field_before_set_may_also_be_the_end_of_a_name() {
    let both = [(named("hall/lamp"), Verb::Set), (named("hall"), Verb::SetField("lamp".into()))];
    assert_eq!(routed(&topics(2), "ttn/hall/lamp/set"), both);
}

#[test]
fn requests_are_the_bridges_and_everything_else_is_nobodys() {
    let topics = topics(1);
    assert_eq!(topics.route("ttn/bridge/request/health"), Some(Route::Request("health".into())));
    assert_eq!(topics.route("ttn/bridge/request/device/rename"), Some(Route::Request("device/rename".into())));
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
fn commands_are_subscribed_to_for_names_of_every_length() {
    let filters = [
        "ttn/bridge/request/#",
        "ttn/+/set",
        "ttn/+/+/set",
        "ttn/+/set/+",
        "ttn/+/downlink/push",
        "ttn/+/downlink/replace",
        "ttn/+/downlink/cancel",
        "ttn/+/downlink/clear",
    ];
    assert_eq!(topics(1).filters(), filters);
    assert!(topics(2).filters().contains(&"ttn/+/+/+/set".into()));
}

#[test]
fn no_filter_hears_a_topic_the_bridge_publishes() {
    let (topics, lamp) = (topics(2), Node::new("hall/lamp"));
    let lamp = lamp.subject();
    let own = topics.told(lamp).into_iter().chain([topics.field(lamp, "a/b"), topics.of_bridge("response/health")]);
    for topic in own {
        let heard = topics.filters().into_iter().find(|filter| !filter.ends_with('#') && hears(filter, &topic));
        assert_eq!(heard, None, "{topic}");
    }
}

#[test]
fn readings_and_commands_go_where_the_templates_say() {
    let topics = with(|home| {
        home.state_topic = "{{ application }}/{{ device_id }}/state".into();
        home.set_topic = "{{ application }}/{{ device_id }}/cmd".into();
        home.downlink_topic = "{{ base }}/down/{{ verb }}/{{ name }}".into();
    })
    .unwrap();
    let lamp = Node::new("hall/lamp");
    assert_eq!(topics.state(lamp.subject()), "garden/node-1/state");
    assert_eq!(topics.set_field(lamp.subject(), "led"), "garden/node-1/cmd/led");
    let by_id = Called { name: None, device_id: Some("node-1".into()), application: Some("garden".into()) };
    assert_eq!(routed(&topics, "garden/node-1/cmd"), [(by_id.clone(), Verb::Set)]);
    assert_eq!(routed(&topics, "garden/node-1/cmd/led"), [(by_id, Verb::SetField("led".into()))]);
    assert_eq!(routed(&topics, "ttn/down/push/hall/lamp"), [(named("hall/lamp"), Verb::Push)]);
    assert_eq!(topics.refusal(&named("hall/bell")).unwrap(), "ttn/down/state/hall/bell");
    assert!(topics.filters().contains(&"+/+/cmd/+".into()));
}

#[test]
fn a_stranger_is_answered_only_where_an_answer_can_go() {
    let topics = topics(2);
    assert_eq!(topics.refusal(&named("typo")).unwrap(), "ttn/typo/downlink/state");
    for bad in ["bridge", "a//b", "a/+", "", "a/set/b"] {
        assert_eq!(topics.refusal(&named(bad)), None, "{bad}");
    }
}

#[test]
fn a_template_that_leads_astray_is_refused_and_says_why() {
    for (changed, expected) in [
        (
            refused(|home| home.state_topic = "{{ bas }}/{{ name }}".into()),
            "state_topic: there is no variable `bas` here (did you mean `base`?)",
        ),
        (refused(|home| home.uplink_topic = "{{ base }/x".into()), "uplink_topic: it cannot be read: syntax error"),
        (
            refused(|home| home.uplink_topic = "{{ base }}/uplink".into()),
            "uplink_topic: the devices `Kitchen` and `kitchen` would both be `ttn/uplink`",
        ),
        (
            refused(|home| home.uplink_topic = "{{ base }}/{{ name | lower }}/u".into()),
            "uplink_topic: the devices `Kitchen` and `kitchen` would both",
        ),
        (
            refused(|home| home.event_topic = "{{ base }}/{{ name }}/event".into()),
            "event_topic: it makes `ttn/kitchen/event` of two different things (put {{ kind }} into it)",
        ),
        (
            refused(|home| home.field_topic = "{{ base }}/{{ name }}/value".into()),
            "field_topic: it makes `ttn/kitchen/value` of two",
        ),
        (
            refused(|home| home.set_field_topic = "{{ base }}/{{ name }}/set".into()),
            "set_field_topic: it makes `ttn/kitchen/set` of two",
        ),
        (
            refused(|home| home.uplink_topic = "{{ base }}/{{ name }}".into()),
            "uplink_topic: `ttn/kitchen` is what `state_topic` makes too",
        ),
        (
            refused(|home| home.uplink_topic = "{{ base }}/+/{{ name }}".into()),
            "uplink_topic: `ttn/+/kitchen` is no topic: it has a wildcard",
        ),
        (
            refused(|home| home.uplink_topic = "/{{ base }}/{{ name }}/u".into()),
            "uplink_topic: `/ttn/kitchen/u` is no topic: it has an empty level",
        ),
        (
            refused(|home| home.uplink_topic = "$SYS/{{ name }}".into()),
            "uplink_topic: `$SYS/kitchen` is no topic: it begins with `$`",
        ),
        (
            refused(|home| home.uplink_topic = "{{ base }}/{{ name }}\n".into()),
            "uplink_topic: `ttn/kitchen\\n` is no topic: it has a control",
        ),
        (
            refused(|home| home.uplink_topic = "{{ base }}/bridge/{{ name }}".into()),
            "uplink_topic: `ttn/bridge/kitchen` is among the bridge's own",
        ),
        (
            refused(|home| home.set_topic = "{{ base }}/{{ name | upper }}/set".into()),
            "set_topic: commands arrive here",
        ),
        (
            refused(|home| home.set_topic = "{% if 1 %}{{ base }}/{{ name }}/set{% endif %}".into()),
            "set_topic: commands arrive here",
        ),
        (
            refused(|home| home.set_field_topic = "{{ base }}/{{ name }}/{{ field }}".into()),
            "set_field_topic: `ttn/kitchen/temperature` is what `field_topic` makes too",
        ),
        (
            refused(|home| home.set_field_topic = "{{ base }}/{{ field }}/{{ name }}".into()),
            "set_field_topic: commands are subscribed to as `ttn/+/+`, which hears `ttn/kitchen/uplink` of `uplink_topic`",
        ),
    ] {
        assert!(changed.contains(expected), "{changed}\n  expected {expected}");
    }
}

#[test]
fn an_id_alone_tells_devices_apart_in_one_application_only() {
    let topics = with(|home| home.uplink_topic = "{{ base }}/{{ device_id }}/up".into()).unwrap();
    assert_eq!(topics.tell_applications_apart().unwrap_err().key, "uplink_topic");
    assert_eq!(super::tests::topics(2).tell_applications_apart(), Ok(()));
}

#[test]
fn a_field_never_falls_on_another_topic_of_its_device() {
    let (topics, lamp) = (topics(2), Node::new("hall/lamp"));
    let lamp = lamp.subject();
    assert_eq!(topics.free_field(lamp, "soil/temperature").unwrap(), "ttn/hall/lamp/soil/temperature");
    for taken in
        ["uplink", "availability", "set", "led/set", "set/led", "downlink/state", "downlink/push", "event/join"]
    {
        assert_eq!(topics.free_field(lamp, taken), None, "{taken}");
    }
    assert_eq!(topics.field(lamp, "a+b//#"), "ttn/hall/lamp/a_b/_/_");
    assert_eq!(topics.field(lamp, ""), "ttn/hall/lamp/_");
}

proptest! {
    #[test]
    fn whatever_a_name_and_a_field_are_called_the_topic_is_one(name in "\\PC{1,20}", field in ".{0,20}", which in 0..3_usize) {
        let topics = with(|home| home.field_topic = [
            "{{ base }}/{{ name }}/{{ field }}",
            "{{ name }}/{{ field }}",
            "{{ name | replace('a', '#') }}/{{ field }}",
        ][which].into());
        // The last is refused for its samples, or would make wildcards of names.
        if let (Ok(topics), Ok(name)) = (topics, HomeName::parse(&name)) {
            let node = Node { name, ..Node::new("x") };
            let topic = topics.field(node.subject(), &field);
            prop_assert_eq!(check::publishable(&topic), Ok(()), "{}", topic);
        }
    }

    #[test]
    fn every_command_is_heard_and_understood(name in "[a-z]{1,3}(/[a-z]{1,3}){0,1}", field in "[a-z]{1,3}", which in 0..3_usize) {
        let topics = with(|home| match which {
            0 => {}
            1 => home.set_field_topic = "{{ base }}/{{ name }}/set/{{ field }}".into(),
            _ => home.set_topic = "cmnd/{{ name }}/x-{{ device_id }}".into(),
        }).unwrap();
        let Ok(name) = HomeName::parse(&name) else { return Ok(()) };
        let node = Node { name, ..Node::new("x") };
        let topic = topics.set_field(node.subject(), &field);
        let understood = routed(&topics, &topic).into_iter().any(|(called, verb)| {
            called.name.as_deref() == Some(node.name.as_str()) && verb == Verb::SetField(field.clone())
        });
        prop_assert!(understood, "{topic}");
        prop_assert!(topics.filters().iter().any(|filter| hears(filter, &topic)), "{topic}");
    }
}
