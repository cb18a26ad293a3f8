//! Cayenne LPP, up and down: whatever the bytes, fields or an error; and a command that was read can be written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use payload_codecs::{DownlinkInput, Limits, Source, UplinkInput, load, read_uplink};

fuzz_target!(|bytes: &[u8]| {
    let mut codec = load(&Source::CayenneLpp, &Limits::default()).expect("a built-in engine always loads");
    let input = UplinkInput { bytes, f_port: 1, recv_time_ms: None };
    if let Ok(reading) = read_uplink(codec.as_mut(), &input) {
        assert!(reading.data.get().starts_with('{'));
    }
    if let Ok(command) = codec.decode_downlink(&input) {
        let again = codec.encode_downlink(&DownlinkInput { data: &command.data, f_port: None });
        assert_eq!(again.is_ok(), command.data.get() != "{}", "{}", command.data);
    }
});
