//! `codec run`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{codec, fixtures};

const TANK: &str = "ttn/vendor/acme/tank-codec.yaml";

fn question(id: impl Into<Value>, op: &str, input: Value) -> String {
    json!({"id": id.into(), "codec": TANK, "op": op, "input": input}).to_string()
}

#[test]
fn each_line_is_answered_in_its_place() {
    let lines = [
        question(1, "decodeUplink", json!({"bytes": [0, 125, 12, 7], "fPort": 2, "recvTime": "2026-11-21T06:00:00Z"})),
        question("two", "encodeDownlink", json!({"data": {"pump": "on"}})),
        question(json!({"n": 3}), "decodeDownlink", json!({"bytes": [1], "fPort": 9})),
        question(4, "normalizeUplink", json!({"data": {"voltage": 3, "at": "2026-11-21T06:00:00Z"}})),
        question(5, "decodeUplink", json!({"bytes": [1], "fPort": 7})),
    ];
    let told = codec(&["run"], lines.join("\n"));
    let data = json!({"level": 1.25, "voltage": 3.079, "at": "2026-11-21T06:00:00.000Z"});
    let expected = [
        json!({"id": 1, "ok": true, "output": {"data": data, "warnings": []}}),
        json!({"id": "two", "ok": true, "output": {"bytes": [1], "fPort": 9, "warnings": []}}),
        json!({"id": {"n": 3}, "ok": true, "output": {"data": {"pump": "on"}, "warnings": []}}),
        json!({"id": 4, "ok": true, "output": {"data": [{"battery": 3, "time": "2026-11-21T06:00:00Z"}], "warnings": []}}),
        json!({"id": 5, "ok": false, "error": "the codec reports: unknown port 7"}),
    ];
    assert_eq!((told.json_lines(), told.code), (expected.to_vec(), Some(0)), "{}", told.err);
}

#[test]
fn a_bad_line_is_answered_and_the_next_one_too() {
    let long = format!("{{\"id\": 6, \"codec\": \"{}\"}}", "x".repeat(2 << 20));
    let lines: Vec<(Vec<u8>, Value, &str)> = vec![
        (b"nonsense".to_vec(), Value::Null, "line 1"),
        (b"{\"id\": 2}".to_vec(), json!(2), "codec"),
        (b"{\"id\": 3, \"codec\": \"\xff\"}".to_vec(), json!(3), "unicode"),
        (question(4, "guess", json!({})).into(), json!(4), "guess"),
        (question(5, "decodeUplink", json!({"fPort": 2})).into(), json!(5), "bytes"),
        (long.into(), Value::Null, "longer than"),
        (question(7, "decodeUplink", json!({"bytes": [256]})).into(), json!(7), "256"),
        (question(8, "decodeUplink", json!({"bytes": [], "recvTime": "noon"})).into(), json!(8), "input"),
        (question(9, "decodeUplink", json!(null)).into(), json!(9), "input"),
        (br#"{"id": 10, "codec": "nope.js", "op": "decodeUplink", "input": {}}"#.to_vec(), json!(10), "nope.js"),
        (b"[]".to_vec(), Value::Null, ""),
    ];
    let mut input: Vec<u8> = Vec::new();
    for (line, ..) in &lines {
        input.extend_from_slice(line);
        input.extend_from_slice(b"\n \r\n");
    }
    input.extend(question("good", "encodeDownlink", json!({"data": {}})).bytes());
    let told = codec(&["run"], input);
    let answers = told.json_lines();
    assert_eq!((answers.len(), told.code), (lines.len() + 1, Some(0)), "{}", told.out);
    for ((line, id, words), answer) in lines.iter().zip(&answers) {
        let line = String::from_utf8_lossy(&line[..line.len().min(80)]);
        let error = answer["error"].as_str().unwrap_or_default();
        assert_eq!((&answer["ok"], &answer["id"]), (&json!(false), id), "{line}: {answer}");
        assert!(!error.is_empty() && error.contains(words), "{line}: {error}");
    }
    assert_eq!(answers[lines.len()]["ok"], json!(true));
}

#[test]
fn an_answer_is_there_before_the_next_question() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ttn-ferry"))
        .args(["codec", "run", "--time-limit", "20s"])
        .current_dir(fixtures())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut asked, mut told) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    for id in 0..3 {
        writeln!(asked, "{}", question(id, "encodeDownlink", json!({"data": {}}))).unwrap();
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], json!(id));
    }
    // Nobody reads any more: it ends by itself, and quietly. Not always at the first line: a program that another test
    // starts at this moment may hold the pipe until it runs.
    drop(told);
    while writeln!(asked, "{}", question(9, "encodeDownlink", json!({"data": {}}))).is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(2));
}
