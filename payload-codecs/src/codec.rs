//! What a codec is to its callers: where it comes from, what it may use, what goes in and what comes out.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::by_direction::ByDirection;
use crate::cayenne_lpp::CayenneLpp;
use crate::error::CodecError;
use crate::javascript::{Engine, JavaScript};
use crate::metadata::Field;
use crate::normalized;
use crate::table::{Table, TableCodec};

/// What a codec is before it is loaded. Cheap to clone, and free to cross threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A script in the dialect of The Things Stack's payload formatters.
    JavaScript {
        /// What messages call it: a file's name, or a device's id.
        name: Arc<str>,
        /// The text of the script.
        script: Arc<str>,
    },
    /// A table that says where each field lies.
    Table {
        /// What messages call it: a file's name, or a device's id.
        name: Arc<str>,
        /// The table, as [`Table::parse`] read it.
        table: Arc<Table>,
    },
    /// Cayenne Low Power Payload, as The Things Stack reads it.
    CayenneLpp,
    /// One codec for what comes and another for what goes; a direction without one has none.
    ByDirection {
        /// Decodes and normalises uplinks.
        uplink: Option<Arc<Source>>,
        /// Encodes downlinks, and decodes them.
        downlink: Option<Arc<Source>>,
    },
}

impl Source {
    /// What messages call this codec.
    pub fn name(&self) -> &str {
        match self {
            Self::JavaScript { name, .. } | Self::Table { name, .. } => name,
            Self::CayenneLpp => "cayenne-lpp",
            Self::ByDirection { uplink, downlink } => {
                uplink.as_ref().or(downlink.as_ref()).map_or("none", |source| source.name())
            }
        }
    }

    /// Whether it is for uplinks at all.
    pub fn reads_uplinks(&self) -> bool {
        !matches!(self, Self::ByDirection { uplink: None, .. })
    }

    /// What it is made of: itself, or what each direction has.
    pub fn parts(&self) -> Vec<&Self> {
        match self {
            Self::ByDirection { uplink, downlink } => {
                [uplink, downlink].into_iter().flatten().map(|it| &**it).collect()
            }
            single => vec![single],
        }
    }

    /// Wall time for loading all of it.
    pub fn loading(&self, limits: &Limits) -> Duration {
        limits.loading() * u32::try_from(self.parts().len()).unwrap_or(u32::MAX).max(1)
    }

    /// Whether strangers' code is run.
    pub fn runs_scripts(&self) -> bool {
        self.parts().iter().any(|part| matches!(part, Self::JavaScript { .. }))
    }
}

/// What one call of a script may use. Engines that cannot run away ignore it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall time for one call. The Things Stack allows 100 ms, for evaluation and call together.
    ///
    /// QuickJS looks at the clock between its own steps, not inside a native loop such as a sort of a huge array: a
    /// caller that must never be held up also watches the thread from outside.
    pub time: Duration,
    /// Bytes of heap the codec's engine may hold.
    pub memory: usize,
    /// Bytes of native stack a script may use; recursion beyond it is an error, not a crash. The thread that runs the
    /// codec needs as much and a few hundred KiB more (Rust's default of 2 MiB is ample).
    pub stack: usize,
}

impl Limits {
    /// Wall time for loading a codec, once on each thread that runs it: the largest public scripts, of 235 KB, take some
    /// milliseconds, on a small machine more than a call is given.
    pub fn loading(&self) -> Duration {
        self.time.max(Duration::from_secs(1))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_millis(100), memory: 8 << 20, stack: 256 << 10 }
    }
}

/// One uplink, or a downlink to be decoded, as a codec gets it.
#[derive(Clone, Copy, Debug)]
pub struct UplinkInput<'a> {
    /// The decrypted application payload (LoRaWAN's `FRMPayload`).
    pub bytes: &'a [u8],
    /// LoRaWAN's `FPort`, 1 to 223 for applications.
    pub f_port: u8,
    /// When the network received it, in Unix milliseconds; the script sees a `Date` named `recvTime`.
    pub recv_time_ms: Option<i64>,
}

/// One command, as a codec gets it.
#[derive(Clone, Copy, Debug)]
pub struct DownlinkInput<'a> {
    /// The fields of the command: a JSON object by convention, anything the codec understands in fact.
    pub data: &'a RawValue,
    /// The `FPort` asked for; the script sees 0 if there is none, as on The Things Stack.
    pub f_port: Option<u8>,
}

/// What a payload says.
#[derive(Debug)]
pub struct Decoded {
    /// The fields: always a JSON object.
    pub data: Box<RawValue>,
    /// What the codec, or the engine on its behalf, wants known although it succeeded.
    pub warnings: Vec<String>,
}

/// What decoded fields mean, in the terms that all devices share.
#[derive(Debug)]
pub struct Normalized {
    /// A JSON list of measurements.
    pub measurements: Box<RawValue>,
    /// What the codec wants known although it succeeded, and which fields were left out because they cannot be true.
    pub warnings: Vec<String>,
}

/// What a payload says and means.
#[derive(Debug)]
pub struct Reading {
    /// The fields: always a JSON object.
    pub data: Box<RawValue>,
    /// A JSON list of measurements; `None` if the codec knows of none, or if normalizing failed (a warning then says why).
    pub measurements: Option<Box<RawValue>>,
    /// The warnings of both steps.
    pub warnings: Vec<String>,
}

/// The payload of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The application payload to send.
    pub bytes: Vec<u8>,
    /// The `FPort` the codec chose, unchecked (0 and 224 to 255 are not for applications); `None` leaves it to the caller.
    pub f_port: Option<u8>,
    /// What the codec wants known although it succeeded.
    pub warnings: Vec<String>,
}

/// Which of its functions a codec has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Functions {
    /// `decodeUplink`, or the older `Decoder`.
    pub decode_uplink: Option<Naming>,
    /// `normalizeUplink`.
    pub normalize_uplink: Option<Naming>,
    /// `encodeDownlink`, or the older `Encoder`.
    pub encode_downlink: Option<Naming>,
    /// `decodeDownlink`.
    pub decode_downlink: Option<Naming>,
}

/// By which of its names a function was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// The name it has today.
    Current,
    /// The name of The Things Network's first formatters: `Decoder`, `Encoder`.
    Older,
}

/// A loaded codec. It lives on the thread that loaded it, and nothing one call leaves behind reaches the next.
pub trait Codec {
    /// Decodes an uplink's payload.
    ///
    /// # Errors
    /// Whatever the codec did wrong or reported; the codec stays usable.
    fn decode_uplink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError>;

    /// Says what decoded fields mean; `None` if this codec does not know.
    ///
    /// # Errors
    /// Whatever the codec did wrong or reported; the codec stays usable.
    fn normalize_uplink(&mut self, data: &RawValue) -> Result<Option<Normalized>, CodecError>;

    /// Makes the payload of a command.
    ///
    /// # Errors
    /// Whatever the codec did wrong or reported, and [`CodecError::MissingFunction`] if it has no encoder.
    fn encode_downlink(&mut self, input: &DownlinkInput<'_>) -> Result<Encoded, CodecError>;

    /// Reads a command's payload back into fields.
    ///
    /// # Errors
    /// Whatever the codec did wrong or reported, and [`CodecError::MissingFunction`] if it has no downlink decoder.
    fn decode_downlink(&mut self, input: &UplinkInput<'_>) -> Result<Decoded, CodecError>;

    /// What this codec can do. By default everything except to say what fields mean.
    fn functions(&self) -> Functions {
        let present = Some(Naming::Current);
        Functions { decode_uplink: present, normalize_uplink: None, encode_downlink: present, decode_downlink: present }
    }

    /// What the codec itself says of its fields, if its language has words for that. What lies beside it (a table, a
    /// device's description) says more, and goes first.
    fn fields(&mut self) -> Vec<Field> {
        Vec::new()
    }

    /// Takes what a script wrote to its `console` since it was last asked, oldest first, bounded in number and length.
    fn take_console(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// Decodes an uplink's payload and says what it means. Normalizing that fails costs the measurements only.
///
/// # Errors
/// Those of [`Codec::decode_uplink`].
pub fn read_uplink(codec: &mut dyn Codec, input: &UplinkInput<'_>) -> Result<Reading, CodecError> {
    Ok(codec.decode_uplink(input)?.normalized_by(codec))
}

/// Says what decoded fields mean: in the words of the codec, else as they stand if they are a measurement themselves.
/// Values that cannot be true are left out with a warning.
///
/// # Errors
/// Those of [`Codec::normalize_uplink`], and [`CodecError::NotMeasurements`].
pub fn normalize(codec: &mut dyn Codec, data: &RawValue) -> Result<Option<Normalized>, CodecError> {
    let Some(Normalized { measurements, mut warnings }) = codec.normalize_uplink(data)? else {
        return Ok(normalized::implied(data).map(Normalized::from));
    };
    let checked = normalized::check(&measurements)?;
    warnings.extend(checked.warnings);
    Ok(Some(Normalized { measurements: checked.measurements, warnings }))
}

impl Decoded {
    /// Adds what the fields mean to this codec, by [`normalize`]. Where that fails, a warning says so.
    pub fn normalized_by(self, codec: &mut dyn Codec) -> Reading {
        let Self { data, mut warnings } = self;
        let measurements = match normalize(codec, &data) {
            Ok(normalized) => normalized.map(|normalized| {
                warnings.extend(normalized.warnings);
                normalized.measurements
            }),
            Err(cause) => {
                warnings.push(format!("normalizeUplink: {cause}"));
                None
            }
        };
        Reading { data, measurements, warnings }
    }
}

impl From<normalized::Checked> for Normalized {
    fn from(normalized::Checked { measurements, warnings }: normalized::Checked) -> Self {
        Self { measurements, warnings }
    }
}

/// The engines of one thread: whatever is loaded through them lives there.
pub struct Engines {
    limits: Limits,
    /// Set up for the first script.
    javascript: OnceCell<Rc<Engine>>,
}

impl Engines {
    /// Engines whose scripts may each use so much.
    ///
    /// # Errors
    /// [`CodecError::Engine`] if an engine cannot be set up.
    pub fn new(limits: &Limits) -> Result<Self, CodecError> {
        Ok(Self { limits: *limits, javascript: OnceCell::new() })
    }

    /// Loads a codec: a script is compiled and evaluated once, so that what is wrong with it shows now. That may take
    /// [`Limits::loading`].
    ///
    /// # Errors
    /// [`CodecError::Load`] if the script does not compile or throws; [`CodecError::MissingFunction`] if it defines none
    /// of the functions a codec may have; the limits' errors if it exceeds them.
    pub fn load(&self, source: &Source) -> Result<Box<dyn Codec>, CodecError> {
        match source {
            Source::JavaScript { script, .. } => Ok(Box::new(JavaScript::load(self.javascript()?, script)?)),
            Source::Table { table, .. } => Ok(Box::new(TableCodec(Arc::clone(table)))),
            Source::CayenneLpp => Ok(Box::new(CayenneLpp)),
            Source::ByDirection { uplink, downlink } => {
                Ok(Box::new(ByDirection::load(self, uplink.as_deref(), downlink.as_deref())?))
            }
        }
    }

    fn javascript(&self) -> Result<&Rc<Engine>, CodecError> {
        if let Some(engine) = self.javascript.get() {
            return Ok(engine);
        }
        let engine = Rc::new(Engine::new(&self.limits)?);
        Ok(self.javascript.get_or_init(|| engine))
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engines").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Loads one codec with engines of its own; who has several on one thread shares [`Engines`].
///
/// # Errors
/// Those of [`Engines::new`] and [`Engines::load`].
pub fn load(source: &Source, limits: &Limits) -> Result<Box<dyn Codec>, CodecError> {
    Engines::new(limits)?.load(source)
}
