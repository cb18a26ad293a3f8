//! `codec decode`, `encode`, `decode-downlink`, `normalize`.

use serde_json::{Value, json};

use crate::{codec, codec_within};

const TANK: &str = "ttn/vendor/acme/tank-codec.yaml";

#[test]
fn an_uplink_is_decoded_and_normalized() {
    let bytes = ["007d0c07", "00 7D 0C 07", "0x00 0x7d 0x0c 0x07", "base64:AH0MBw=="];
    for (bytes, input) in bytes.map(|bytes| (bytes, "")).into_iter().chain([("-", "00 7d\n0c 07\n")]) {
        let time = "2026-11-21T07:00:00+01:00";
        let told = codec(&["decode", TANK, "--port", "2", "--time", time, "--json", bytes], input);
        let data = json!({"level": 1.25, "voltage": 3.079, "at": "2026-11-21T06:00:00.000Z"});
        let normalized = json!([{"battery": 3.079, "time": "2026-11-21T06:00:00.000Z"}]);
        let expected = json!({"data": data, "normalized": normalized, "warnings": []});
        assert_eq!((told.json_lines(), told.code), (vec![expected], Some(0)), "{bytes}: {}", told.err);
    }
}

#[test]
fn people_get_the_fields_laid_out_and_the_rest_as_talk() {
    let told = codec(&["decode", "own/acme/lamp", "--port", "7", "0164"], "");
    assert_eq!(serde_json::from_str::<Value>(&told.out).unwrap(), json!({"on": true, "brightness": 50}));
    assert!(told.out.lines().count() > 1 && told.err.is_empty(), "{}{}", told.out, told.err);
    let told = codec(&["decode", "own/acme/lamp", "--port", "7", "01"], "");
    assert_eq!((told.code, told.out.as_str()), (Some(1), ""));
    assert!(told.err.contains("expected 2 bytes, got 1"), "{}", told.err);
    let told = codec(&["decode", "own/acme/lamp", "--port", "7", "--json", "01"], "");
    assert_eq!((told.json_lines(), told.code), (vec![json!({"errors": ["expected 2 bytes, got 1"]})], Some(1)));
}

#[test]
fn a_command_is_encoded_in_hex_and_base64_with_its_port() {
    let told = codec(&["encode", TANK, r#"{"pump": "on"}"#], "");
    assert_eq!((told.out.as_str(), told.code), ("hex     01\nbase64  AQ==\nport    9\n", Some(0)));
    let told = codec(&["encode", TANK, "--json", "-"], r#"{"pump": "on"}"#);
    let expected = json!({"hex": "01", "base64": "AQ==", "f_port": 9, "warnings": []});
    assert_eq!((told.json_lines(), told.code), (vec![expected], Some(0)));
    // A codec that names no port leaves it to whoever asks, and then to LoRaWAN's first.
    let told = codec(&["encode", "cayenne-lpp", "--json", "--port", "12", r#"{"value_1": 2}"#], "");
    assert_eq!(told.json_lines()[0]["f_port"], 12);
    let told = codec(&["encode", "cayenne-lpp", "--json", r#"{"value_1": 2}"#], "");
    assert_eq!(told.json_lines()[0]["f_port"], 1);
}

#[test]
fn a_downlink_is_decoded_by_the_script_that_can() {
    let told = codec(&["decode-downlink", TANK, "--port", "9", "--json", "00"], "");
    assert_eq!(told.json_lines(), [json!({"data": {"pump": "off"}, "warnings": []})]);
    let told = codec(&["decode-downlink", "single/plug.js", "--port", "9", "00"], "");
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("no function decodeDownlink"), "{}", told.err);
}

#[test]
fn fields_are_normalized_by_a_codec_that_can() {
    let told = codec(&["normalize", TANK, "--json", r#"{"voltage": 3, "at": "2026-11-21T06:00:00Z"}"#], "");
    assert_eq!(told.json_lines()[0]["data"], json!([{"battery": 3, "time": "2026-11-21T06:00:00Z"}]));
    let told = codec(&["normalize", "single/plug.js", "{}"], "");
    assert_eq!(told.code, Some(1));
    assert!(told.err.contains("no function normalizeUplink"), "{}", told.err);
}

#[test]
fn a_codec_that_is_not_there_could_not_run_and_the_hint_names_those_that_are() {
    let told = codec(&["decode", "nope/nope", "--port", "1", "00"], "");
    assert_eq!((told.code, told.out.as_str()), (Some(2), ""));
    assert!(told.err.contains("nope/nope") && told.err.contains("mbed/led-and-sensors"), "{}", told.err);
    assert_eq!(codec(&["decode", "single", "--port", "1", "00"], "").code, Some(2), "a folder without a codec");
    assert_eq!(codec(&["encode", TANK, "-"], "{").code, Some(2), "standard input that is no JSON");
}

#[test]
fn a_table_has_a_header_and_a_script_has_none() {
    let told = codec(&["header", "mbed/led-and-sensors"], "");
    assert_eq!(told.code, Some(0), "{}", told.err);
    for part in ["#include <stdint.h>", "payload_pack_report(", "payload_parse_settings("] {
        assert!(told.out.contains(part), "{part}: {}", told.out);
    }
    let told = codec(&["header", "mbed/led-and-sensors", "--name", "my_node"], "");
    assert!(told.out.contains("my_node_pack_report(") && !told.out.contains("payload_pack_report("), "{}", told.out);
    let told = codec(&["header", "single/plug.js"], "");
    assert_eq!((told.code, told.out.as_str()), (Some(2), ""));
    assert!(told.err.contains("single/plug.js is no table"), "{}", told.err);
}

#[test]
fn a_codec_is_looked_over_without_a_payload() {
    let told = codec(&["lint", "ttn/vendor/acme/tank.js", "--json"], "");
    let looked = &told.json_lines()[0];
    let functions = json!(["decodeUplink", "normalizeUplink", "encodeDownlink"]);
    assert_eq!((&looked["loads"], &looked["functions"], told.code), (&json!(true), &functions, Some(0)));
    let kept = looked["findings"].as_array().unwrap();
    assert!(kept.iter().any(|found| found["kind"] == "kept_state" && found["name"] == "voltage"), "{looked}");
    let told = codec(&["lint", "single/plug.js"], "");
    assert_eq!((told.out.as_str(), told.code), ("functions: Decoder\nnothing remarkable\n", Some(0)));
}

#[test]
fn a_codec_that_does_not_load_is_told_so_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.js");
    std::fs::write(&path, "var a = Date.now();\nfunction decodeUplink( {\n").unwrap();
    let told = codec(&["lint", path.to_str().unwrap()], "");
    assert_eq!(told.code, Some(1), "{}", told.err);
    assert!(told.out.contains("does not load") && told.out.contains("Date.now (line 1)"), "{}", told.out);
    let told = codec(&["lint", path.to_str().unwrap(), "--json"], "");
    assert_eq!(told.json_lines()[0]["loads"], json!(false));
    std::fs::write(&path, "new Array(0x7fffffff).join()").unwrap();
    let told = codec_within("300ms", &["lint", path.to_str().unwrap()], "");
    assert_eq!(told.code, Some(1), "{}", told.err);
    assert!(told.out.contains("did not come back"), "{}", told.out);
}

#[test]
fn what_a_script_says_does_no_more_to_a_screen_than_to_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loud.js");
    let script = r"function decodeUplink(input) {
        console.log('\x1b]0;title\x07\nnext\x9b2J');
        if (input.fPort === 2) { throw new Error('\x1b[2J'); }
        return {data: {}, warnings: ['\x1b[1mbold']}; }";
    std::fs::write(&path, script).unwrap();
    for (port, told) in [("1", "warning: [1mbold\n"), ("2", "error: the codec threw Error: [2J (line 3)\n")] {
        let said = codec(&["decode", path.to_str().unwrap(), "--port", port, "00"], "").err;
        assert_eq!(said, format!("console: ]0;title\nnext2J\n{told}"));
    }
    std::fs::write(&path, r"throw new Error('\x1b[2J')").unwrap();
    let told = codec(&["lint", path.to_str().unwrap()], "").out;
    assert_eq!(told, "the codec does not load: Error: [2J (line 1)\n");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["endless.yaml", "endless.js"] {
        let path = folder.path().join(name);
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        for arguments in [&["test", path.to_str().unwrap()][..], &["lint", path.to_str().unwrap()]] {
            let told = codec(arguments, "");
            assert_eq!(told.code, Some(2), "{arguments:?}: {}", told.out);
            assert!(told.err.contains("this is no file"), "{arguments:?}: {}", told.err);
        }
    }
}
