//! Finds a device's codec and runs it on watched threads.
//!
//! A device's codec is the first there is of: what the configuration says ▸ the device's attribute `ferry-codec` ▸ an entry
//! of the user's folder named after the device, or after its brand and model ▸ a clone of the LoRaWAN device repository ▸
//! a shipped device ▸ the application's default ▸ the network's own formatter, once it is learned.
//!
//! ```text
//! uplink ──▶ finder: which codec? ──▶ lane (by codec) ──▶ worker thread ──▶ decoded, in order per device
//!                                       watch: a worker that overstays is abandoned, its codec quarantined,
//!                                       the uplink handed on raw, the lane given a new thread
//! ```

mod bench;
mod catalogue;
mod config;
mod desk;
mod finder;
mod lane;
mod library;
mod pool;
mod quarantine;
mod reload;
mod shown;
mod trial;
mod turns;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use payload_codecs::metadata::{Command, Field};
use payload_codecs::{CodecError, Reading};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use crate::model::{ApplicationName, DeviceKey, FPort, Uplink};
use crate::telemetry::WeakNotices;

pub use catalogue::Entry;
pub use config::CodecsConfig;
pub use desk::OVERSTAY;
pub use finder::{Considered, Finder, Wishes};
pub use lane::LANE_CAPACITY;
pub use library::{Draft, FindError, Form, LONGEST_TEXT, Library, Lookup, Origin, SaveError, Text, codec_at, is_plain};
pub use payload_codecs::Encoded;
pub use pool::Pool;
pub use reload::{Reload, Renewal, Renewed};
pub use shown::Shown;
pub use trial::{Answer, Examined, Question, Trial, TrialError, Tried};

/// A codec ready to be used by any worker.
#[derive(Debug)]
pub struct Codec {
    /// Distinguishes codecs within this process; workers keep what they loaded by it.
    id: usize,
    pub name: String,
    pub origin: library::Origin,
    source: payload_codecs::Source,
    /// What its decoded fields are, and what its device can be told; empty if nobody said.
    fields: Arc<[Field]>,
    /// What it says of its fields itself, once it is loaded.
    described: OnceLock<Arc<[Field]>>,
    pub commands: Arc<[Command]>,
}

/// What a network's own formatter for a device was found to be.
#[derive(Debug, Clone)]
pub struct Learned {
    /// What messages call it: `ttn/dragino/lht65n`. Where several devices have the same script it is one codec, under the
    /// first name it was learned by.
    pub name: String,
    /// [`payload_codecs::Source::ByDirection`] if the network has another kind for each direction, or one of them only.
    pub source: payload_codecs::Source,
}

/// A device's codec and the reason for it.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub codec: Arc<Codec>,
    pub by: &'static str,
}

/// Codecs by device. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Codecs {
    finder: Arc<Mutex<Finder>>,
    pool: Pool,
    shown: Shown,
}

/// An uplink that has been to its codec.
#[derive(Debug)]
pub struct Crossed {
    pub uplink: Box<Uplink>,
    pub codec: Arc<Codec>,
    pub outcome: Result<Reading, Fault>,
    /// How long the codec worked on it; `None` if it did not, or never came back.
    pub took: Option<Duration>,
}

/// Why a codec gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error("it did not come back and was abandoned; it rests for {rest_s} s")]
    Stuck { rest_s: u64 },
    #[error("it rests, because it did not come back in time before")]
    Quarantined,
    #[error("too many codecs never came back; no script runs until one does or the bridge is started again")]
    TooManyStuck,
    #[error("there is nothing a codec could read: no port, or a payload that only its user can decrypt")]
    NothingToDecode,
    #[error("its thread has too much to do")]
    Busy,
    #[error("the bridge is stopping")]
    Stopping,
}

/// Why a command could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("no codec is known for this device")]
    NoCodec,
    #[error("codec `{codec}`: {source}")]
    Codec { codec: String, source: CodecError },
    #[error("codec `{codec}` is out of action: {why}")]
    Unavailable { codec: String, why: String },
}

impl Codecs {
    /// Starts the worker threads. Decoded uplinks come out of `crossed`.
    pub fn start(
        finder: Finder,
        config: &CodecsConfig,
        crossed: mpsc::Sender<Crossed>,
        shown: Shown,
    ) -> std::io::Result<Self> {
        Ok(Self { finder: Arc::new(Mutex::new(finder)), pool: Pool::start(config, crossed)?, shown })
    }

    /// Which codec a device has, and why. It is shown in the directory.
    pub fn choose(&self, device: &DeviceKey, wishes: &Wishes<'_>) -> Option<Chosen> {
        let chosen = lane::lock(&self.finder).choose(device, wishes);
        if let Some(chosen) = &chosen {
            self.shown.chosen(device, chosen);
        }
        chosen
    }

    /// Whether there are codecs of these names.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn check_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), FindError> {
        let mut finder = lane::lock(&self.finder);
        names.into_iter().try_for_each(|name| finder.named(name).map(drop))
    }

    /// The configuration's word about codecs is another one from now on.
    pub fn reassign(&self, of_devices: HashMap<DeviceKey, String>, of_applications: HashMap<ApplicationName, String>) {
        let changed = lane::lock(&self.finder).reassign(of_devices, of_applications);
        changed.into_iter().for_each(|(device, chosen)| self.shown.now(&device, chosen.as_ref()));
    }

    /// What the network's own formatter for a device is, or that it has none; used where there is nothing better.
    pub fn learn(&self, device: &DeviceKey, learned: Option<Learned>) {
        let chosen = lane::lock(&self.finder).learn(device, learned);
        self.shown.now(device, chosen.as_ref());
    }

    /// A device's codec was loaded: it may say more of its fields than was known before.
    pub fn note_described(&self, device: &DeviceKey, codec: &Codec) {
        if codec.described.get().is_some() {
            self.shown.described(device, codec);
        }
    }

    /// Whether a device has no codec but what the network's own formatter may be.
    pub fn lacks_codec(&self, device: &DeviceKey) -> bool {
        lane::lock(&self.finder).lacks_codec(device)
    }

    /// A device without a codec of ours sent something, and whether the network decoded it.
    pub fn note_undecoded(&self, device: &DeviceKey, by_network: bool) {
        self.shown.undecoded(device, by_network);
    }

    /// Sends an uplink to its codec. It comes back through the channel given at the start, whatever the codec does;
    /// uplinks of one device come back in their order. The caller has fewer than [`LANE_CAPACITY`] under way.
    pub fn decode(&self, uplink: Box<Uplink>, codec: Arc<Codec>) {
        self.pool.decode(uplink, codec);
    }

    /// Asks the device's codec for the bytes of a command.
    pub async fn encode(
        &self,
        device: &DeviceKey,
        data: Box<RawValue>,
        f_port: Option<FPort>,
    ) -> Result<Encoded, EncodeError> {
        let chosen = self.choose(device, &Wishes::default()).ok_or(EncodeError::NoCodec)?;
        let (reply, answer) = oneshot::channel();
        self.pool.encode(chosen.codec.clone(), data, f_port.map(FPort::value), reply);
        let codec = chosen.codec.name.clone();
        match answer.await.unwrap_or(Err(Fault::Stopping)) {
            Ok(encoded) => Ok(encoded),
            Err(Fault::Codec(source)) => Err(EncodeError::Codec { codec, source }),
            Err(fault) => Err(EncodeError::Unavailable { codec, why: fault.to_string() }),
        }
    }

    /// The watch over the workers. Ends only when too many threads are lost to codecs and somebody starts the process
    /// again. It outlives the flows, and so it holds nothing that they wait for.
    pub fn watch(&self, notices: WeakNotices, is_started_again: bool) -> impl Future<Output = ()> + use<> {
        let pool = self.pool.clone();
        async move { pool.watch(&notices, is_started_again).await }
    }
}

impl Fault {
    /// The line of the script where it went wrong, if that is known.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::Codec(error) => error.line(),
            _ => None,
        }
    }
}

impl Codec {
    /// What its decoded fields are; empty if nobody said, or it was not loaded yet and says so itself.
    pub fn fields(&self) -> &Arc<[Field]> {
        self.described.get().unwrap_or(&self.fields)
    }

    /// Takes what it says of its fields itself. What was written for us says more.
    fn describe(&self, fields: Vec<Field>) {
        if self.fields.is_empty() && !fields.is_empty() {
            self.described.get_or_init(|| fields.into());
        }
    }

    /// What it is before it is loaded.
    pub fn source(&self) -> &payload_codecs::Source {
        &self.source
    }

    /// What it was made of, with what it says of its fields by now.
    pub fn draft(&self) -> Draft {
        let (name, source) = (self.name.clone(), self.source.clone());
        Draft { name, origin: self.origin, source, fields: self.fields().clone(), commands: self.commands.clone() }
    }

    fn is_made_of(&self, draft: &Draft) -> bool {
        self.name == draft.name
            && self.origin == draft.origin
            && self.source == draft.source
            && self.fields == draft.fields
            && self.commands == draft.commands
    }
}

/// The same version for the same reason.
impl PartialEq for Chosen {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.codec, &other.codec) && self.by == other.by
    }
}

#[cfg(test)]
impl Codec {
    /// A script of its own for tests.
    pub fn sample(id: usize, name: &str, script: &str) -> Arc<Self> {
        let source = payload_codecs::Source::JavaScript { name: name.into(), script: script.into() };
        let (fields, commands) = Default::default();
        let origin = library::Origin::User;
        Arc::new(Self { id, name: name.into(), origin, source, fields, commands, described: OnceLock::new() })
    }
}
