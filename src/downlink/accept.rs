//! First step: which device a command is for, and what it asks. Nothing a stranger wrote goes on unparsed from here.

use serde_json::value::{RawValue, to_raw_value};

use super::refusal::Refusal;
use super::request::{self, Object, clip};
use crate::home::{Called, Candidate, HomeCommand, Verb};
use crate::model::{ApplicationName, Command, DeviceId, DeviceKey, Directory, DownlinkId, DownlinkRequest, nearest};

/// The longest command, in bytes; a full list of the longest downlinks fits.
const LONGEST_COMMAND: usize = 256 * 1024;
/// Most downlinks in one command.
const MOST_AT_ONCE: usize = 100;
/// Longest name of a field, in characters.
const LONGEST_FIELD: usize = 100;

/// Finds the device that is meant, among the readings of the command's topic: the first that is known. With one
/// application only, a name that could be a device's id is taken for one, for it may never have sent anything yet.
///
/// # Errors
/// What to answer, and what the topic calls the device, if there is a topic.
pub fn resolve<'a>(
    command: &'a HomeCommand,
    directory: &Directory,
    only: Option<&ApplicationName>,
) -> Result<(DeviceKey, &'a Verb), (Option<Called>, Refusal)> {
    let known = |candidate: &'a Candidate| Some((known(&candidate.device, directory, only)?, &candidate.verb));
    let possible = |candidate: &'a Candidate| Some((possible(&candidate.device, only?)?, &candidate.verb));
    let all = || command.candidates.iter();
    all().find_map(known).or_else(|| all().find_map(possible)).ok_or_else(|| {
        let called = command.candidates.first().map(|candidate| candidate.device.clone());
        let written = called.as_ref().and_then(|called| called.name.as_deref().or(called.device_id.as_deref()));
        let refusal = Refusal::new(format!("no device is called `{}`", clip(written.unwrap_or_default())));
        (called, refusal.hint("see bridge/devices for the names; a device is known once it has sent"))
    })
}

/// The device that a topic calls so, if it is known.
fn known(called: &Called, directory: &Directory, only: Option<&ApplicationName>) -> Option<DeviceKey> {
    let fits = |key: &DeviceKey| {
        called.device_id.as_deref().is_none_or(|id| key.device.as_str() == id)
            && called.application.as_deref().is_none_or(|name| key.application.as_str() == name)
    };
    let key = match &called.name {
        Some(name) => directory.by_name(name)?.key.clone(),
        None => {
            let said = called.application.as_deref().map(ApplicationName::parse);
            let application = said.transpose().ok()?.or_else(|| only.cloned())?;
            DeviceKey { application, device: DeviceId::parse(called.device_id.as_deref()?).ok()? }
        }
    };
    directory.find(&key).is_some_and(|device| fits(&device.key)).then_some(key)
}

/// The device whose id could be meant, in the only application.
fn possible(called: &Called, only: &ApplicationName) -> Option<DeviceKey> {
    let written = called.device_id.as_deref().or(called.name.as_deref())?;
    let fits = called.application.as_deref().is_none_or(|name| name == only.as_str());
    fits.then_some(DeviceKey::new(only, DeviceId::parse(written).ok()?))
}

/// The device that goes by this name at home, or has this id at the network.
///
/// # Errors
/// There is none, or there are several; what to do about it.
pub fn find(
    device: &str,
    application: Option<&str>,
    directory: &Directory,
    only: Option<&ApplicationName>,
) -> Result<DeviceKey, Refusal> {
    let wanted = |key: &DeviceKey| application.is_none_or(|name| key.application.as_str() == name);
    if let Some(known) = directory.by_name(device).filter(|known| wanted(&known.key)) {
        return Ok(known.key.clone());
    }
    let all = directory.all();
    let same_id: Vec<_> =
        all.iter().filter(|known| known.key.device.as_str() == device && wanted(&known.key)).collect();
    match same_id[..] {
        [known] => return Ok(known.key.clone()),
        [] => {}
        _ => {
            let reason = format!("several applications have a device `{}`", clip(device));
            return Err(Refusal::new(reason).hint("name the application, or use the device's name at home"));
        }
    }
    // It may never have sent anything yet.
    let theirs = only.filter(|only| application.is_none_or(|name| only.as_str() == name));
    let possible = theirs.and_then(|application| Some(DeviceKey::new(application, DeviceId::parse(device).ok()?)));
    possible.ok_or_else(|| nobody(device, application, directory))
}

/// That nobody is called so; the hint is who may have been meant.
pub fn nobody(device: &str, application: Option<&str>, directory: &Directory) -> Refusal {
    let of = application.map_or_else(|| "no device".into(), |name| format!("no device of `{}`", clip(name)));
    let all = directory.all();
    let hint = match nearest(device, all.iter().map(|known| known.name.as_str())) {
        Some(name) => format!("did you mean `{name}`?"),
        // All of them may be a thousand.
        None => "the bridge's list of devices has the names; a device is known once it has sent".into(),
    };
    Refusal::new(format!("{of} is called `{}`", clip(device))).hint(hint)
}

/// What a command's payload asks for.
pub fn parse(verb: &Verb, payload: &[u8]) -> Result<Command, Refusal> {
    if payload.len() > LONGEST_COMMAND {
        return Err(Refusal::new(format!(
            "the command is {} bytes: at most {LONGEST_COMMAND} are read",
            payload.len()
        )));
    }
    let text = std::str::from_utf8(payload).map_err(|_| Refusal::new("the command is no UTF-8 text"))?.trim();
    match verb {
        Verb::Clear => clear(text),
        _ if text.is_empty() => Err(Refusal::new("the command is empty")),
        Verb::Set => set(text),
        Verb::SetField(field) => set_field(field, text),
        Verb::Push => list(text).map(Command::Push),
        Verb::Replace => list(text).map(Command::Replace),
        Verb::Cancel => cancel(text),
    }
}

fn set(text: &str) -> Result<Command, Refusal> {
    let hint = "send an object of fields, such as {\"led\": true}; a single value goes to …/set/<field>";
    let fields = json::<Box<RawValue>>(text).map_err(|refusal| refusal.hint(hint))?;
    let object = fields.get().starts_with('{');
    object.then_some(Command::Set(fields)).ok_or_else(|| Refusal::new("the command is no JSON object").hint(hint))
}

/// What is no JSON is a string: `ON` need not be quoted. Whether it means `true` is for the codec to say.
fn set_field(field: &str, text: &str) -> Result<Command, Refusal> {
    if field.is_empty() || field.chars().count() > LONGEST_FIELD || field.chars().any(char::is_control) {
        return Err(Refusal::new("the topic names no field"));
    }
    let value = serde_json::from_str::<Box<RawValue>>(text).or_else(|_| to_raw_value(text));
    let fields = value.and_then(|value| to_raw_value(&Object::from([(field.to_owned(), value)])));
    fields.map(Command::Set).map_err(|error| Refusal::new(format!("the value cannot be read: {error}")))
}

fn list(text: &str) -> Result<Vec<DownlinkRequest>, Refusal> {
    if !text.starts_with('[') {
        return Ok(vec![request::downlink(&json(text)?)?]);
    }
    let objects = json::<Vec<Object>>(text)?;
    if !(1..=MOST_AT_ONCE).contains(&objects.len()) {
        return Err(Refusal::new(format!("the list holds {} downlinks: 1 to {MOST_AT_ONCE} are taken", objects.len())));
    }
    let numbered = objects.iter().enumerate();
    numbered.map(|(index, object)| request::downlink(object).map_err(|refusal| refusal.of_item(index + 1))).collect()
}

fn cancel(text: &str) -> Result<Command, Refusal> {
    let hint = "send {\"id\": \"…\"}, or the id alone, as downlink/state shows it";
    let id = if text.starts_with('{') {
        let object = json::<Object>(text).map_err(|refusal| refusal.hint(hint))?;
        let only = object.len() == 1;
        let id = object.get("id").filter(|_| only).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
        id.ok_or_else(|| Refusal::new("the command is no object with an `id` alone").hint(hint))?
    } else {
        serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_owned())
    };
    DownlinkId::parse(&id).map(Command::Cancel).map_err(|invalid| Refusal::from(invalid).hint(hint))
}

fn clear(text: &str) -> Result<Command, Refusal> {
    let empty = text.is_empty() || serde_json::from_str::<Object>(text).is_ok_and(|object| object.is_empty());
    empty.then_some(Command::Clear).ok_or_else(|| Refusal::new("clear takes an empty payload or {}"))
}

fn json<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Refusal> {
    serde_json::from_str(text)
        .map_err(|error| Refusal::new(format!("the command is not the JSON it should be: {error}")))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::home::{LiveSettings, Route};
    use crate::model::HomeName;
    use crate::mqtt::Ack;

    fn fields(verb: &Verb, payload: &str) -> String {
        match parse(verb, payload.as_bytes()) {
            Ok(Command::Set(fields)) => fields.get().to_owned(),
            other => panic!("{payload}: {other:?}"),
        }
    }

    fn reason(verb: &Verb, payload: &[u8]) -> String {
        parse(verb, payload).unwrap_err().reason
    }

    #[test]
    fn set_takes_an_object_and_a_field_takes_any_value() {
        assert_eq!(fields(&Verb::Set, r#" {"led": true} "#), r#"{"led": true}"#);
        let led = Verb::SetField("led".into());
        for (payload, expected) in
            [("true", "true"), ("21.50", "21.50"), ("ON", "\"ON\""), ("\"a b\"", "\"a b\""), ("[1]", "[1]")]
        {
            assert_eq!(fields(&led, payload), format!(r#"{{"led":{expected}}}"#));
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_reason() {
        assert_eq!(
            reason(&Verb::Set, b"ON"),
            "the command is not the JSON it should be: expected value at line 1 column 1"
        );
        assert_eq!(reason(&Verb::Set, b"[1]"), "the command is no JSON object");
        assert_eq!(reason(&Verb::Set, b" "), "the command is empty");
        assert_eq!(reason(&Verb::Set, b"\xff"), "the command is no UTF-8 text");
        assert!(reason(&Verb::Set, &vec![b' '; LONGEST_COMMAND + 1]).contains("262145 bytes"));
        assert!(reason(&Verb::Push, b"[]").contains("holds 0 downlinks"));
        assert!(
            reason(&Verb::Push, br#"[{"f_port":1,"payload_hex":"00"},{"f_port":1}]"#)
                .starts_with("downlink 2 of the list: no payload")
        );
        assert!(reason(&Verb::Push, b"{").starts_with("the command is not the JSON"));
        assert!(reason(&Verb::Cancel, br#"{"id":"a","x":1}"#).contains("`id` alone"));
        assert!(reason(&Verb::Cancel, b"a b").contains("does not fit"));
        assert!(reason(&Verb::Clear, b"all").contains("clear takes"));
    }

    #[test]
    fn cancel_takes_an_id_in_three_spellings_and_clear_takes_nothing() {
        for payload in ["lamp-1", "\"lamp-1\"", r#"{"id":"lamp-1"}"#] {
            assert!(
                matches!(parse(&Verb::Cancel, payload.as_bytes()), Ok(Command::Cancel(id)) if id.as_str() == "lamp-1")
            );
        }
        assert!(matches!(parse(&Verb::Clear, b""), Ok(Command::Clear)));
        assert!(matches!(parse(&Verb::Clear, b"{}"), Ok(Command::Clear)));
    }

    fn command(topic: &str) -> HomeCommand {
        match LiveSettings::usual(2).now().topics.route(topic) {
            Some(Route::Command(candidates)) => HomeCommand { candidates, payload: Bytes::new(), ack: Ack::default() },
            other => panic!("{topic}: {other:?}"),
        }
    }

    fn directory() -> (ApplicationName, Directory) {
        let application = ApplicationName::parse("my-app").unwrap();
        let mut directory = Directory::default();
        for (id, name) in [("node-1", "hall/lamp"), ("node-2", "hall")] {
            directory.add(DeviceKey::new(&application, DeviceId::parse(id).unwrap()), HomeName::parse(name).unwrap());
        }
        (application, directory)
    }

    #[test]
    fn the_first_reading_with_a_known_device_is_meant() {
        let (application, directory) = directory();
        let set = command("ttn/hall/lamp/set");
        let (key, verb) = resolve(&set, &directory, Some(&application)).unwrap();
        assert_eq!((key.device.as_str(), verb), ("node-1", &Verb::Set));
        let field = command("ttn/hall/bell/set");
        let (key, verb) = resolve(&field, &directory, Some(&application)).unwrap();
        assert_eq!((key.device.as_str(), verb), ("node-2", &Verb::SetField("bell".into())));
    }

    #[test]
    fn with_one_application_a_device_that_never_sent_is_reached_by_its_id() {
        let (application, directory) = directory();
        let unseen = command("ttn/node-9/downlink/push");
        assert_eq!(resolve(&unseen, &directory, Some(&application)).unwrap().0.device.as_str(), "node-9");
        let (called, refusal) = resolve(&unseen, &directory, None).unwrap_err();
        assert_eq!(called.unwrap().name.as_deref(), Some("node-9"));
        assert_eq!(refusal.reason, "no device is called `node-9`");
    }

    proptest! {
        #[test]
        fn a_strangers_name_never_reaches_a_topic_or_an_address_unchecked(device in "\\PC{0,40}", payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let (application, directory) = directory();
            for verb in [Verb::Set, Verb::SetField(device.clone()), Verb::Push, Verb::Replace, Verb::Cancel, Verb::Clear] {
                let _ = parse(&verb, &payload);
                let called = Called { name: Some(device.as_str().into()), ..Called::default() };
                let candidates = vec![Candidate { device: called, verb }];
                let command = HomeCommand { candidates, payload: Bytes::new(), ack: Ack::default() };
                match resolve(&command, &directory, Some(&application)) {
                    Ok((key, _)) => prop_assert!(crate::model::ttn_id(key.device.as_str())),
                    Err((called, _)) => {
                        let topic = LiveSettings::usual(2).now().topics.refusal(&called.unwrap());
                        prop_assert!(!topic.is_some_and(|topic| topic.contains(['+', '#', '\0'])));
                    }
                }
            }
        }
    }
}
