//! What is said of a script before its device ever sends.

use payload_codecs::{CodecError, FindingKind, Functions, Naming, lint};

use crate::{PATIENT, source};

/// Kind, name and line of each finding.
fn findings(script: &str) -> Vec<(FindingKind, String, Option<u32>)> {
    let lint = lint(&source(script), &PATIENT);
    lint.findings.into_iter().map(|finding| (finding.kind, finding.name, finding.line)).collect()
}

#[test]
fn a_script_that_only_computes_has_no_findings() {
    let script = "// Date.now() in a comment, 'require' in a text\nvar table = {process: 'window', window: 1};
        const names = ['Math.random()'];
        function decodeUplink(input) {
            var date = new Date(input.bytes[0] * 1000);
            return {data: {t: input.bytes[0] / 2 /* setTimeout */, n: names[0], at: date.toISOString(), w: table.window}};
        }";
    assert_eq!(findings(script), []);
}

#[test]
fn clock_chance_and_zone_are_found_with_their_lines() {
    let script = "function decodeUplink(input) {
        var a = Date.now();
        var b = new Date();
        var c = Math.random();
        return {data: {hours: input.recvTime.getHours(), c: c > 2}};
    }";
    let expected = [
        (FindingKind::Now, "Date.now".to_owned(), Some(2)),
        (FindingKind::Now, "new Date()".to_owned(), Some(3)),
        (FindingKind::Random, "Math.random".to_owned(), Some(4)),
        (FindingKind::LocalTime, "getHours".to_owned(), Some(5)),
    ];
    assert_eq!(findings(script), expected);
}

#[test]
fn names_that_codecs_are_not_given_are_found() {
    let script = "if (typeof module !== 'undefined') module.exports = {};\nfunction decodeUplink() { setTimeout(1); return {}; }";
    let found = findings(script);
    assert_eq!(found[0], (FindingKind::UnknownGlobal, "setTimeout".to_owned(), Some(2)));
    let found = findings("function decodeUplink() { return {data: {v: lookup[1]}}; }");
    assert_eq!(found, [(FindingKind::UnknownGlobal, "lookup".to_owned(), None)]);
}

#[test]
fn state_kept_between_calls_is_found_by_name() {
    for (script, name) in [
        ("var last = 0; function decodeUplink(i) { last = i.fPort; return {data: {}}; }", "last"),
        ("let last = 0; function decodeUplink(i) { last++; return {data: {}}; }", "last"),
        ("const seen = []; function decodeUplink(i) { seen.push(1); return {data: {}}; }", "seen"),
        ("function Decoder(bytes, port) { undeclared = port; return {}; }", "undeclared"),
        ("function decodeUplink(i) { Array.prototype.last = 1; return {data: {}}; }", "Array.prototype.last"),
        ("function decodeUplink(i) { decodeUplink.n = 1; return {data: {}}; }", "decodeUplink"),
        (
            "var next = (function () { var n = 0; return function () { return n++; }; })();
             function decodeUplink(i) { return {data: {n: next()}}; }",
            "a second call answers otherwise",
        ),
    ] {
        let found = findings(script);
        assert!(found.contains(&(FindingKind::KeptState, name.to_owned(), None)), "{script}: {found:?}");
    }
}

#[test]
fn the_functions_of_a_script_are_told_or_why_it_does_not_load() {
    let script = "function Decoder() { return {}; } function encodeDownlink() {} function Encoder() {}";
    let expected = Functions {
        decode_uplink: Some(Naming::Older),
        encode_downlink: Some(Naming::Current),
        ..Functions::default()
    };
    assert_eq!(lint(&source(script), &PATIENT).functions, Ok(expected));
    let broken = lint(&source("function decodeUplink() { require('x')"), &PATIENT);
    assert!(matches!(broken.functions, Err(CodecError::Load { .. })));
    assert_eq!(broken.findings[0].to_string(), "names what codecs are not given: require (line 1)");
}

#[test]
fn a_script_that_never_ends_is_linted_too() {
    let limits = payload_codecs::Limits { time: std::time::Duration::from_millis(50), ..PATIENT };
    let lint = lint(&source("function decodeUplink() { for (;;) Math.random(); }"), &limits);
    assert_eq!(lint.findings.len(), 1);
}
