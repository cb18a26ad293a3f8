//! Requests about codecs: which there are, what they are made of, look at their files now; try one, save one.

mod kept;
mod replayed;
mod shown;
mod tried;

use std::sync::Arc;

use payload_codecs::Limits;
use payload_codecs::table::TableError;
use tokio::sync::Mutex;

use super::problem::{Kind, Problem};
use crate::codecs::{
    Codecs as Library, Draft, Examined, FindError, Form, LONGEST_TEXT, Question, Renewal, Renewed, Trial,
};
use crate::downlink::Desk;
use crate::home::LiveSettings;
use crate::model::DeviceKey;
use crate::store::Store;
use crate::telemetry::with_causes;

pub use kept::{Save, Saved};
pub use replayed::{Replay, Try};
pub use shown::{Listed, Named, Shown};
pub use tried::{Outcome, Wanted};

/// Answers requests about codecs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Codecs {
    library: Library,
    renewal: Renewal,
    desk: Desk,
    settings: LiveSettings,
    store: Store,
    /// Codecs are tried one after the other, apart from those in use.
    trial: Arc<Mutex<Trial>>,
    /// Whether codecs may be saved: `[web] edit_codecs`.
    edit: bool,
}

/// What [`Codecs`] is built from.
pub struct CodecParts {
    pub library: Library,
    pub renewal: Renewal,
    pub desk: Desk,
    pub settings: LiveSettings,
    pub store: Store,
    pub limits: Limits,
    pub edit: bool,
}

impl Codecs {
    pub fn new(CodecParts { library, renewal, desk, settings, store, limits, edit }: CodecParts) -> Self {
        Self { library, renewal, desk, settings, store, trial: Arc::new(Mutex::new(Trial::new(limits))), edit }
    }

    /// Looks at the files of all codecs in use now, and answers what changed.
    ///
    /// # Errors
    /// The bridge is stopping.
    pub async fn reload(&self) -> Result<Renewed, Problem> {
        self.renewal.now().await.ok_or_else(|| Problem::new(Kind::Unavailable, "the bridge is stopping"))
    }

    /// What would be this device's codec, the first that is there being the one it has.
    pub async fn considered(&self, device: &DeviceKey) -> Vec<crate::codecs::Considered> {
        self.library.considered(device).await
    }

    /// Has a codec answer questions, apart from those in use.
    async fn examine(&self, draft: &Draft, questions: Vec<Question>) -> Result<Examined, Problem> {
        let examined = self.trial.lock().await.ask(draft.source.clone(), questions).await;
        examined.map_err(|error| Problem::new(Kind::Refused, format!("codec `{}`: {error}", draft.name)))
    }
}

/// The text of a codec that somebody sent, and what it is called.
struct Written<'a> {
    name: &'a str,
    text: &'a str,
    form: Option<Form>,
}

impl Written<'_> {
    /// What it is written in: what is said, or else a table if it can be read as one.
    fn form(&self) -> Form {
        let guess = || if Form::Table.draft(self.name, self.text).is_ok() { Form::Table } else { Form::Script };
        self.form.unwrap_or_else(guess)
    }

    /// # Errors
    /// It is too long (a problem), or no table (an answer).
    fn draft(&self) -> Result<Result<Draft, TableError>, Problem> {
        if self.text.len() > LONGEST_TEXT {
            let detail = format!("the codec is longer than {} KiB", LONGEST_TEXT / 1024);
            return Err(Problem::new(Kind::TooLong, detail));
        }
        Ok(self.form().draft(self.name, self.text))
    }
}

fn not_found(error: FindError) -> Problem {
    Problem::new(Kind::Unknown, with_causes(&error)).hint("the request codec/list names all there are")
}
