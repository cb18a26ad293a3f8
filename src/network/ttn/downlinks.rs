//! TEMPORARY
use crate::model::*;
use crate::network::PushError;
pub struct Downlinks;
impl Downlinks {
    pub async fn push(&self, _: &DeviceId, _: &[QueuedDownlink]) -> Result<(), PushError> {
        Ok(())
    }
    pub async fn replace(&self, _: &DeviceId, _: &[QueuedDownlink]) -> Result<(), PushError> {
        Ok(())
    }
    pub async fn waiting(&self, _: &DeviceId) -> Result<Vec<DownlinkId>, PushError> {
        Ok(vec![])
    }
}
