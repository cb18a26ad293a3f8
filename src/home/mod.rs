//! x
mod config;
pub use config::{DeviceConfig, HomeConfig};
