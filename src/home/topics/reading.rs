//! Templates read backwards: which values would make this topic?

use super::template::{Piece, Variable};

/// The values that a topic shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading<'t> {
    pub name: Option<&'t str>,
    pub device_id: Option<&'t str>,
    pub application: Option<&'t str>,
    /// `field` or `verb`.
    pub own: Option<&'t str>,
}

/// Most ways in which one topic is read by one template: more than any that a person would write allows.
const MOST_READINGS: usize = 8;

/// Every way in which `topic` can have come from this template. Only a name may have several levels.
pub fn read<'t>(pieces: &[Piece], topic: &'t str) -> Vec<Reading<'t>> {
    let mut found = Vec::new();
    go_on(pieces, topic, Reading::default(), &mut found);
    found
}

/// Filters that hear every topic of this template, with a name of so many levels. A level with a variable in it is heard
/// whatever it is: MQTT has no wildcard for a part of one.
pub fn filter(pieces: &[Piece], name_levels: usize, verb: &str) -> String {
    let text = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Value(Variable::Name) => vec!["+"; name_levels].join("/"),
        Piece::Value(Variable::Verb) => verb.to_owned(),
        Piece::Value(_) => "+".into(),
    };
    let topic: String = pieces.iter().map(text).collect();
    topic.split('/').map(|level| if level.contains('+') { "+" } else { level }).collect::<Vec<_>>().join("/")
}

/// Whether who subscribes to `filter`, which has no `#`, hears `topic`.
pub fn hears(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (None, None) => return true,
            (Some(wanted), Some(level)) if wanted == "+" || wanted == level => {}
            _ => return false,
        }
    }
}

fn go_on<'t>(pieces: &[Piece], topic: &'t str, so_far: Reading<'t>, found: &mut Vec<Reading<'t>>) {
    let Some((piece, rest)) = pieces.split_first() else {
        if topic.is_empty() && found.len() < MOST_READINGS && !found.contains(&so_far) {
            found.push(so_far);
        }
        return;
    };
    match piece {
        Piece::Text(text) => {
            if let Some(topic) = topic.strip_prefix(text.as_str()) {
                go_on(rest, topic, so_far, found);
            }
        }
        Piece::Value(variable) => match so_far.get(*variable) {
            Some(known) => {
                if let Some(topic) = topic.strip_prefix(known) {
                    go_on(rest, topic, so_far, found);
                }
            }
            None => {
                for end in ends(*variable, topic, rest.first()) {
                    go_on(rest, &topic[end..], so_far.with(*variable, &topic[..end]), found);
                }
            }
        },
    }
}

/// Where the value of a variable at the beginning of `topic` can end.
fn ends(variable: Variable, topic: &str, next: Option<&Piece>) -> Vec<usize> {
    let level = topic.find('/').filter(|_| variable != Variable::Name).unwrap_or(topic.len());
    match next {
        None => vec![topic.len()].into_iter().filter(|end| *end <= level).collect(),
        Some(Piece::Text(text)) => {
            let starts = topic.char_indices().map(|(at, _)| at).take_while(|at| *at <= level);
            starts.filter(|at| topic[*at..].starts_with(text.as_str())).collect()
        }
        Some(Piece::Value(_)) => {
            topic.char_indices().map(|(at, _)| at).chain([topic.len()]).take_while(|at| *at <= level).collect()
        }
    }
}

impl<'t> Reading<'t> {
    fn get(&self, variable: Variable) -> Option<&'t str> {
        match variable {
            Variable::Base => None,
            Variable::Name => self.name,
            Variable::DeviceId => self.device_id,
            Variable::Application => self.application,
            Variable::Field | Variable::Kind | Variable::Verb => self.own,
        }
    }

    fn with(self, variable: Variable, value: &'t str) -> Self {
        let value = Some(value);
        match variable {
            Variable::Base => self,
            Variable::Name => Self { name: value, ..self },
            Variable::DeviceId => Self { device_id: value, ..self },
            Variable::Application => Self { application: value, ..self },
            Variable::Field | Variable::Kind | Variable::Verb => Self { own: value, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::home::topics::template::{Template, Values, fill};

    fn pieces(text: &str) -> Vec<Piece> {
        Template::parse(text, "ttn", Some(Variable::Field)).unwrap().pieces().unwrap().to_vec()
    }

    #[test]
    fn a_topic_is_read_in_every_way_it_can_have_come_about() {
        let template = pieces("{{ base }}/{{ name }}/{{ field }}/set");
        let [reading] = read(&template, "ttn/hall/lamp/led/set")[..] else { panic!("one way") };
        assert_eq!((reading.name, reading.own), (Some("hall/lamp"), Some("led")));
        assert!(read(&template, "ttn/led/set").is_empty());
        let twice = pieces("{{ name }}/x/{{ name }}");
        assert_eq!(read(&twice, "a/x/b"), []);
        assert_eq!(read(&twice, "a/x/a")[0].name, Some("a"));
        let two = pieces("{{ name }}-{{ application }}");
        assert_eq!(read(&two, "a-b-c").len(), 2);
    }

    #[test]
    fn a_level_with_a_variable_in_it_is_subscribed_to_as_a_whole() {
        assert_eq!(filter(&pieces("{{ base }}/x-{{ name }}/{{ field }}/set"), 2, ""), "ttn/+/+/+/set");
        assert!(hears("a/+/c", "a/b/c") && !hears("a/+", "a/b/c") && !hears("a/+/c", "a/b/d"));
    }

    proptest! {
        #[test]
        fn what_a_template_makes_is_read_back_and_heard(
            name in "[a-c]{1,2}(/[a-c]{1,2}){0,2}", own in "[a-c]{1,3}", id in "[a-c]{3,4}", application in "[a-c]{3,4}", which in 0..6_usize,
        ) {
            let template = pieces([
                "{{ base }}/{{ name }}/set/{{ field }}", "{{ name }}/{{ field }}", "{{ application }}/{{ device_id }}/{{ field }}",
                "a-{{ name }}a/{{ field }}b", "{{ device_id }}{{ name }}/{{ field }}", "b/{{ name }}/{{ name }}/{{ field }}",
            ][which]);
            let topic = fill(&template, Values { name: &name, device_id: &id, application: &application, own: &own });
            let same = |reading: &Reading<'_>| {
                [(reading.name, &name), (reading.device_id, &id), (reading.application, &application), (reading.own, &own)]
                    .into_iter().all(|(read, real)| read.is_none_or(|read| read == *real))
            };
            prop_assert!(read(&template, &topic).iter().any(same), "{topic}");
            prop_assert!(hears(&filter(&template, name.split('/').count(), ""), &topic));
        }
    }
}
