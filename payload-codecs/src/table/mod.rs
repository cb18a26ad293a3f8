//! A codec that is a table instead of a script: where each field lies, and what its bits mean.
//!
//! One table yields the decoder, the encoder, the home's fields and commands, and the C header of the device's own side.
//! A payload is a stream of bits. `layout.rs` says where fields lie in it, `scale.rs` what their bits are worth, `keys.rs`
//! which keys of the data they stand for; `decode.rs` and `encode.rs` are the two ways along a message.
//!
//! ```
//! use payload_codecs::table::Table;
//!
//! let table = Table::parse(
//!     r#"
//!     [[uplink]]
//!     fields = [{ name = "temperature", type = "i16", scale = 0.01 }]
//!     "#,
//! )?;
//! let (data, _warnings) = table.decode(1, &[0x08, 0x66])?;
//! assert_eq!(data["temperature"], 21.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bits;
mod check;
mod decimal;
mod decode;
mod describe;
mod encode;
mod engine;
mod error;
mod header;
mod keys;
mod layout;
mod model;
mod normalize;
mod scale;
mod text;

use serde_json::{Map, Value};

use crate::error::CodecError;

pub(crate) use engine::TableCodec;
pub use error::TableError;
pub use header::{HeaderError, header};
pub use model::{At, Endian, Field, Find, Flag, Message, Part, Ports, Repeat, Table, Type};

/// The fields of a payload, or of a command.
pub type Data = Map<String, Value>;

impl Table {
    /// Reads a table in TOML, and checks all that it says.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line, or its message, field and key.
    pub fn parse(text: &str) -> Result<Self, TableError> {
        let table = toml::from_str(text).map_err(|cause| TableError::not_a_table(text, &cause))?;
        check::table(&table)?;
        Ok(table)
    }

    /// Reads an uplink's payload: its data, and warnings.
    ///
    /// # Errors
    /// [`CodecError::BadPayload`]: what the messages for this port (LoRaWAN's `FPort`) expected, and at which byte.
    pub fn decode(&self, f_port: u8, bytes: &[u8]) -> Result<(Data, Vec<String>), CodecError> {
        decode::decode(&self.uplink, self.endian, f_port, bytes).map_err(bad_payload)
    }

    /// Reads a downlink's payload, as [`Self::decode`] does an uplink's.
    ///
    /// # Errors
    /// Those of [`Self::decode`].
    pub fn decode_downlink(&self, f_port: u8, bytes: &[u8]) -> Result<(Data, Vec<String>), CodecError> {
        decode::decode(&self.downlink, self.endian, f_port, bytes).map_err(bad_payload)
    }

    /// Writes a command's payload, and the port it goes out on: the one asked for, else its message's first, if any.
    ///
    /// # Errors
    /// [`CodecError::BadCommand`]: what is wrong with the data, and what would be right.
    pub fn encode(&self, f_port: Option<u8>, data: &Data) -> Result<(Vec<u8>, Option<u8>), CodecError> {
        encode::encode(&self.downlink, self.endian, f_port, data).map_err(bad_command)
    }

    /// Writes an uplink's payload, as the device itself does: for whoever simulates one.
    ///
    /// # Errors
    /// Those of [`Self::encode`].
    pub fn encode_uplink(&self, f_port: Option<u8>, data: &Data) -> Result<(Vec<u8>, Option<u8>), CodecError> {
        encode::encode(&self.uplink, self.endian, f_port, data).map_err(bad_command)
    }
}

fn bad_payload(reason: String) -> CodecError {
    CodecError::BadPayload { format: "as the table says", reason }
}

fn bad_command(reason: String) -> CodecError {
    CodecError::BadCommand { format: "the table says", reason }
}
