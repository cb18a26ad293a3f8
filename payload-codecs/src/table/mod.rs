//! A codec that is a table instead of a script: where each field lies, and what its bits mean.
//!
//! One table yields the decoder, the encoder, the home's fields and commands, and the C header of the device's own side.

mod model;

pub use model::{At, Endian, Field, Find, Flag, Message, Part, Ports, Repeat, Table, Type};
