//! A table as a stranger may write it, and then a payload: a table that is taken reads whatever payload without harm,
//! describes itself, and makes a C header or says why not.
#![no_main]

use libfuzzer_sys::fuzz_target;
use payload_codecs::table::{Table, header};

// Text, NUL, payload: so that a seed is a plain table.
fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let (text, payload) = input.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else { return };
    match Table::parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(table) => {
            for f_port in [1, 15] {
                table.decode(f_port, payload).ok();
                table.decode_downlink(f_port, payload).ok();
            }
            (table.fields(), table.commands());
            header(&table, "fuzz").ok();
        }
    }
});
