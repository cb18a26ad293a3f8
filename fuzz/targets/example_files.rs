//! Files of examples, ours and those of others: whatever the text, examples or what is wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use payload_codecs::examples::{Operation, own, published};

fuzz_target!(|text: &str| {
    if let Ok(examples) = own(text) {
        assert!(examples.iter().all(|example| !example.operation.name().is_empty()));
    }
    if let Ok(serde_json::Value::Array(entries)) = serde_json::from_str(text) {
        for operation in [Operation::DecodeUplink, Operation::EncodeDownlink] {
            assert_eq!(published(operation, &entries).len(), entries.len());
        }
    }
});
