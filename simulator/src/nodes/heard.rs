//! What a node received, for tests to count: did each downlink arrive exactly once?

use tokio::sync::watch;

/// Downlinks remembered; older ones are forgotten.
const MOST: usize = 100_000;

/// One application downlink as the node received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeardDownlink {
    /// The node's joins before it: 1 in its first session.
    pub session: u32,
    /// Unique within a session: the node drops frames it heard before.
    pub f_cnt: u32,
    /// 1 to 223
    pub f_port: u8,
    pub payload: Vec<u8>,
    pub confirmed: bool,
}

/// A handle on what a node received; it outlives the node.
#[derive(Debug, Clone)]
pub struct HeardDownlinks(watch::Receiver<Vec<HeardDownlink>>);

impl HeardDownlinks {
    /// Everything received so far, oldest first.
    pub fn all(&self) -> Vec<HeardDownlink> {
        self.0.borrow().clone()
    }

    /// How often this payload was received on this port. A confirmed downlink that the network sends again, because it
    /// missed the acknowledgement, counts again.
    pub fn times(&self, f_port: u8, payload: &[u8]) -> usize {
        self.0.borrow().iter().filter(|heard| heard.f_port == f_port && heard.payload == payload).count()
    }

    /// Waits until so many were received; false if the node ended before.
    pub async fn wait_for(&mut self, count: usize) -> bool {
        self.0.wait_for(|heard| heard.len() >= count).await.is_ok()
    }
}

/// The node's end.
#[derive(Debug, Default)]
pub struct Ear(watch::Sender<Vec<HeardDownlink>>);

impl Ear {
    pub fn hear(&self, downlink: HeardDownlink) {
        self.0.send_modify(|heard| {
            if heard.len() == MOST {
                heard.remove(0);
            }
            heard.push(downlink);
        });
    }

    pub fn handle(&self) -> HeardDownlinks {
        HeardDownlinks(self.0.subscribe())
    }
}
