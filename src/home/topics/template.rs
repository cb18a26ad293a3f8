//! A template of topics: text with variables in it, and whatever else minijinja can do.
//!
//! One of text and plain variables is filled in without minijinja, and can be read backwards: that is how the bridge
//! learns from a command's topic which device is meant.

use minijinja::{Environment, UndefinedBehavior, Value};

/// A template that was found to be one.
#[derive(Debug, Clone)]
pub enum Template {
    Plain(Vec<Piece>),
    /// Boxed: few have one.
    Computed(Box<Computed>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Value(Variable),
}

/// A template with filters, conditions or other expressions.
#[derive(Debug, Clone)]
pub struct Computed {
    environment: Environment<'static>,
    base: String,
    own: Option<Variable>,
}

/// What can stand in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    Base,
    Name,
    DeviceId,
    Application,
    Field,
    Kind,
    Verb,
}

/// What stands in their place.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    pub name: &'a str,
    pub device_id: &'a str,
    pub application: &'a str,
    /// Of the variable that only this template has: `field`, `kind` or `verb`.
    pub own: &'a str,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    #[error("there is no variable `{0}` here")]
    NoSuchVariable(String),
    #[error("it cannot be read: {0}")]
    Syntax(String),
    #[error("it cannot be filled in: {0}")]
    Failed(String),
}

/// The variables that every template has.
const OF_ALL: [Variable; 4] = [Variable::Base, Variable::Name, Variable::DeviceId, Variable::Application];
/// What minijinja calls a computed template; its messages are cut before it.
const ONLY: &str = "template";

impl Template {
    /// `own`: the variable that only this template has.
    pub fn parse(text: &str, base: &str, own: Option<Variable>) -> Result<Self, InvalidTemplate> {
        if let Some(pieces) = plain(text, base, own)? {
            return Ok(Self::Plain(pieces));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let added = environment.add_template_owned(ONLY, text.to_owned());
        added.map_err(|error| InvalidTemplate::Syntax(shown(&error)))?;
        let computed = Computed { environment, base: base.to_owned(), own };
        computed.check_variables()?;
        Ok(Self::Computed(Box::new(computed)))
    }

    /// Fills the template in, whatever topic that makes.
    ///
    /// # Errors
    /// An expression does not work out with these values.
    pub fn fill(&self, values: Values<'_>) -> Result<String, InvalidTemplate> {
        match self {
            Self::Plain(pieces) => Ok(fill(pieces, values)),
            Self::Computed(computed) => computed.fill(values),
        }
    }

    /// Its pieces, if it can be read backwards.
    pub fn pieces(&self) -> Option<&[Piece]> {
        match self {
            Self::Plain(pieces) => Some(pieces),
            Self::Computed(_) => None,
        }
    }
}

impl Computed {
    fn fill(&self, Values { name, device_id, application, own }: Values<'_>) -> Result<String, InvalidTemplate> {
        let always =
            [("base", self.base.as_str()), ("name", name), ("device_id", device_id), ("application", application)];
        let values = always.into_iter().chain(self.own.map(|variable| (variable.as_str(), own)));
        let template = self.environment.get_template(ONLY);
        let filled = template.and_then(|template| template.render(Value::from_pairs(values)));
        filled.map_err(|error| InvalidTemplate::Failed(shown(&error)))
    }

    /// A variable that stands in a branch no sample takes would be missed by trying.
    fn check_variables(&self) -> Result<(), InvalidTemplate> {
        let Ok(template) = self.environment.get_template(ONLY) else { return Ok(()) };
        let mut unknown: Vec<_> = template.undeclared_variables(false).into_iter().collect();
        unknown.retain(|name| Variable::parse(name, self.own).is_none() && !self.is_global(name));
        unknown.sort();
        unknown.into_iter().next().map_or(Ok(()), |name| Err(InvalidTemplate::NoSuchVariable(name)))
    }

    /// Functions of minijinja, such as `range`, count as variables too.
    fn is_global(&self, name: &str) -> bool {
        self.environment.globals().any(|(global, _)| global == name)
    }
}

impl Variable {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Name => "name",
            Self::DeviceId => "device_id",
            Self::Application => "application",
            Self::Field => "field",
            Self::Kind => "kind",
            Self::Verb => "verb",
        }
    }

    /// Every variable of a template that has `own` beside the usual ones.
    pub fn all(own: Option<Self>) -> impl Iterator<Item = Self> {
        OF_ALL.into_iter().chain(own)
    }

    fn parse(text: &str, own: Option<Self>) -> Option<Self> {
        Self::all(own).find(|variable| variable.as_str() == text)
    }
}

/// Puts values in their places.
pub fn fill(pieces: &[Piece], values: Values<'_>) -> String {
    pieces.iter().map(|piece| stands_for(piece, values)).collect()
}

fn stands_for<'a>(piece: &'a Piece, values: Values<'a>) -> &'a str {
    match piece {
        Piece::Text(text) => text,
        Piece::Value(Variable::Name) => values.name,
        Piece::Value(Variable::DeviceId) => values.device_id,
        Piece::Value(Variable::Application) => values.application,
        Piece::Value(Variable::Field | Variable::Kind | Variable::Verb) => values.own,
        // It is text from the beginning.
        Piece::Value(Variable::Base) => "",
    }
}

/// The pieces of a template that has nothing but text and variables; none if it has more.
fn plain(text: &str, base: &str, own: Option<Variable>) -> Result<Option<Vec<Piece>>, InvalidTemplate> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else { return Ok(None) };
        let name = inside.trim();
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Ok(None);
        }
        let variable = Variable::parse(name, own).ok_or_else(|| InvalidTemplate::NoSuchVariable(name.into()))?;
        push_text(&mut pieces, before);
        match variable {
            Variable::Base => push_text(&mut pieces, base),
            variable => pieces.push(Piece::Value(variable)),
        }
        rest = behind;
    }
    push_text(&mut pieces, rest);
    Ok((!text.contains("{%") && !text.contains("{#") && !rest.contains("}}")).then_some(pieces))
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(last)) => last.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

/// What minijinja says, without its name for the template.
fn shown(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAMP: Values<'_> = Values { name: "hall/Lamp", device_id: "node-1", application: "garden", own: "led" };

    fn filled(text: &str) -> Result<String, InvalidTemplate> {
        Template::parse(text, "ttn", Some(Variable::Field))?.fill(LAMP)
    }

    #[test]
    fn variables_stand_for_what_is_known_of_the_device() {
        assert_eq!(filled("{{ base }}/{{name}}/{{ field }}").unwrap(), "ttn/hall/Lamp/led");
        assert_eq!(filled("x-{{ application }}/{{ device_id }}").unwrap(), "x-garden/node-1");
    }

    #[test]
    fn whatever_minijinja_can_do_is_done() {
        assert_eq!(filled("{{ base }}/{{ name | lower | replace('/', '-') }}").unwrap(), "ttn/hall-lamp");
        assert_eq!(filled("{% if field == 'led' %}a{% else %}b{% endif %}/{{ device_id }}").unwrap(), "a/node-1");
        assert_eq!(
            filled("{{ name.split('/')[0] }}/{{ loop_count | default(2) }}").unwrap_err().to_string(),
            "there is no variable `loop_count` here"
        );
    }

    #[test]
    fn what_is_no_template_says_why() {
        let reason = |text| filled(text).unwrap_err().to_string();
        assert_eq!(reason("{{ base }}/{{ nmae }}"), "there is no variable `nmae` here");
        assert_eq!(reason("{{ verb }}"), "there is no variable `verb` here");
        assert!(reason("{{ base }/x").starts_with("it cannot be read: syntax error"), "{}", reason("{{ base }/x"));
        assert!(reason("{{ name.split('/')[7] | lower }}").starts_with("it cannot be filled in"));
    }
}
