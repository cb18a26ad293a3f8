//! The Jinja templates by which Home Assistant takes an entity's state out of a message.
//!
//! None of them may fail or warn, whatever the message holds: a key that is missing, `null`, of another type, or an empty
//! message, which is how a retained one goes away. Home Assistant (2024.3 to 2026.9) takes `None` for "unknown", and logs a
//! warning or an error for an undefined variable that is printed or looked into, a text where a number is due, and an
//! option or value out of range. `default(none)` once makes all tests that follow safe.

use serde_json::Value;

/// The longest state Home Assistant keeps.
const LONGEST_STATE: usize = 255;
/// What sensors say for yes and no, in lower case.
const YES: &str = "['true', '1', 'on', 'yes', 'open', 'opened', 'active', 'alarm', 'alert', 'trigger', 'triggered', \
                   'detected', 'motion', 'moving', 'occupied', 'present', 'leak', 'leaking', 'wet', 'low']";
const NO: &str = "['false', '0', 'off', 'no', 'close', 'closed', 'inactive', 'normal', 'ok', 'idle', 'clear', \
                  'undetected', 'still', 'vacant', 'absent', 'free', 'dry', 'high', 'good']";

/// Where a value is found, as the beginning of a template: it sets `v`, to `none` if it is not there.
#[derive(Debug, Clone)]
pub struct Look(String);

impl Look {
    /// Into an object, level by level.
    pub fn into<'a>(levels: impl IntoIterator<Item = &'a str>) -> Self {
        let root = "(value_json | default({}))".to_owned();
        let mut levels = levels.into_iter().peekable();
        let mut place = root;
        while let Some(level) = levels.next() {
            place = format!("{place}[{}]", quoted(level));
            if levels.peek().is_some() {
                place = format!("({place} | default({{}}))");
            }
        }
        Self(format!("{{% set v = {place} | default(none) %}}"))
    }

    /// At the message as a whole: a bare value.
    pub fn at_all() -> Self {
        Self("{% set v = value_json if value_json is defined else value %}".into())
    }

    /// The entry of a list in an object whose `name` is this one, and of that one value.
    pub fn into_named(list: &str, name: &str, value: &str) -> Self {
        let entries = format!("(value_json | default({{}}))[{}] | default([], true)", quoted(list));
        let named = format!("selectattr('name', 'equalto', {}) | map(attribute={})", quoted(name), quoted(value));
        Self(format!("{{% set v = {entries} | {named} | first | default(none) %}}"))
    }

    /// A number; texts that hold one count as well, as many decoders round into text. They end with a digit: `nan` and
    /// `inf` are no states.
    pub fn number(&self) -> String {
        self.then(
            "{{ v | int if v is boolean else v if v is number else \
             v | float('None') if v is string and v[-1:] in '0123456789.' else 'None' }}",
        )
    }

    /// A number within bounds: outside of them Home Assistant would log an error for a number entity.
    pub fn number_between(&self, min: f64, max: f64) -> String {
        let (min, max) = (Value::from(min), Value::from(max));
        self.then(&format!("{{{{ v if v is number and v is not boolean and v >= {min} and v <= {max} else 'None' }}}}"))
    }

    /// Whatever it is, as a text that fits into a state.
    pub fn text(&self) -> String {
        self.text_or("None")
    }

    /// The same; `unknown` for nothing.
    pub fn text_or(&self, unknown: &str) -> String {
        let unknown = quoted(unknown);
        self.then(&format!(
            "{{{{ {unknown} if v is none else (v | string | lower) if v is boolean else (v | string)[:{LONGEST_STATE}] }}}}"
        ))
    }

    /// A moment with its offset from UTC. Where there is none the state stays what it is: 2024.3 warns of anything else, also
    /// of `None`.
    pub fn time(&self) -> String {
        self.then(
            "{{ v if v is string and 'T' in v and (v[-1:] == 'Z' or v[-6:-5] in ['+', '-']) \
             else this.state if this is defined else 'None' }}",
        )
    }

    /// One of these texts.
    pub fn one_of(&self, options: &[impl AsRef<str>]) -> String {
        let options: Vec<_> = options.iter().map(|option| quoted(option.as_ref())).collect();
        self.then(&format!("{{{{ v if v in [{}] else 'None' }}}}", options.join(", ")))
    }

    /// Yes or no, as these texts; `unknown` for nothing, and for what means neither.
    pub fn flag(&self, is_text: bool, [yes, no, unknown]: [&str; 3]) -> String {
        let [yes, no, unknown] = [yes, no, unknown].map(quoted);
        if !is_text {
            return self.then(&format!(
                "{{{{ {yes} if v == true or v is number and v > 0 else {no} if v == false or v is number else {unknown} }}}}"
            ));
        }
        self.then(&format!(
            "{{% set s = v | string | lower %}}{{{{ {yes} if s in {YES} or v is number and v > 0 \
             else {no} if s in {NO} or v is number else {unknown} }}}}"
        ))
    }

    /// The attributes of a tracker, from an object with these names of its coordinates. Without a position: none.
    pub fn position(&self, latitude: &str, longitude: &str) -> String {
        let [latitude, longitude] = [latitude, longitude].map(quoted);
        self.then(&format!(
            "{{% set p = v if v is mapping else {{}} %}}\
             {{% if p[{latitude}] is number and p[{longitude}] is number %}}\
             {{\"latitude\": {{{{ p[{latitude}] }}}}, \"longitude\": {{{{ p[{longitude}] }}}}\
             {{% if p['accuracy'] is number %}}, \"gps_accuracy\": {{{{ p['accuracy'] }}}}{{% endif %}}}}\
             {{% else %}}{{}}{{% endif %}}"
        ))
    }

    /// An attribute `pending`: what was asked for and is not known to be done.
    pub fn pending(&self) -> String {
        self.then("{\"pending\": {{ v | tojson }}}")
    }

    fn then(&self, rest: &str) -> String {
        format!("{}{rest}", self.0)
    }
}

/// Takes `online` and `offline` out of an availability message.
pub const AVAILABILITY: &str = "{{ (value_json | default({}))['state'] | default('offline') }}";

/// A Jinja string.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
