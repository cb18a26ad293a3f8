//! The topics of The Things Stack: `v3/{application}[@{tenant}]/devices/{device}/{kind}`.

use crate::model::DeviceId;

/// The kinds the bridge subscribes to. Named one by one: `devices/#` would bring each normalised uplink a second time,
/// and on this server `…/up/#` does not match `…/up` (observed on The Things Stack 3.32).
const KINDS: [&str; 10] = [
    "up",
    "join",
    "down/queued",
    "down/sent",
    "down/ack",
    "down/nack",
    "down/failed",
    "down/invalidated",
    "location/solved",
    "service/data",
];

/// The topics of one application.
#[derive(Debug, Clone)]
pub struct TtnTopics {
    prefix: String,
}

impl TtnTopics {
    /// `uid` is `application@tenant`, or the bare application where there are no tenants.
    pub fn new(uid: &str) -> Self {
        Self { prefix: format!("v3/{uid}/devices/") }
    }

    /// Everything to subscribe to, in one SUBSCRIBE.
    pub fn filters(&self) -> Vec<String> {
        KINDS.iter().map(|kind| format!("{}+/{kind}", self.prefix)).collect()
    }

    /// The topic of one device's messages of this kind.
    pub fn of_device(&self, device: &str, kind: &str) -> String {
        format!("{}{device}/{kind}", self.prefix)
    }

    /// The device a topic belongs to; `None` if the topic is not one of this application's.
    pub fn device(&self, topic: &str) -> Option<DeviceId> {
        let (device, _kind) = topic.strip_prefix(&self.prefix)?.split_once('/')?;
        DeviceId::parse(device).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_tells_its_device() {
        let topics = TtnTopics::new("my-app@ttn");
        assert_eq!(topics.device("v3/my-app@ttn/devices/dev1/down/sent").unwrap().as_str(), "dev1");
        for other in ["v3/other@ttn/devices/dev1/up", "v3/my-app@ttn/devices/dev1", "v3/my-app@ttn/devices/D+/up", "x"]
        {
            assert_eq!(topics.device(other), None, "{other}");
        }
    }

    #[test]
    fn no_filter_asks_for_what_the_server_refuses() {
        for filter in TtnTopics::new("my-app@ttn").filters() {
            assert!(filter.starts_with("v3/my-app@ttn/devices/+/") && !filter.contains('#'), "{filter}");
        }
    }
}
