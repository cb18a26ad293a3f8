//! Compiles the C++ of `examples/mbed-node/` and holds it against the codec of `mbed/led-and-sensors`, both ways.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly and say why it skips")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use payload_codecs::{Codec, DownlinkInput, Limits, UplinkInput, devices, load};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

/// Ample for a busy test machine.
const PATIENT: Limits = Limits { time: Duration::from_secs(20), memory: 8 << 20, stack: 256 << 10 };

/// `pack T H B L I` prints an uplink in hex; `apply HEX` prints the settings after a downlink, or "refused".
const PROGRAM: &str = r#"
#include "payload.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
int main(int argc, char **argv) {
    if (argc == 7 && !strcmp(argv[1], "pack")) {
        payload::Report report = {strtof(argv[2], 0), strtof(argv[3], 0), (uint16_t)atoi(argv[4]), atoi(argv[5]) != 0,
                                  (uint16_t)atoi(argv[6])};
        uint8_t bytes[payload::UPLINK_SIZE];
        payload::pack_uplink(report, bytes);
        for (size_t i = 0; i < sizeof bytes; i++) printf("%02x", bytes[i]);
        return 0;
    }
    uint8_t bytes[64];
    size_t length = strlen(argv[2]) / 2;
    for (size_t i = 0; i < length; i++) sscanf(argv[2] + 2 * i, "%2hhx", &bytes[i]);
    payload::Settings settings = {false, 60};
    if (payload::apply_downlink(bytes, length, &settings)) printf("%d %u", settings.led, (unsigned)settings.interval_s);
    else printf("refused");
}
"#;

#[test]
fn what_the_node_packs_is_what_the_codec_reads() {
    let Some(node) = Node::compile() else { return };
    let cases = [
        (["21.5", "47.5", "3300", "1", "60"], json!([21.5, 47.5, 3.3, true, 60])),
        (["-12.34", "100", "2900", "0", "65535"], json!([-12.34, 100, 2.9, false, 65535])),
        (["-0.01", "0", "0", "0", "10"], json!([-0.01, 0, 0, false, 10])),
        (["nan", "nan", "3300", "1", "60"], json!([null, null, 3.3, true, 60])),
        (["1000", "130", "3300", "1", "60"], json!([327.67, 100, 3.3, true, 60])),
    ];
    for (report, expected) in cases {
        let bytes = hex::decode(node.run(&[&["pack"], &report[..]].concat())).unwrap();
        let decoded = codec().decode_uplink(&UplinkInput { bytes: &bytes, f_port: 15, recv_time_ms: None }).unwrap();
        let data: Value = serde_json::from_str(decoded.data.get()).unwrap();
        let values: Vec<_> = ["temperature", "humidity", "battery", "led", "interval"].map(|key| &data[key]).into();
        assert_eq!(json!(values), expected, "{report:?}");
    }
}

#[test]
fn what_the_codec_encodes_is_what_the_node_obeys() {
    let Some(node) = Node::compile() else { return };
    for (command, settings) in [
        (json!({"led": true}), "1 60"),
        (json!({"led": false}), "0 60"),
        (json!({"interval": 10}), "0 10"),
        (json!({"led": true, "interval": 65535}), "1 65535"),
    ] {
        let data = to_raw_value(&command).unwrap();
        let encoded = codec().encode_downlink(&DownlinkInput { data: &data, f_port: None }).unwrap();
        assert_eq!(encoded.f_port, Some(15));
        assert_eq!(node.run(&["apply", &hex::encode(encoded.bytes)]), settings, "{command}");
    }
}

#[test]
fn a_malformed_downlink_changes_nothing_on_the_node() {
    let Some(node) = Node::compile() else { return };
    for bytes in ["01", "0102", "02", "0200", "020009", "03", "010103"] {
        assert_eq!(node.run(&["apply", bytes]), "refused", "{bytes}");
    }
}

/// The node's payload functions as a program of this machine.
struct Node {
    program: PathBuf,
    _folder: tempfile::TempDir,
}

impl Node {
    /// None, with a word on standard error, where there is no C++ compiler.
    fn compile() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("node.cpp"), folder.path().join("node"));
        std::fs::write(&source, PROGRAM).unwrap();
        let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mbed-node");
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        let mut command = Command::new(compiler);
        command.args(["-std=c++14", "-Wall", "-Wextra", "-Werror", "-I"]).arg(header);
        let Ok(compiled) = command.arg(&source).arg("-o").arg(&program).output() else {
            eprintln!("skipped: no C++ compiler on this machine");
            return None;
        };
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        Some(Self { program, _folder: folder })
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(&self.program).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

fn codec() -> Box<dyn Codec> {
    let device = devices::find("mbed/led-and-sensors").unwrap();
    load(&device.source(), &PATIENT).unwrap()
}
