//! Errors as The Things Stack describes them: in `down/failed` events and in the bodies of HTTP answers.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{base64, request_id};

/// One error, named by its namespace and name.
#[derive(Debug, Clone, PartialEq, Serialize, thiserror::Error)]
#[error("error:{namespace}:{name} ({message_format})")]
pub struct Failure {
    pub namespace: &'static str,
    pub name: &'static str,
    pub message_format: &'static str,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    pub correlation_id: String,
    /// gRPC status code.
    pub code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Box<[Value; 1]>>,
}

impl Failure {
    /// An error without attributes. `code` is a gRPC status code.
    pub fn new(code: u32, namespace: &'static str, name: &'static str, message_format: &'static str) -> Self {
        Self {
            namespace,
            name,
            message_format,
            attributes: Map::new(),
            correlation_id: request_id(),
            code,
            details: None,
        }
    }

    /// Adds a value for a place holder of the message.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.insert(key.to_owned(), value.into());
        self
    }

    /// The device has no session to encrypt for.
    pub fn no_device_session() -> Self {
        let text = "no device session; check device activation";
        Self::new(9, "pkg/applicationserver", "no_device_session", text)
    }

    /// A raw payload without a port.
    pub fn no_f_port() -> Self {
        Self::new(3, "pkg/applicationserver", "no_f_port", "no FPort")
    }

    /// Neither a raw nor a decoded payload.
    pub fn no_payload() -> Self {
        Self::new(3, "pkg/applicationserver", "no_payload", "no payload")
    }

    /// A confirmed downlink was never acknowledged.
    pub fn max_retries_reached(max_retries: u32) -> Self {
        let text = "maximum number of retries ({max_retries}) reached";
        // The counter is printed as a string by the real one, unlike `length` below.
        Self::new(10, "pkg/applicationserver", "max_retries_reached", text).with("max_retries", max_retries.to_string())
    }

    /// The payload does not fit, either any data rate of the band or the one at hand.
    pub fn too_long(length: usize, max: usize) -> Self {
        let text = "application downlink payload length `{length}` exceeds maximum '{max}'";
        Self::new(3, "pkg/networkserver", "application_downlink_too_long", text)
            .with("length", length)
            .with("max", max.to_string())
    }

    /// The gateway refused to transmit.
    pub fn transmission(result: &str) -> Self {
        let text = "downlink transmission failed with result `{result}`";
        Self::new(2, "pkg/networkserver", "transmission", text).with("result", result)
    }

    /// The device's queue is full.
    pub fn queue_capacity() -> Self {
        Self::new(8, "pkg/networkserver", "downlink_queue_capacity", "downlink queue capacity exceeded")
    }

    /// Too many requests in too short a time.
    pub fn rate_limit_exceeded(key: &str, rate: u32) -> Self {
        let text = "rate limit of `{rate}` accesses per minute exceeded for resource `{key}`";
        Self::new(8, "pkg/ratelimit", "rate_limit_exceeded", text).with("key", key).with("rate", rate.to_string())
    }

    /// A number that is taken, where senders number their downlinks themselves.
    pub fn f_cnt_too_low(f_cnt: u32, min: u32) -> Self {
        let text = "FCnt `{f_cnt}` is lower than minimum of `{min_f_cnt}`";
        Self::new(3, "pkg/networkserver", "f_cnt_too_low", text)
            .with("f_cnt", f_cnt.to_string())
            .with("min_f_cnt", min.to_string())
    }

    /// A session that is not the device's present one.
    pub fn unknown_session() -> Self {
        Self::new(5, "pkg/networkserver", "unknown_session", "unknown session")
    }

    /// Adds which session and number it should have been.
    pub fn with_session(mut self, dev_addr: [u8; 4], session_key_id: &str, min_f_cnt_down: u32) -> Self {
        self.details = Some(Box::new([json!({
            "@type": "type.googleapis.com/ttn.lorawan.v3.DownlinkQueueOperationErrorDetails",
            // In here an address is base64.
            "dev_addr": base64(&dev_addr),
            "session_key_id": session_key_id,
            "min_f_cnt_down": min_f_cnt_down,
        })]));
        self
    }

    /// A field outside its range.
    pub fn validation(field: &str, reason: &str) -> Self {
        let text = "invalid `{field}`: {reason}";
        Self::new(3, "pkg/errors", "validation", text).with("field", field).with("reason", reason)
    }

    /// No such device in this application.
    pub fn device_not_found(device_uid: &str) -> Self {
        Self::new(5, "pkg/deviceregistry", "device_not_found", "device `{device_uid}` not found")
            .with("device_uid", device_uid)
    }

    /// The body of an HTTP answer that carries this error.
    pub fn body(&self) -> Value {
        let mut detail = json!({"@type": "type.googleapis.com/ttn.lorawan.v3.ErrorDetails"});
        if let (Some(detail), Ok(Value::Object(fields))) = (detail.as_object_mut(), serde_json::to_value(self)) {
            detail.extend(fields);
        }
        json!({"code": self.code, "message": self.message(), "details": [detail]})
    }

    fn message(&self) -> String {
        let fill = |text: String, (key, value): (&String, &Value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.replace(&format!("{{{key}}}"), &value)
        };
        let text = self.attributes.iter().fold(self.message_format.to_owned(), fill);
        format!("error:{}:{} ({text})", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_names_the_error_twice_and_fills_in_its_attributes() {
        let body = Failure::too_long(250, 242).body();
        assert_eq!(body["code"], 3);
        assert_eq!(body["details"][0]["name"], "application_downlink_too_long");
        assert_eq!(
            body["message"],
            "error:pkg/networkserver:application_downlink_too_long \
             (application downlink payload length `250` exceeds maximum '242')"
        );
    }
}
