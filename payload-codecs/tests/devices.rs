//! Runs every example of every shipped device folder through the device's own codec.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::time::Duration;

use payload_codecs::devices::{self, Device};
use payload_codecs::examples::{Example, Expected, Operation, Verdict, own};
use payload_codecs::{Limits, load};
use serde_json::{Map, Value};

/// Ample for a busy test machine.
const PATIENT: Limits = Limits { time: Duration::from_secs(20), memory: 8 << 20, stack: 256 << 10 };

#[test]
fn every_example_of_every_device_gives_what_it_says() {
    let mut failures = Vec::new();
    assert!(devices::all().len() >= 6, "only {} device folders were found", devices::all().len());
    for device in devices::all() {
        let examples = examples(device);
        assert!(!examples.is_empty(), "{} has no examples", device.id);
        // One codec for all examples of a device, so that a state left behind by one would show in the next.
        let mut codec = load(&device.source(), &PATIENT).unwrap();
        for example in &examples {
            let verdict = example.run(|call| call.make(codec.as_mut()));
            if verdict != Verdict::Pass {
                failures.push(format!("{}: {}: {verdict:?}", device.id, example.description));
            }
        }
    }
    assert!(failures.is_empty(), "{} examples failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_command_of_every_device_is_encoded_in_some_example() {
    for device in devices::all() {
        let examples = examples(device);
        for command in &device.commands {
            let sent = |example: &Example| {
                let data = example.input.data.as_ref().map(|data| serde_json::from_str(data.get()).unwrap());
                let data: Value = data.unwrap_or_default();
                example.operation == Operation::EncodeDownlink
                    && matches!(example.expected, Expected::Result(_))
                    && data.get(&command.field).is_some()
            };
            assert!(examples.iter().any(sent), "{} has no example that sends {}", device.id, command.field);
        }
    }
}

#[test]
fn every_field_that_a_device_names_is_decoded_in_some_example() {
    for device in devices::all() {
        let examples = examples(device);
        let results = examples.iter().filter_map(|example| match &example.expected {
            Expected::Result(result) => result["data"].as_object(),
            Expected::Failure(_) => None,
        });
        let shown: Vec<_> = results.flat_map(Map::keys).collect();
        for field in &device.fields {
            let found = shown.iter().any(|key| device.field(key).is_some_and(|of_key| of_key.name == field.name));
            assert!(found, "{} has no example that shows {}", device.id, field.name);
        }
    }
}

fn examples(device: &Device) -> Vec<Example> {
    own(device.examples).unwrap_or_else(|cause| panic!("{}: {cause}", device.id))
}
