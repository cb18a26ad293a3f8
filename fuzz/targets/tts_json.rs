//! A message of The Things Stack: whatever the bytes, a message or a reason.
#![no_main]

use bytes::Bytes;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use ttn_ferry::model::{ApplicationName, DeviceId};
use ttn_ferry::network::RawMessage;
use ttn_ferry::network::ttn::parse_message;

fuzz_target!(|payload: &[u8]| {
    let application = ApplicationName::parse("app").expect("a plain name");
    let device = DeviceId::parse("node-1").expect("a plain id");
    let raw = RawMessage {
        topic: Bytes::from_static(b"v3/app@ttn/devices/node-1/up"),
        payload: Bytes::copy_from_slice(payload),
        at: Timestamp::UNIX_EPOCH,
        backfilled: false,
    };
    if let Err(unreadable) = parse_message(&application, device, &raw) {
        assert!(!unreadable.to_string().is_empty());
    }
});
