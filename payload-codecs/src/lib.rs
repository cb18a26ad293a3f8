//! Turns the payloads of LoRaWAN devices into JSON and commands into payloads: engines, and one folder per device.
//!
//! Pure computation: no I/O, no clock but the one a codec is timed with, no async. A caller picks a [`Source`] (a script, a table,
//! Cayenne LPP, or a shipped [`devices::Device`]'s), [`load`]s it on the thread that will run it, and then decodes and
//! encodes. What a codec does wrong, an endless loop included, comes back as a [`CodecError`].
//!
//! ```
//! use payload_codecs::{Limits, UplinkInput, devices, load};
//!
//! let device = devices::find("generic/cayenne-lpp").expect("it is shipped");
//! let mut codec = load(&device.source(), &Limits::default())?;
//! let uplink = UplinkInput { bytes: &[3, 103, 1, 16], f_port: 1, recv_time_ms: None };
//! assert_eq!(codec.decode_uplink(&uplink)?.data.get(), r#"{"temperature_3":27.2}"#);
//! # Ok::<(), payload_codecs::CodecError>(())
//! ```
//!
//! | to learn about | open |
//! |---|---|
//! | the types callers use | `codec.rs`, `error.rs`, `lint.rs` |
//! | how a stranger's script is run | `javascript/` |
//! | codecs that are tables | `table/` |
//! | the fixed format of Cayenne LPP | `cayenne_lpp.rs` |
//! | what fields and commands are, for a home | `metadata.rs` |
//! | examples: reading, running and comparing them | `examples/` |
//! | the files of a device repository | `repository.rs` |
//! | what decoded fields mean, in terms that all devices share | `normalized/` |
//! | the shipped devices | `devices/` here, and the folders in `payload-codecs/devices/` |

mod by_direction;
mod cayenne_lpp;
mod codec;
pub mod devices;
mod error;
pub mod examples;
mod javascript;
mod lint;
pub mod metadata;
pub mod normalized;
pub mod repository;
pub mod table;

pub use codec::{
    Codec, Decoded, DownlinkInput, Encoded, Engines, Functions, Limits, Naming, Normalized, Reading, Source,
    UplinkInput, load, normalize, read_uplink,
};
pub use error::CodecError;
pub use lint::{Finding, FindingKind, Lint, lint};
