//! TEMPORARY
pub struct Registry;
impl Registry {
    pub async fn run(self, stop: tokio_util::sync::CancellationToken) {
        stop.cancelled().await
    }
}
