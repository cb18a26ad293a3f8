//! Which codecs there are, and what they are made of: for people who look for one, read one or write one.

use std::collections::BTreeMap;
use std::sync::Arc;

use payload_codecs::Source;
use payload_codecs::devices;
use payload_codecs::metadata::{Command, Field};

use super::library::{Draft, FindError, Form, Library, Lookup, Origin, SaveError, Text, is_plain};
use super::{Codec, Codecs, lane};
use crate::telemetry::with_causes;

/// One codec of the catalogue.
#[derive(Debug, Clone)]
pub struct Entry {
    pub name: String,
    pub origin: Origin,
    /// What device it is for, if it says so.
    pub description: Option<String>,
    pub fields: Arc<[Field]>,
    pub commands: Arc<[Command]>,
    /// Why it cannot be used.
    pub error: Option<String>,
    /// It may be saved under this name.
    pub can_be_saved: bool,
}

impl Codecs {
    /// All of the codec folder, all that are shipped, and what else is in use, by their names.
    pub async fn catalogue(&self) -> Vec<Entry> {
        let (library, in_use) = (self.library(), self.in_use());
        let look = move || {
            let mut all: BTreeMap<_, _> = in_use.into_iter().map(|codec| (codec.name.clone(), entry(&codec))).collect();
            all.extend(devices::all().iter().map(|device| (device.id.to_owned(), shipped(device))));
            // The user's own go before all others.
            let own = library.entries().unwrap_or_default();
            all.extend(own.into_iter().map(|name| (name.clone(), users(&library, name))));
            let savable = |entry: &Entry| library.place_for(&entry.name, None).is_ok();
            all.into_values().map(|entry| Entry { can_be_saved: savable(&entry), ..entry }).collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    /// The codec of this name: of the codec folder, or shipped; it is read anew. A path is no name: names come from
    /// whoever may ask.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn look_up(&self, name: &str) -> Result<Draft, FindError> {
        let nowhere = || FindError::Nowhere(name.chars().take(80).collect());
        if !is_plain(name) {
            return Err(nowhere());
        }
        let (library, lookup) = (self.library(), Lookup::Named(name.into()));
        let found = tokio::task::spawn_blocking(move || library.look_up(&lookup)).await;
        found.map_err(|_| nowhere())??.ok_or_else(nowhere)
    }

    /// Where the codec of this name is from, and its text if it has one; whether it may be saved under this name.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn text(&self, name: &str) -> Result<(Origin, Option<Text>, bool), FindError> {
        let nowhere = || FindError::Nowhere(name.chars().take(80).collect());
        let used = self.in_use().into_iter().find(|codec| codec.name == name);
        let (library, name) = (self.library(), name.to_owned());
        let look = move || {
            let can_be_saved = library.place_for(&name, None).is_ok();
            if let Some(text) = library.text(&name)? {
                let origin = if text.path.is_some() { Origin::User } else { Origin::Shipped };
                return Ok(Some((origin, Some(text), can_be_saved)));
            }
            // What the network or a repository gave, or has no text: Cayenne LPP.
            let used = used.map(|codec| (codec.origin, script_of(codec.source())));
            let built_in = library.look_up(&Lookup::Entry(name.clone()))?.map(|draft| (draft.origin, None));
            let known = devices::find(&name).map(|_| (Origin::Shipped, None));
            Ok(used.or(built_in).or(known).map(|(origin, text)| (origin, text, can_be_saved)))
        };
        tokio::task::spawn_blocking(look).await.map_err(|_| nowhere())?.and_then(|found| found.ok_or_else(nowhere))
    }

    /// Keeps a codec in the user's folder; what it is, is not looked at.
    ///
    /// # Errors
    /// It may not stand there, or the disk refuses it.
    pub async fn save(&self, name: &str, form: Form, text: &str) -> Result<String, SaveError> {
        let (library, name, text) = (self.library(), name.to_owned(), text.to_owned());
        let saved = tokio::task::spawn_blocking(move || library.save(&name, form, &text)).await;
        saved.map_err(|_| SaveError::Stopping)?
    }

    /// Whether a codec may be saved under this name, in this form or any.
    ///
    /// # Errors
    /// Why not.
    pub async fn may_save(&self, name: &str, form: Form) -> Result<(), SaveError> {
        let (library, name) = (self.library(), name.to_owned());
        let place = tokio::task::spawn_blocking(move || library.place_for(&name, Some(form)).map(drop)).await;
        place.map_err(|_| SaveError::Stopping)?
    }

    fn library(&self) -> Library {
        lane::lock(&self.finder).library()
    }

    fn in_use(&self) -> Vec<Arc<Codec>> {
        lane::lock(&self.finder).in_use()
    }
}

fn entry(codec: &Codec) -> Entry {
    Entry {
        name: codec.name.clone(),
        origin: codec.origin,
        description: None,
        fields: codec.fields().clone(),
        commands: codec.commands.clone(),
        error: None,
        can_be_saved: false,
    }
}

fn shipped(device: &devices::Device) -> Entry {
    Entry {
        name: device.id.to_owned(),
        origin: Origin::Shipped,
        description: Some(device.description.clone()),
        fields: device.fields.as_slice().into(),
        commands: device.commands.as_slice().into(),
        error: None,
        can_be_saved: false,
    }
}

fn users(library: &Library, name: String) -> Entry {
    let found = library.look_up(&Lookup::Entry(name.clone()));
    let (draft, error) = match found {
        Ok(Some(draft)) => (Some(draft), None),
        Ok(None) => (None, Some("it holds no codec".into())),
        Err(error) => (None, Some(with_causes(&error))),
    };
    let (fields, commands) = draft.map(|draft| (draft.fields, draft.commands)).unwrap_or_default();
    Entry { name, origin: Origin::User, description: None, fields, commands, error, can_be_saved: false }
}

/// The script of a codec that has one for uplinks.
fn script_of(source: &Source) -> Option<Text> {
    match source {
        Source::JavaScript { script, .. } => Some(Text { form: Form::Script, text: script.to_string(), path: None }),
        Source::ByDirection { uplink, downlink } => {
            uplink.as_deref().and_then(script_of).or_else(|| downlink.as_deref().and_then(script_of))
        }
        Source::Table { .. } | Source::CayenneLpp => None,
    }
}
