//! `codec test`.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{codec, codec_within};

/// Each example as `(file, operation, status)`, and the exit code.
fn run(paths: &[&str]) -> (Vec<(String, String, String)>, Option<i32>) {
    let told = codec(&[&["test", "--json"], paths].concat(), "");
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let lines = told.json_lines();
    let each = lines.iter().map(|line| (text(line, "file"), text(line, "op"), text(line, "status")));
    (each.collect(), told.code)
}

fn triples(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    expected.iter().map(|(file, op, status)| ((*file).into(), (*op).into(), (*status).into())).collect()
}

#[test]
fn a_device_repository_is_tested_as_it_is() {
    let (each, code) = run(&["ttn"]);
    let (tank, other) = ("ttn/vendor/acme/tank.js", "ttn/vendor/acme/tank-downlink.js");
    let expected = [
        (tank, "decodeUplink", "pass"),
        (tank, "decodeUplink", "pass"),
        (tank, "encodeDownlink", "pass"),
        (other, "decodeDownlink", "pass"),
    ];
    assert_eq!((each, code), (triples(&expected), Some(0)));
    let (named, code) = run(&["ttn/vendor/acme/tank-codec.yaml"]);
    assert_eq!((named, code), (triples(&expected), Some(0)));
    let (script, code) = run(&["ttn/vendor/acme/tank.js"]);
    assert_eq!((script, code), (triples(&expected[..3]), Some(0)));
}

#[test]
fn chirpstacks_profiles_are_tested_as_they_are_even_where_they_are_no_json() {
    let door = "chirpstack/vendors/acme/codecs/door.js";
    let expected = triples(&[(door, "decodeUplink", "pass"), (door, "encodeDownlink", "pass")]);
    assert_eq!(run(&["chirpstack"]), (expected.clone(), Some(0)));
    assert_eq!(run(&[door]), (expected, Some(0)));
}

#[test]
fn our_own_folders_and_single_scripts_are_tested() {
    let lamp = "own/acme/lamp";
    let expected =
        triples(&[(lamp, "decodeUplink", "pass"), (lamp, "decodeUplink", "pass"), (lamp, "encodeDownlink", "pass")]);
    for path in ["own", "own/acme/lamp", "own/acme/lamp/codec.js", "own/acme/lamp/device.toml"] {
        assert_eq!(run(&[path]), (expected.clone(), Some(0)), "{path}");
    }
    for path in ["single", "single/plug.js"] {
        assert_eq!(run(&[path]), (triples(&[("single/plug.js", "decodeUplink", "pass")]), Some(0)), "{path}");
    }
}

#[test]
fn every_shipped_device_passes() {
    let devices = concat!(env!("CARGO_MANIFEST_DIR"), "/payload-codecs/devices");
    let (each, code) = run(&[devices]);
    let others: Vec<_> = each.iter().filter(|(_, _, status)| status != "pass").collect();
    assert!(others.is_empty() && each.len() > 50, "{} examples, {others:?}", each.len());
    assert_eq!(code, Some(0));
}

#[test]
fn a_difference_is_told_with_its_path_and_some_failures_are_1() {
    let told = codec(&["test", "wrong"], "");
    assert_eq!(told.code, Some(1), "{}", told.err);
    let lines: Vec<_> = told.out.lines().collect();
    assert_eq!(lines[0], "pass  wrong/wrong.js decodeUplink: As it should be");
    assert_eq!(lines[1], "fail  wrong/wrong.js decodeUplink: Another number");
    assert_eq!(lines[2].trim_start(), "data.readings[1].value: expected 3, got 2");
    assert_eq!(lines[3], "error wrong/wrong.js decodeUplink: It throws");
    assert!(lines[4].contains("nothing there (line 2)"), "{}", lines[4]);
    assert!(lines[6].contains("256"), "{}", lines[6]);
    assert_eq!(lines[7], "1 file, 4 examples: 1 passed, 1 failed, 2 errors");
}

#[test]
fn programs_get_one_line_an_example() {
    let told = codec(&["test", "--json", "wrong"], "");
    let lines = told.json_lines();
    assert_eq!((told.code, lines.len()), (Some(1), 4));
    let mut failed = lines[1].clone();
    assert!(failed["us"].as_u64().is_some_and(|us| us > 0), "{failed}");
    failed["us"] = json!(0);
    let expected = json!({
        "file": "wrong/wrong.js", "op": "decodeUplink", "description": "Another number", "status": "fail",
        "diff": [{"path": "data.readings[1].value", "expected": 3, "got": 2}], "us": 0,
    });
    assert_eq!(failed, expected);
    assert_eq!((&lines[2]["status"], &lines[2]["diff"]), (&json!("error"), &json!([])));
    assert!(lines[2]["error"].as_str().unwrap().contains("nothing there"));
    assert!(told.err.contains("4 examples"), "the sum is talk: {}", told.err);
}

#[test]
fn without_an_example_or_without_a_file_it_could_not_run() {
    let empty = TempDir::new().unwrap();
    fs::write(empty.path().join("lonely.js"), "function decodeUplink() { return {data: {}} }").unwrap();
    let told = codec(&["test", empty.path().to_str().unwrap()], "");
    assert_eq!(told.code, Some(2), "{}", told.out);
    assert!(told.out.contains("0 examples") && told.err.contains("no example was found"), "{}{}", told.out, told.err);
    let told = codec(&["test", empty.path().join("lonely.js").to_str().unwrap()], "");
    assert_eq!(told.code, Some(2), "{}", told.out);
    let told = codec(&["test", "single", "nowhere"], "");
    assert_eq!((told.code, told.out.as_str()), (Some(2), ""), "{}", told.err);
    assert!(told.err.contains("nowhere"), "{}", told.err);
}

#[test]
fn files_that_cannot_be_read_count_as_errors_and_spoil_nothing_else() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a-codec.yaml", "uplinkDecoder: [");
    write(
        "b-codec.yaml",
        "uplinkDecoder:\n  fileName: b.js\n  examples:\n    - input: {bytes: []}\n      output: {}\n",
    );
    write("c.js", "function decodeUplink( {");
    write("c.examples.json", r#"[{"input": {"bytes": []}, "output": {}}]"#);
    write("d.js", "function decodeUplink() { return {data: {}} }");
    write("test_decode_d.json", "[{");
    write("e.js", "function decodeUplink() { return {data: {}} }");
    write("e.examples.json", r#"[{"input": {"bytes": []}, "output": {}}]"#);
    let told = codec(&["test", "--json", folder.path().to_str().unwrap()], "");
    let lines = told.json_lines();
    let of = |name: &str| {
        let ends = |line: &&Value| line["file"].as_str().is_some_and(|file| file.ends_with(name));
        let line = lines.iter().find(ends).unwrap_or_else(|| panic!("no {name} in {}", told.out));
        (line["status"].as_str().unwrap(), line["error"].as_str().unwrap_or_default().to_owned())
    };
    for (name, told) in
        [("a-codec.yaml", "a-codec.yaml"), ("b.js", "b.js"), ("c.js", "does not load"), ("d.js", "test_decode_d.json")]
    {
        let (status, error) = of(name);
        assert!(status == "error" && error.contains(told), "{name}: {status} {error}");
    }
    assert_eq!(of("e.js").0, "pass");
    assert_eq!((lines.len(), told.code), (5, Some(1)));
}

#[test]
fn a_codec_that_is_stuck_inside_the_engine_is_an_error_in_time_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    // Many seconds inside one call of the engine, which does not look at the clock there.
    let script = "function decodeUplink(input) {
        if (input.bytes[0]) { new Array(0x7fffffff).join(); }
        return {data: {}} }";
    write("stuck.js", script);
    let example = |byte: u8| json!({"input": {"bytes": [byte]}, "output": {}});
    write("stuck.examples.json", &json!([example(0), example(1), example(0)]).to_string());
    let started = Instant::now();
    let told = codec_within("500ms", &["test", "--json", folder.path().to_str().unwrap()], "");
    let took = started.elapsed();
    let status: Vec<_> = told.json_lines().iter().map(|line| line["status"].clone()).collect();
    assert_eq!((status, told.code), (vec![json!("pass"), json!("error"), json!("pass")], Some(1)), "{}", told.out);
    let stuck = &told.json_lines()[1];
    assert!(stuck["error"].as_str().unwrap().contains("500 ms"), "{stuck}");
    assert!(stuck["us"].as_u64().unwrap() >= 500_000, "{stuck}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_closed_counts_as_an_error_and_the_rest_goes_on() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(folder.path().join("open.js"), "function decodeUplink() { return {data: {}} }").unwrap();
    fs::write(folder.path().join("open.examples.json"), r#"[{"input": {"bytes": []}, "output": {}}]"#).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // To root nothing is closed.
    let is_closed = fs::read_dir(&closed).is_err();
    let told = codec(&["test", folder.path().to_str().unwrap()], "");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let sum =
        if is_closed { "2 files, 2 examples: 1 passed, 0 failed, 1 error" } else { "1 file, 1 example: 1 passed" };
    assert!(told.out.contains(sum), "{}{}", told.out, told.err);
    assert_eq!(told.code, Some(i32::from(is_closed)));
}
