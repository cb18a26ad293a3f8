//! Finds a device's codec and runs it on watched threads.

mod config;

use payload_codecs::CodecError;
use serde_json::value::RawValue;

use crate::model::{DeviceKey, FPort};

pub use config::CodecsConfig;

/// Codecs by device. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Codecs {}

/// The bytes a codec made of a command's fields.
#[derive(Debug)]
pub struct Encoded {
    pub bytes: Vec<u8>,
    /// The codec's own choice, as it came: not yet checked.
    pub f_port: Option<u8>,
    pub warnings: Vec<String>,
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
