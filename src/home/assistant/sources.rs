//! Where at home a device's values stand, and how they are taken out.

use super::templates::Look;
use super::{Place, Portrait};
use crate::home::{Output, Topics};
use crate::model::Subject;

/// The topics that one device's values are published on.
pub struct Sources<'a> {
    topics: &'a Topics,
    subject: Subject<'a>,
    output: Output,
}

impl<'a> Sources<'a> {
    pub fn new(portrait: &'a Portrait, place: &'a Place<'_>) -> Self {
        let subject = Subject { key: &portrait.key, name: &portrait.name };
        Self { topics: &place.settings.topics, subject, output: place.settings.options(&portrait.key).output }
    }

    /// The value at a path, levels joined by dots; an empty path is the state as a whole.
    pub fn value(&self, path: &str) -> (String, Look) {
        let levels = path.split('.').filter(|level| !level.is_empty());
        match self.output {
            Output::Json | Output::Both => (self.topics.state(self.subject), Look::into(levels)),
            Output::Attribute => (self.topics.field(self.subject, &as_levels(path)), Look::at_all()),
        }
    }

    /// An object that holds all fields, which is only there if states are published.
    pub fn state(&self) -> Option<String> {
        (self.output != Output::Attribute).then(|| self.topics.state(self.subject))
    }

    /// Where nothing is published about this field as long as the device does not report it.
    pub fn silence(&self, field: &str) -> String {
        self.topics.field(self.subject, field)
    }

    pub fn availability(&self) -> String {
        self.topics.availability(self.subject)
    }

    pub fn command(&self, field: &str) -> String {
        self.topics.set_field(self.subject, field)
    }

    /// What is told of the device's downlinks: `state` or `pending`.
    pub fn downlink(&self, verb: &str) -> String {
        self.topics.downlink(self.subject, verb)
    }
}

/// A path as the levels of a topic; a field's name adds none.
fn as_levels(path: &str) -> String {
    path.replace('/', "_").replace('.', "/")
}
