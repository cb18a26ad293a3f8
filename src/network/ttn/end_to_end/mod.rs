//! End-to-end encryption: payloads that the network carries and cannot read.
//!
//! A Join Server may wrap a session's AppSKey with a key that the network does not have. Then uplinks come encrypted, with
//! the wrapped key beside them, and downlinks must be encrypted here, under a frame counter that is managed here.

mod cipher;
mod keys;

pub use cipher::{AppSKey, DevAddr, Direction};
pub use keys::{InvalidKey, KeyEnvelope, Keys, NoKey, check_app_s_key, check_kek};
