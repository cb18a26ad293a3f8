//! Which codecs there are, and what one is made of.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;

use payload_codecs::metadata::{Command, Field};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Codecs, not_found};
use crate::codecs::{Entry, Form, Origin, Text};
use crate::control::problem::{Kind, Problem};
use crate::model::{Directory, HomeName};

/// All codecs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Codecs")]
pub struct Listed {
    codecs: Vec<Listing>,
    /// Whether codecs may be saved here.
    edit: bool,
}

/// One codec.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Codec")]
struct Listing {
    name: String,
    source: Origin,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Those that have it, by their names at home.
    devices: Vec<HomeName>,
    fields: Vec<Field>,
    commands: Vec<Command>,
    /// Why it cannot be used as it lies there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// It may be saved under this name. What is saved goes before what is shipped.
    editable: bool,
}

/// One codec by its name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    name: String,
}

/// A codec's text.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CodecSource")]
pub struct Shown {
    name: String,
    source: Origin,
    kind: Form,
    text: String,
    /// Its file, within the codec folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    editable: bool,
}

impl Codecs {
    /// All codecs there are: the user's, the shipped, and what else is in use.
    pub async fn list(&self, directory: &Mutex<Directory>) -> Listed {
        let catalogue = self.library.catalogue().await;
        let mut users = users(directory, catalogue.iter().map(|entry| entry.name.as_str()).collect());
        let listing = |entry: Entry| Listing {
            devices: users.remove(&entry.name).unwrap_or_default(),
            editable: self.edit && entry.can_be_saved,
            name: entry.name,
            source: entry.origin,
            description: entry.description,
            fields: entry.fields.to_vec(),
            commands: entry.commands.to_vec(),
            error: entry.error,
        };
        Listed { codecs: catalogue.into_iter().map(listing).collect(), edit: self.edit }
    }

    /// The text of a codec.
    ///
    /// # Errors
    /// There is none of that name, or it has no text.
    pub async fn source(&self, Named { name }: Named) -> Result<Shown, Problem> {
        let (source, text, can_be_saved) = self.library.text(&name).await.map_err(not_found)?;
        let Some(Text { form, text, path }) = text else {
            let hint = "what reads its payloads is built into the bridge, or is a table outside the codec folder";
            return Err(Problem::new(Kind::Refused, format!("codec `{name}` has no text to show")).hint(hint));
        };
        Ok(Shown { name, source, kind: form, text, path, editable: self.edit && can_be_saved })
    }
}

/// Who has which codec.
pub fn users(directory: &Mutex<Directory>, known: HashSet<&str>) -> BTreeMap<String, Vec<HomeName>> {
    let mut users: BTreeMap<String, Vec<HomeName>> = BTreeMap::new();
    for device in Directory::lock(directory).all() {
        if let Some(codec) = device.codec.as_ref().filter(|codec| known.contains(codec.name.as_str())) {
            users.entry(codec.name.clone()).or_default().push(device.name.clone());
        }
    }
    users
}
