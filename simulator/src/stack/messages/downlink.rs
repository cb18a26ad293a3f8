//! Downlinks in events and in the queue listing.

use serde::Serialize;
use serde_json::Value;

use super::super::queue::{Downlink, Numbered, Priority, Retry};
use super::{Failure, base64, is_default, is_false};

/// One downlink as events and the queue listing show it.
#[derive(Debug, Clone, Serialize)]
pub struct ApplicationDownlink {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub session_key_id: String,
    #[serde(skip_serializing_if = "is_default")]
    pub f_port: u8,
    #[serde(skip_serializing_if = "is_default")]
    pub f_cnt: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub frm_payload: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_payload: Option<Value>,
    #[serde(skip_serializing_if = "is_false")]
    pub confirmed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_b_c: Option<Value>,
    #[serde(skip_serializing_if = "is_default")]
    pub priority: Priority,
    pub correlation_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_retry: Option<Retry>,
}

impl ApplicationDownlink {
    /// As accepted: neither session nor frame counter are known yet, unless the sender gave them.
    pub fn queued(downlink: &Downlink) -> Self {
        Self {
            session_key_id: downlink.session_key_id.clone().unwrap_or_default(),
            f_port: downlink.f_port,
            f_cnt: downlink.f_cnt.unwrap_or(0),
            frm_payload: base64(&downlink.payload),
            decoded_payload: downlink.decoded_payload.clone(),
            confirmed: downlink.confirmed,
            class_b_c: downlink.class_b_c.clone(),
            priority: downlink.priority,
            correlation_ids: downlink.correlation_ids.clone(),
            confirmed_retry: downlink.retry,
        }
    }

    /// In a session, under its frame counter.
    pub fn numbered(item: &Numbered, session_key_id: &[u8]) -> Self {
        Self { session_key_id: base64(session_key_id), f_cnt: item.f_cnt, ..Self::queued(&item.downlink) }
    }

    /// As transmitted: `class_b_c` and `confirmed_retry` are not told, the ids of the transmission are.
    pub fn sent(item: &Numbered, session_key_id: &[u8], correlation_ids: Vec<String>) -> Self {
        Self { class_b_c: None, confirmed_retry: None, correlation_ids, ..Self::numbered(item, session_key_id) }
    }
}

/// What the network cannot send any more, because a frame of its own took its number; often nothing.
#[derive(Debug, Clone, Serialize)]
pub struct QueueInvalidated {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub downlinks: Vec<ApplicationDownlink>,
    #[serde(skip_serializing_if = "is_default")]
    pub last_f_cnt_down: u32,
    pub session_key_id: String,
}

/// A downlink that will not be delivered, and why.
#[derive(Debug, Clone, Serialize)]
pub struct DownlinkFailed {
    pub downlink: ApplicationDownlink,
    pub error: Failure,
}
