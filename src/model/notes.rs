//! Where a network server writes down what it must know again after a restart.

use futures_util::future::BoxFuture;

use super::DeviceKey;

/// One note a device, in words that only its writer understands.
pub trait DeviceNotes: Send + Sync {
    /// Writes a note over the one before, soon; never fails, and is tried again while the disk does.
    fn note(&self, key: DeviceKey, body: String) -> BoxFuture<'_, ()>;

    /// The same. Returns as soon as no later note can come before this one, and then tells when it is on the disk.
    fn keep(&self, key: DeviceKey, body: String) -> BoxFuture<'_, Kept>;
}

/// Resolves once a note is on the disk; else to why it is not there yet. It may come there later.
pub type Kept = BoxFuture<'static, Result<(), String>>;
