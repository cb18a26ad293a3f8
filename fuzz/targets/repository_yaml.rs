//! The YAML files of a device repository: whatever the text, what it says or what is wrong; file names stay in their folder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use payload_codecs::examples::{Operation, repository};
use payload_codecs::repository::{CodecYaml, DeviceYaml};

fuzz_target!(|text: &str| {
    if let Ok(device) = DeviceYaml::parse(text) {
        device.codec("1.0", "EU_863_870");
    }
    if let Ok(codec) = CodecYaml::parse(text) {
        for function in codec.functions() {
            assert!(!function.file_name.starts_with('/') && function.file_name.split('/').all(|step| step != ".."));
            repository(Operation::DecodeUplink, &function.examples);
        }
    }
});
