//! Which device something at home is about.

use super::{DeviceKey, HomeName};

/// A device, and what it is called at home now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    pub key: &'a DeviceKey,
    pub name: &'a HomeName,
}
