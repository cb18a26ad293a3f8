//! Where a network server writes down what it must know again after a restart.

use futures_util::future::BoxFuture;

use super::DeviceKey;

/// One note a device, in words that only its writer understands.
pub trait DeviceNotes: Send + Sync {
    /// Writes a note over the one before, soon; never fails, and is tried again while the disk does.
    fn note(&self, key: DeviceKey, body: String) -> BoxFuture<'_, ()>;

    /// The same, and returns once it is on the disk.
    ///
    /// # Errors
    /// Why it is not there yet; it may come there later.
    fn keep(&self, key: DeviceKey, body: String) -> BoxFuture<'_, Result<(), String>>;
}
