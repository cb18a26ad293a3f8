//! TEMPORARY local stub until the downlink branch is merged. Never committed.
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
pub struct Downlinks {
    c: mpsc::Receiver<crate::home::HomeCommand>,
    t: mpsc::Receiver<crate::network::Tracked>,
    h: crate::home::Home,
}
#[derive(Clone)]
pub struct OpenDownlinks;
impl OpenDownlinks {
    pub fn count(&self) -> usize {
        0
    }
}
impl Downlinks {
    pub fn new(
        c: mpsc::Receiver<crate::home::HomeCommand>,
        t: mpsc::Receiver<crate::network::Tracked>,
        h: &crate::home::Home,
        _: &Arc<Mutex<crate::model::Directory>>,
        _: &crate::codecs::Codecs,
        _: &[Arc<dyn crate::network::NetworkServer>],
    ) -> Self {
        Self { c, t, h: h.clone() }
    }
    pub fn open(&self) -> OpenDownlinks {
        OpenDownlinks
    }
    pub async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        loop {
            tokio::select! { () = stop.cancelled() => return, Some(_) = self.t.recv() => {}, Some(_) = self.c.recv() => {} }
        }
    }
}
