//! Templates that would lead messages astray are refused at the start, by trying them on devices of all sorts.

use super::Topics;
use super::reading::hears;
use super::template::{InvalidTemplate, Piece, Template, Variable, fill};
use super::{Asks, EXPLICIT, TOLD, values};
use crate::model::{ApplicationName, DeviceId, DeviceKey, HomeName, Subject};

/// A template that makes no topics, or not one for each device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {reason}")]
pub struct InvalidTopics {
    /// Of `[home]`.
    pub key: &'static str,
    pub reason: String,
    pub hint: String,
}

/// Home name, device id and application of devices that a template must tell apart, each from each.
const SAMPLES: [(&str, &str, &str); 7] = [
    ("kitchen", "node-1", "garden"),
    ("Kitchen", "node-2", "garden"),
    ("kitchen2", "node-3", "garden"),
    ("hall/lamp", "node-4", "garden"),
    ("cellar/lamp", "node-5", "garden"),
    ("hall/bell", "node-6", "garden"),
    ("kitchen 2", "node-7", "garden"),
];
/// Two that only their applications tell apart.
const NAMESAKES: [(&str, &str, &str); 2] = [("kitchen", "node-1", "garden"), ("house/node-1", "node-1", "house")];
/// Fields that may stand beside each other; some are called as verbs are.
const FIELDS: [&str; 4] = ["temperature", "soil/temperature", "soil/humidity", "push"];
const KINDS: [&str; 2] = ["join", "codec_error"];
/// What the bridge publishes about itself.
const BRIDGE: [&str; 6] = ["state", "info", "devices", "health", "event", "response/device/rename"];

/// How likely two words are meant to be the same.
const ALIKE: f64 = 0.6;

/// A device that the samples describe.
struct Sample {
    key: DeviceKey,
    name: HomeName,
}

/// A topic of a sample, and the template that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    key: &'static str,
    topic: String,
}

/// Reads a template.
pub fn parse(key: &'static str, text: &str, base: &str, own: Option<Variable>) -> Result<Template, InvalidTopics> {
    Template::parse(text, base, own).map_err(|error| {
        let hint = match &error {
            InvalidTemplate::NoSuchVariable(name) => did_you_mean(name, own),
            _ => format!("such as \"{{{{ base }}}}/{{{{ name }}}}\"; {}", known(own)),
        };
        InvalidTopics { key, reason: error.to_string(), hint }
    })
}

/// The pieces of a template of commands: from their topics it must be clear which device is meant.
pub fn readable<'t>(key: &'static str, template: &'t Template) -> Result<&'t [Piece], InvalidTopics> {
    template.pieces().ok_or_else(|| InvalidTopics {
        key,
        reason: "commands arrive here, and from a computed topic nobody can tell which device they are for".into(),
        hint: "write text and variables only, without filters and conditions".into(),
    })
}

/// Why a text is no topic to publish on.
pub fn publishable(topic: &str) -> Result<(), &'static str> {
    match topic {
        "" => Err("it is empty"),
        topic if topic.contains(['+', '#']) => Err("it has a wildcard in it"),
        topic if topic.contains(char::is_control) => Err("it has a control character or a line break in it"),
        topic if topic.starts_with('$') => Err("it begins with `$`, which brokers keep for themselves"),
        topic if topic.split('/').any(str::is_empty) => Err("it has an empty level: a leading, trailing or double `/`"),
        _ => Ok(()),
    }
}

pub fn check(topics: &Topics) -> Result<(), InvalidTopics> {
    let samples = SAMPLES.map(Sample::new);
    for sample in &samples {
        every_topic_is_one(topics, sample.subject())?;
    }
    for (index, sample) in samples.iter().enumerate() {
        samples[..index].iter().try_for_each(|other| tells_apart(topics, sample.subject(), other.subject()))?;
        purposes_differ(topics, sample.subject())?;
    }
    samples.iter().try_for_each(|sample| is_not_heard(topics, sample.subject()))?;
    let bridge = BRIDGE.map(|what| Made { key: "base_topic", topic: topics.of_bridge(what) });
    bridge.iter().try_for_each(|made| nobody_hears(topics, made))
}

pub fn applications(topics: &Topics) -> Result<(), InvalidTopics> {
    let [one, other] = NAMESAKES.map(Sample::new);
    tells_apart(topics, one.subject(), other.subject()).map_err(|invalid| InvalidTopics {
        reason: "two applications may each have a device of the same id, and both would use the same topic".into(),
        hint: "put {{ name }} or {{ application }} into it".into(),
        ..invalid
    })
}

fn every_topic_is_one(topics: &Topics, device: Subject<'_>) -> Result<(), InvalidTopics> {
    for (key, template, own) in templates(topics) {
        let invalid = |reason| InvalidTopics {
            key,
            reason,
            hint: "it must make a plain topic of any device, such as \"{{ base }}/{{ name }}/uplink\"".into(),
        };
        let topic = template.fill(values(device, own)).map_err(|error| invalid(error.to_string()))?;
        publishable(&topic).map_err(|why| invalid(format!("`{}` is no topic: {why}", topic.escape_debug())))?;
        if topic.starts_with(&topics.of_bridge("")) {
            return Err(invalid(format!("`{topic}` is among the bridge's own topics")));
        }
    }
    Ok(())
}

/// Every template but that for one field's command, which differs from these in no way that matters here.
fn templates(topics: &Topics) -> [(&'static str, &Template, &'static str); 7] {
    let all = &*topics.templates;
    [
        ("state_topic", &all.state, ""),
        ("field_topic", &all.field, FIELDS[1]),
        ("uplink_topic", &all.uplink, ""),
        ("event_topic", &all.event, KINDS[0]),
        ("availability_topic", &all.availability, ""),
        ("set_topic", &all.set, ""),
        ("downlink_topic", &all.downlink, TOLD[0]),
    ]
}

fn tells_apart(topics: &Topics, one: Subject<'_>, other: Subject<'_>) -> Result<(), InvalidTopics> {
    let (mine, theirs) = (all_of(topics, one), all_of(topics, other));
    match mine.iter().zip(&theirs).find(|(mine, theirs)| mine == theirs) {
        Some((Made { key, topic }, _)) => Err(InvalidTopics {
            key,
            reason: format!("the devices `{}` and `{}` would both be `{topic}`", one.name, other.name),
            hint: "put {{ name }} into it, or {{ device_id }}".into(),
        }),
        None => Ok(()),
    }
}

/// One template may not make two topics the same, nor two templates, but for the two ways to tell one field.
fn purposes_differ(topics: &Topics, device: Subject<'_>) -> Result<(), InvalidTopics> {
    let all = all_of(topics, device);
    for (index, made) in all.iter().enumerate() {
        let is_allowed = |other: &Made| is_set(made) && is_set(other) && other.key != made.key;
        let same = all[..index].iter().find(|other| other.topic == made.topic && !is_allowed(other));
        let Some(other) = same else { continue };
        let reason = match other.key == made.key {
            true => format!("it makes `{}` of two different things", made.topic),
            false => format!("`{}` is what `{}` makes too", made.topic, other.key),
        };
        let lacks = own_variable(made.key).filter(|_| other.key == made.key);
        let each = || "each kind of message needs topics of its own".into();
        let hint = lacks.map_or_else(each, |own| format!("put {{{{ {} }}}} into it", own.as_str()));
        return Err(InvalidTopics { key: made.key, reason, hint });
    }
    Ok(())
}

fn own_variable(key: &str) -> Option<Variable> {
    match key {
        "field_topic" | "set_field_topic" => Some(Variable::Field),
        "event_topic" => Some(Variable::Kind),
        "downlink_topic" => Some(Variable::Verb),
        _ => None,
    }
}

fn is_set(made: &Made) -> bool {
    matches!(made.key, "set_topic" | "set_field_topic")
}

fn is_not_heard(topics: &Topics, device: Subject<'_>) -> Result<(), InvalidTopics> {
    told_of(topics, device).iter().try_for_each(|made| nobody_hears(topics, made))
}

/// The bridge would take what it publishes for a command.
fn nobody_hears(topics: &Topics, told: &Made) -> Result<(), InvalidTopics> {
    for command in topics.commands.iter() {
        for levels in 1..=topics.name_levels {
            let heard = command.filters(levels).into_iter().find(|filter| hears(filter, &told.topic));
            if let Some(filter) = heard {
                return Err(InvalidTopics {
                    key: command.key,
                    reason: format!(
                        "commands are subscribed to as `{filter}`, which hears `{}` of `{}`",
                        told.topic, told.key
                    ),
                    hint: "give commands a level of text of their own, such as \"…/set\"".into(),
                });
            }
        }
    }
    Ok(())
}

fn all_of(topics: &Topics, device: Subject<'_>) -> Vec<Made> {
    let mut all = told_of(topics, device);
    let made = |key, topic| Made { key, topic };
    all.push(made("set_topic", topics.fill(&topics.templates.set, device, "")));
    for command in topics.commands.iter().filter(|command| command.asks == Asks::SetField) {
        let fields = FIELDS.iter().filter(|field| !field.contains('/'));
        all.extend(fields.map(|field| made(command.key, fill(&command.pieces, values(device, field)))));
    }
    all.extend(EXPLICIT.iter().map(|(verb, _)| made("downlink_topic", topics.downlink(device, verb))));
    all
}

fn told_of(topics: &Topics, device: Subject<'_>) -> Vec<Made> {
    let made = |key, topic| Made { key, topic };
    let mut told = vec![
        made("state_topic", topics.state(device)),
        made("uplink_topic", topics.uplink(device)),
        made("availability_topic", topics.availability(device)),
    ];
    told.extend(FIELDS.iter().map(|field| made("field_topic", topics.field(device, field))));
    told.extend(KINDS.iter().map(|kind| made("event_topic", topics.event(device, kind))));
    told.extend(TOLD.iter().map(|verb| made("downlink_topic", topics.downlink(device, verb))));
    told
}

impl Sample {
    fn new((name, device, application): (&str, &str, &str)) -> Self {
        let application = ApplicationName::parse(application).expect("the samples' applications are plain levels");
        let device = DeviceId::parse(device).expect("the samples' ids are ids");
        let name = HomeName::parse(name).expect("the samples' names are names");
        Self { key: DeviceKey { application, device }, name }
    }

    fn subject(&self) -> Subject<'_> {
        Subject { key: &self.key, name: &self.name }
    }
}

fn did_you_mean(unknown: &str, own: Option<Variable>) -> String {
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(unknown, name);
    let nearest = Variable::all(own).map(Variable::as_str).max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|name| likeness(name) >= ALIKE) {
        Some(name) => format!("did you mean `{name}`?"),
        None => known(own),
    }
}

fn known(own: Option<Variable>) -> String {
    format!("known here: {}", Variable::all(own).map(Variable::as_str).collect::<Vec<_>>().join(", "))
}
