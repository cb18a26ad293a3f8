//! The topics the home sees, and what a command topic asks for.
//!
//! | to learn about | open |
//! |---|---|
//! | what a template may hold, and how it is filled in | [`template`] |
//! | how a command's topic tells which device is meant | [`reading`] |
//! | which templates are refused | [`check`] |

mod check;
mod reading;
mod template;

use std::sync::Arc;

use self::reading::{Reading, hears, read};
use self::template::{Piece, Template, Values, Variable};
use super::{HomeConfig, Retained};
use crate::model::{HomeName, Subject};

pub use check::InvalidTopics;

/// The topic tree of this configuration. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Topics {
    base: String,
    /// Levels of the longest device name, so that commands for it are subscribed to.
    name_levels: usize,
    templates: Arc<Templates>,
    commands: Arc<[CommandTemplate]>,
    filters: Arc<[String]>,
}

#[derive(Debug)]
struct Templates {
    state: Template,
    field: Template,
    uplink: Template,
    event: Template,
    availability: Template,
    set: Template,
    downlink: Template,
}

/// A template whose topics are commands, read backwards.
#[derive(Debug)]
struct CommandTemplate {
    /// Of `[home]`.
    key: &'static str,
    pieces: Vec<Piece>,
    asks: Asks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Set,
    SetField,
    Downlink,
}

/// One reading of a command topic: a name with `/` in it can be read in two ways, and only the list of devices tells
/// which is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub device: Called,
    pub verb: Verb,
}

/// What a topic calls a device, in a stranger's words. Has a name or an id, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Called {
    pub name: Option<Box<str>>,
    pub device_id: Option<Box<str>>,
    pub application: Option<Box<str>>,
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
    /// `bridge/request/<command>`; the command may have several levels.
    Request(String),
}

const EXPLICIT: [(&str, Verb); 4] =
    [("push", Verb::Push), ("replace", Verb::Replace), ("cancel", Verb::Cancel), ("clear", Verb::Clear)];
/// What the bridge tells below `downlink`.
const TOLD: [&str; 2] = ["state", "pending"];
/// What happens to devices.
const EVENTS: [&str; 5] = ["join", "location", "service", "codec_error", "lost_frames"];

impl Topics {
    /// The topics of this configuration; `name_levels` is at least 1.
    ///
    /// # Errors
    /// A template that is none, that makes no topics, or not one for each device and purpose.
    pub fn new(config: &HomeConfig, name_levels: usize) -> Result<Self, InvalidTopics> {
        let parse = |key, text: &str, own| check::parse(key, text, &config.base_topic, own);
        let templates = Templates {
            state: parse("state_topic", &config.state_topic, None)?,
            field: parse("field_topic", &config.field_topic, Some(Variable::Field))?,
            uplink: parse("uplink_topic", &config.uplink_topic, None)?,
            event: parse("event_topic", &config.event_topic, Some(Variable::Kind))?,
            availability: parse("availability_topic", &config.availability_topic, None)?,
            set: parse("set_topic", &config.set_topic, None)?,
            downlink: parse("downlink_topic", &config.downlink_topic, Some(Variable::Verb))?,
        };
        let set_field = parse("set_field_topic", &config.set_field_topic, Some(Variable::Field))?;
        let commands: Arc<[_]> = commands(&templates, &set_field)?.into();
        let (name_levels, base) = (name_levels.max(1), config.base_topic.clone());
        let filters = filters(&base, &commands, name_levels).into();
        let topics = Self { base, name_levels, templates: Arc::new(templates), commands, filters };
        check::check(&topics)?;
        Ok(topics)
    }

    /// Whether they tell devices apart that have the same id in two applications.
    ///
    /// # Errors
    /// The template that does not.
    pub fn tell_applications_apart(&self) -> Result<(), InvalidTopics> {
        check::applications(self)
    }

    /// The merged, retained state of a device.
    pub fn state(&self, device: Subject<'_>) -> String {
        self.fill(&self.templates.state, device, "")
    }

    /// One field of a device; levels of nested fields are joined by `/`. What cannot stand in a level becomes `_`.
    pub fn field(&self, device: Subject<'_>, field: &str) -> String {
        self.fill(&self.templates.field, device, &clean_path(field))
    }

    /// The same, unless that is the topic of something else: a field `uplink` would fall among the uplinks.
    pub fn free_field(&self, device: Subject<'_>, field: &str) -> Option<String> {
        let topic = self.field(device, field);
        let is_told = self.told(device).contains(&topic);
        (!is_told && !self.filters.iter().any(|filter| hears(filter, &topic))).then_some(topic)
    }

    /// One message per uplink.
    pub fn uplink(&self, device: Subject<'_>) -> String {
        self.fill(&self.templates.uplink, device, "")
    }

    /// What happened to a device: `join`, `codec_error` …
    pub fn event(&self, device: Subject<'_>, kind: &str) -> String {
        self.fill(&self.templates.event, device, kind)
    }

    /// Whether a device is heard.
    pub fn availability(&self, device: Subject<'_>) -> String {
        self.fill(&self.templates.availability, device, "")
    }

    /// Where the value of one field is told to a device.
    pub fn set_field(&self, device: Subject<'_>, field: &str) -> String {
        format!("{}/{}", self.fill(&self.templates.set, device, ""), clean_level(field))
    }

    /// Of a device's downlinks: `state` and `pending` are told.
    pub fn downlink(&self, device: Subject<'_>, verb: &str) -> String {
        self.fill(&self.templates.downlink, device, verb)
    }

    /// The topic of what is retained of a device; none for what is not below its name.
    pub fn of(&self, device: Subject<'_>, what: &Retained) -> Option<String> {
        match what {
            Retained::State => Some(self.state(device)),
            Retained::Field(field) => Some(self.field(device, field)),
            Retained::Availability => Some(self.availability(device)),
            Retained::DownlinkState => Some(self.downlink(device, "state")),
            Retained::DownlinkPending => Some(self.downlink(device, "pending")),
            Retained::Discovery(_) | Retained::Bridge(_) => None,
        }
    }

    /// Steps of a downlink for a device that nobody knows, if anything can be published under what it was called.
    pub fn refusal(&self, called: &Called) -> Option<String> {
        let Called { name, device_id, application } = called;
        let either = name.as_deref().or(device_id.as_deref())?;
        HomeName::parse(either).ok()?;
        let values = Values {
            name: either,
            device_id: device_id.as_deref().unwrap_or(either),
            application: application.as_deref().unwrap_or_default(),
            own: "state",
        };
        self.templates.downlink.fill(values).ok().filter(|topic| check::publishable(topic).is_ok())
    }

    /// Below the bridge: `state`, `info`, `devices`, `health`, `event`, `response/<command>`.
    pub fn of_bridge(&self, what: &str) -> String {
        format!("{}/bridge/{what}", self.base)
    }

    /// Everything the bridge listens to. Enumerated rather than one `#`, so that it never hears its own messages.
    pub fn filters(&self) -> Vec<String> {
        self.filters.to_vec()
    }

    /// What an inbound topic asks for; `None` if it is none of [`Self::filters`].
    pub fn route(&self, topic: &str) -> Option<Route> {
        let below_base = topic.strip_prefix(&self.base).and_then(|rest| rest.strip_prefix('/'));
        if let Some(command) = below_base.and_then(|rest| rest.strip_prefix("bridge/")) {
            let command = command.strip_prefix("request/")?;
            return (!command.is_empty()).then(|| Route::Request(command.into()));
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for candidate in self.commands.iter().flat_map(|command| command.candidates(topic)) {
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        (!candidates.is_empty()).then_some(Route::Command(candidates))
    }

    /// What is told of a device besides its fields.
    fn told(&self, device: Subject<'_>) -> Vec<String> {
        let once = [self.state(device), self.uplink(device), self.availability(device)];
        let events = EVENTS.iter().map(|kind| self.event(device, kind));
        let downlinks = TOLD.iter().map(|verb| self.downlink(device, verb));
        once.into_iter().chain(events).chain(downlinks).collect()
    }

    /// The checks at the start have filled in each template for devices of all sorts. One that fails all the same, or
    /// makes no topic, for this device only, must not take its messages with it.
    fn fill(&self, template: &Template, device: Subject<'_>, own: &str) -> String {
        let filled = template.fill(values(device, own)).unwrap_or_else(|error| {
            tracing::error!(device = %device.key, %error, "A topic template fails for this device.");
            format!("{}/{}/{own}", self.base, device.name)
        });
        if check::publishable(&filled).is_ok() { filled } else { clean_path(&filled) }
    }
}

impl CommandTemplate {
    /// What a topic can mean by this template.
    fn candidates(&self, topic: &str) -> Vec<Candidate> {
        read(&self.pieces, topic).into_iter().filter_map(|reading| self.candidate(reading)).collect()
    }

    fn candidate(&self, Reading { name, device_id, application, own }: Reading<'_>) -> Option<Candidate> {
        let verb = match self.asks {
            Asks::Set => Verb::Set,
            Asks::SetField => Verb::SetField(own?.into()),
            Asks::Downlink => EXPLICIT.into_iter().find(|(name, _)| Some(*name) == own)?.1,
        };
        let device = Called {
            name: name.map(Into::into),
            device_id: device_id.map(Into::into),
            application: application.map(Into::into),
        };
        Some(Candidate { device, verb })
    }

    /// The filters that hear these commands, for names of so many levels.
    fn filters(&self, name_levels: usize) -> Vec<String> {
        let verbs = if self.asks == Asks::Downlink { EXPLICIT.map(|(verb, _)| verb).to_vec() } else { vec![""] };
        verbs.into_iter().map(|verb| reading::filter(&self.pieces, name_levels, verb)).collect()
    }
}

/// The command templates in the order in which a topic is read by them: a whole name comes before one and a field.
fn commands(templates: &Templates, set_field: &Template) -> Result<Vec<CommandTemplate>, InvalidTopics> {
    let set = check::readable("set_topic", &templates.set)?;
    let below = [Piece::Text("/".into()), Piece::Value(Variable::Field)];
    let command = |key, pieces, asks| CommandTemplate { key, pieces, asks };
    Ok(vec![
        command("set_topic", set.to_vec(), Asks::Set),
        command("set_field_topic", check::readable("set_field_topic", set_field)?.to_vec(), Asks::SetField),
        command("set_topic", set.iter().cloned().chain(below).collect(), Asks::SetField),
        command("downlink_topic", check::readable("downlink_topic", &templates.downlink)?.to_vec(), Asks::Downlink),
    ])
}

fn filters(base: &str, commands: &[CommandTemplate], name_levels: usize) -> Vec<String> {
    let mut filters = vec![format!("{base}/bridge/request/#")];
    for filter in (1..=name_levels).flat_map(|levels| commands.iter().flat_map(move |one| one.filters(levels))) {
        if !filters.contains(&filter) {
            filters.push(filter);
        }
    }
    filters
}

fn values<'a>(Subject { key, name }: Subject<'a>, own: &'a str) -> Values<'a> {
    Values { name: name.as_str(), device_id: key.device.as_str(), application: key.application.as_str(), own }
}

/// What can stand as levels of a topic: a wildcard, a control character or an empty level becomes `_`, and a `$` at the
/// beginning, which brokers keep for themselves.
fn clean_path(text: &str) -> String {
    let levels = text.split('/').map(|level| if level.is_empty() { "_".into() } else { clean_level(level) });
    levels.collect::<Vec<_>>().join("/")
}

/// The same as one level.
fn clean_level(text: &str) -> String {
    let clean = |(at, c): (usize, char)| match c {
        '/' | '+' | '#' => '_',
        '$' if at == 0 => '_',
        c if c.is_control() => '_',
        c => c,
    };
    if text.is_empty() { "_".into() } else { text.chars().enumerate().map(clean).collect() }
}

#[cfg(test)]
mod tests;
