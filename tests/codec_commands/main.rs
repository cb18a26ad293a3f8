//! `ttn-ferry codec` as people and programs run it: over folders in each layout, as a filter, with its exit codes.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod examples;
mod filter;
mod once;

use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// How long the machine may need for one call when it is busy: none of these tests is about the limit, but for those that
/// say so.
const PATIENT: &str = "20s";

/// What a run said, and how it ended.
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Told {
    fn json_lines(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    }
}

/// Runs `ttn-ferry codec …` with this on its standard input.
fn codec(arguments: &[&str], input: impl Into<Vec<u8>>) -> Told {
    codec_within(PATIENT, arguments, input)
}

fn codec_within(time_limit: &str, arguments: &[&str], input: impl Into<Vec<u8>>) -> Told {
    let mut command = Command::cargo_bin("ttn-ferry").unwrap();
    command.current_dir(fixtures()).env_remove("TTN_FERRY_CONFIG").write_stdin(input);
    let output = command.arg("codec").args(arguments).args(["--time-limit", time_limit]).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Told { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// Small codecs and examples in each layout.
fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/codecs"))
}

#[test]
fn a_wrong_command_line_is_64() {
    for arguments in [
        &[][..],
        &["test"],
        &["decode", "single/plug.js", "01"],
        &["decode", "single/plug.js", "--port", "0", "01"],
        &["decode", "single/plug.js", "--port", "1", "0x0"],
        &["encode", "single/plug.js", "{"],
        &["guess"],
    ] {
        assert_eq!(codec(arguments, "").code, Some(64), "{arguments:?}");
    }
}
