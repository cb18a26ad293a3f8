//! Payloads against a table with every kind of field: what was read can be written, and reads the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use payload_codecs::table::Table;

const EVERYTHING: &str = include_str!("everything.toml");

fuzz_target!(|input: (u8, &[u8])| {
    let (f_port, payload) = input;
    let table = Table::parse(EVERYTHING).expect("it is a table");
    if let Ok((data, _)) = table.decode_downlink(f_port, payload)
        && let Ok((bytes, _)) = table.encode(Some(f_port), &data)
    {
        let (again, _) = table.decode_downlink(f_port, &bytes).expect("what we wrote is a payload");
        assert_eq!(again, data);
    }
    table.decode(f_port, payload).ok();
});
