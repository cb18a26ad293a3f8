//! Scripts that loop, recurse, hoard or return traps: each is a clean error, and the codec works again afterwards.

use std::time::Duration;

use payload_codecs::{CodecError, Limits, load};
use serde_json::json;

use crate::{PATIENT, data, loaded, returning, source, uplink};

const SHORT: Limits = Limits { time: Duration::from_millis(30), ..PATIENT };

/// A codec that does `body` when the first byte is 1, and answers properly otherwise.
fn misbehaving(body: &str) -> String {
    format!("function decodeUplink(input) {{ if (input.bytes[0] === 1) {{ {body} }} return {{data: {{ok: true}}}}; }}")
}

#[test]
fn an_endless_script_is_stopped_and_works_again() {
    for body in [
        "for (;;);",
        "while (true) { try { for (;;); } catch (e) {} finally { for (;;); } }",
        "/(a+)+b/.test('a'.repeat(40));",
        "return {data: {get trap() { for (;;); }}};",
        "return {data: new Proxy({}, {ownKeys: function () { for (;;); }})};",
        "return {errors: [{toString: function () { for (;;); }}]};",
        "throw {toString: function () { for (;;); }};",
    ] {
        let mut codec = load(&source(&misbehaving(body)), &SHORT).unwrap();
        for _ in 0..2 {
            let error = uplink(codec.as_mut(), &[1]).unwrap_err();
            assert_eq!(error, CodecError::TimedOut { limit: SHORT.time }, "{body}");
            assert_eq!(error.to_string(), "the codec took longer than 30 ms");
        }
        // A busy machine may make a good call late; that it answers at all is what counts.
        let again = (0..50).find_map(|_| uplink(codec.as_mut(), &[0]).ok());
        assert_eq!(data(&again.unwrap()), json!({"ok": true}), "{body}");
    }
}

#[test]
fn a_script_that_loops_while_it_loads_is_stopped() {
    let limit = Duration::from_secs(1);
    assert_eq!(load(&source("for (;;);"), &SHORT).err(), Some(CodecError::TimedOut { limit }));
}

#[test]
fn a_hoarder_runs_out_of_memory_and_works_again() {
    for body in [
        "var hoard = []; for (;;) hoard.push({hoard: hoard});",
        "var chain = null; for (;;) chain = {chain: chain};",
        "var text = 'x'; for (;;) text += text + 'y';",
        "new Array(1e9).fill(1);",
        "new Uint8Array(1e9);",
        "'x'.repeat(1e9);",
    ] {
        let mut codec = loaded(&misbehaving(body));
        for _ in 0..2 {
            let error = uplink(codec.as_mut(), &[1]).unwrap_err();
            let in_words = error.to_string();
            let refused = in_words.contains("RangeError: invalid") || in_words.contains("string too long");
            assert!(error == CodecError::OutOfMemory { limit: PATIENT.memory } || refused, "{body}: {error}");
        }
        assert_eq!(data(&uplink(codec.as_mut(), &[0]).unwrap()), json!({"ok": true}), "{body}");
    }
}

#[test]
fn memory_does_not_grow_from_message_to_message() {
    for (messages, garbage) in [
        // 16 KB in a circle each time: 8 MiB would hold 500 of them.
        (2000, "var big = new Array(1000).fill(0.5); big.push(big);"),
        // A callback that nobody runs keeps its data.
        (600, "var big = new Array(1000).fill(0.5); Promise.resolve().then(function () { return big; });"),
        (600, "leaked = new Array(1000).fill(0.5);"),
    ] {
        let mut codec = loaded(&format!("function decodeUplink() {{ {garbage} return {{data: {{ok: true}}}}; }}"));
        for _ in 0..messages {
            uplink(codec.as_mut(), &[0]).unwrap();
        }
    }
}

#[test]
fn endless_recursion_is_an_exception() {
    for body in [
        "(function again() { return again() + 1; })();",
        "var o = {toString: function () { return '' + o; }}; '' + o;",
        "JSON.stringify((function () { var a = []; for (var i = 0; i < 2e4; i++) a = [a]; return a; })());",
        "return {data: {get a() { return (function again() { return again() + 1; })(); }}};",
        "eval('['.repeat(50000));",
    ] {
        let mut codec = loaded(&misbehaving(body));
        let error = uplink(codec.as_mut(), &[1]).unwrap_err();
        assert!(matches!(error, CodecError::Threw { .. }), "{body}: {error:?}");
        assert_eq!(data(&uplink(codec.as_mut(), &[0]).unwrap()), json!({"ok": true}), "{body}");
    }
}

#[test]
fn traps_in_the_result_are_the_codecs_exceptions() {
    for expression in [
        "{get data() { throw new Error('trap'); }}",
        "{data: {get deep() { throw new Error('trap'); }}}",
        "{data: new Proxy({}, {ownKeys: function () { throw new Error('trap'); }})}",
        "{data: new Proxy({a: 1}, {get: function () { throw new Error('trap'); }})}",
        "new Proxy({}, {get: function () { throw new Error('trap'); }})",
        "{data: {}, warnings: [{toString: function () { throw new Error('trap'); }}]}",
    ] {
        let error = returning(expression).unwrap_err();
        assert!(
            matches!(&error, CodecError::Threw { message, .. } if message == "Error: trap"),
            "{expression}: {error:?}"
        );
    }
}

#[test]
fn a_revoked_proxy_and_a_lying_length_do_no_harm() {
    assert!(returning("{data: (() => { var r = Proxy.revocable({}, {}); r.revoke(); return r.proxy; })()}").is_err());
    assert!(returning("(() => { var r = Proxy.revocable({}, {}); r.revoke(); return r.proxy; })()").is_err());
    let decoded = returning("{data: {a: new Proxy([1], {get: (t, k) => k === 'length' ? -5 : t[k]})}}").unwrap();
    assert_eq!(data(&decoded), json!({"a": {"0": 1}}));
}

#[test]
fn a_script_of_a_quarter_megabyte_loads() {
    let table: String = (0..12_000).map(|n| format!("{n}: 'value number {n}',\n")).collect();
    assert!(table.len() > 250 << 10);
    let script =
        format!("var table = {{\n{table}}};\nfunction decodeUplink() {{ return {{data: {{v: table[11999]}}}}; }}");
    let mut codec = loaded(&script);
    assert_eq!(data(&uplink(codec.as_mut(), &[]).unwrap()), json!({"v": "value number 11999"}));
}

#[test]
fn a_long_message_is_cut() {
    let error = returning("{errors: ['x'.repeat(100000)]}").unwrap_err().to_string();
    assert!(error.len() < 1000, "{} bytes", error.len());
}

#[test]
fn limits_too_small_for_the_engine_are_an_error() {
    let limits = Limits { memory: 64 << 10, ..PATIENT };
    assert!(load(&source("function decodeUplink() { return {}; }"), &limits).is_err());
}
