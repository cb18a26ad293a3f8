//! Saves a codec in the user's folder, if the administrator lets people do that, and once it was seen to work.

use std::sync::Mutex;

use payload_codecs::CodecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shown::users;
use super::{Codecs, Written};
use crate::codecs::{Form, Question, SaveError};
use crate::control::problem::{Kind, Problem};
use crate::model::{Directory, HomeName};
use crate::telemetry::with_causes;

/// A codec to be saved.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Save {
    /// A device's id, `<brand>/<model>`, or whatever devices shall name it by.
    name: String,
    text: String,
    /// Without it: a table if it can be read as one, else a script.
    kind: Option<Form>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CodecSaved")]
pub struct Saved {
    name: String,
    kind: Form,
    /// Its file, within the codec folder.
    path: String,
    /// Those that have it now, by their names at home.
    devices: Vec<HomeName>,
    /// Why it is not used all the same; what was there before goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Codecs {
    /// Keeps a codec in the user's folder and has it used at once. It must load, and come back from a payload, before it
    /// replaces anything.
    ///
    /// # Errors
    /// It may not be saved, does not load, or does not come back.
    pub async fn save(&self, Save { name, text, kind }: Save, directory: &Mutex<Directory>) -> Result<Saved, Problem> {
        if !self.edit {
            let hint = "whoever administers the bridge can allow it: [web] edit_codecs = true";
            return Err(Problem::new(Kind::Refused, "codecs may not be saved here").hint(hint));
        }
        let written = Written { name: &name, text: &text, form: kind };
        let form = written.form();
        self.library.may_save(&name, form).await.map_err(refused)?;
        self.must_work(&written).await?;
        let path = self.library.save(&name, form, &text).await.map_err(refused)?;
        tracing::info!(codec = name, path, "A codec was saved by a request.");
        let error = self.reload().await?.broken.remove(&name);
        let devices = users(directory, [name.as_str()].into()).remove(&name).unwrap_or_default();
        Ok(Saved { name, kind: form, path, devices, error })
    }

    /// What it says of a payload that is not its device's does not matter, only that it says something in time.
    async fn must_work(&self, written: &Written<'_>) -> Result<(), Problem> {
        let draft = written.draft()?.map_err(|error| broken(&error))?;
        let loaded = self.trial.lock().await.load(draft.source.clone()).await;
        loaded.map_err(|error| broken(&error))?;
        let question = Question::Decode { payload: vec![0], f_port: 1, at: None };
        let examined = self.examine(&draft, vec![question]).await?;
        let runs_away =
            |error: &CodecError| matches!(error, CodecError::TimedOut { .. } | CodecError::OutOfMemory { .. });
        match examined.tried.into_iter().filter_map(|tried| tried.outcome.err()).find(runs_away) {
            Some(error) => Err(broken(&error)),
            None => Ok(()),
        }
    }
}

fn broken(why: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(Kind::Refused, with_causes(why)).hint("nothing was replaced")
}

fn refused(error: SaveError) -> Problem {
    let (kind, hint) = match &error {
        SaveError::NoFolder => {
            (Kind::Refused, "make a folder `codecs` beside the configuration, or name one: [codecs] folder")
        }
        SaveError::Name(_) => (Kind::Malformed, "such as `my-sensor`, or `brand/model`, without an ending"),
        SaveError::TooLong => (Kind::TooLong, "nothing was replaced"),
        SaveError::Link(_) => (Kind::Conflict, "whoever made the link can edit what it leads to"),
        SaveError::OtherForm(_) => (Kind::Conflict, "take that file away first, or save this under another name"),
        SaveError::Stopping => (Kind::Unavailable, "save it again once the bridge runs"),
        SaveError::Disk(_) => (Kind::Refused, "the bridge's user must be able to write the codec folder"),
    };
    Problem::new(kind, with_causes(&error)).hint(hint)
}
