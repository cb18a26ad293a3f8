//! Scripts that loop, recurse, hoard or return traps: each is a clean error, and the codec works again afterwards.

use std::time::{Duration, Instant};

use payload_codecs::{CodecError, Engines, Limits, load};
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

/// QuickJS does not look at the clock inside of these, so nothing here can stop them: each ends by itself, if late.
#[test]
fn a_native_loop_that_ends_leaves_a_working_codec() {
    for body in [
        "new Array(2e6).join();",
        "new Array(1e5).fill(0).map(function (_, i) { return 1e5 - i; }).sort();",
        "new Array(4e6).indexOf(1);",
        "'ab'.repeat(2e6).lastIndexOf('ba' + 'b'.repeat(50));",
        "JSON.stringify(new Array(2e5).fill('text'));",
        "return {data: {a: new Array(5e6)}};",
        "return {data: {a: {length: 1e9}, b: 3n ** 20000n > 1n}};",
        "'x'.repeat(4e6).split('');",
        "String.fromCharCode.apply(null, new Array(60000).fill(65));",
        "Array.from({length: 1e6}).reverse().concat([1]).slice(1).flat();",
        "new Uint8Array(7e6).sort().reverse().fill(1).join('');",
    ] {
        let mut codec = load(&source(&misbehaving(body)), &SHORT).unwrap();
        let _ = uplink(codec.as_mut(), &[1]);
        let again = (0..50).find_map(|_| uplink(codec.as_mut(), &[0]).ok());
        assert_eq!(data(&again.unwrap()), json!({"ok": true}), "{body}");
    }
}

#[test]
fn a_script_that_misbehaves_while_it_loads_is_no_harm_to_the_next() {
    let engines = Engines::new(&SHORT).unwrap();
    for (script, what) in [
        ("for (;;);", "longer than 1000 ms"),
        ("var hoard = []; for (;;) hoard.push([hoard]);", "memory"),
        ("(function again() { return again() + 1; })();", "stack"),
        ("throw new Proxy({}, {get: function () { throw 1; }});", "does not load"),
        ("Object.prototype.decodeUplink = 1; throw null", "memory"),
        ("Object.defineProperty(globalThis, 'decodeUplink', {get: function () { throw new Error('trap'); }})", "trap"),
        ("globalThis.__proto__ = new Proxy({}, {has: function () { throw new Error('has'); }});", "no function"),
    ] {
        let error = engines.load(&source(script)).err().unwrap_or_else(|| panic!("{script} loads")).to_string();
        assert!(error.contains(what), "{script}: {error}");
        let mut next = engines.load(&source(&misbehaving(""))).unwrap();
        let again = (0..50).find_map(|_| uplink(next.as_mut(), &[0]).ok());
        assert_eq!(data(&again.unwrap()), json!({"ok": true}), "{script}");
    }
}

#[test]
fn an_endless_script_is_stopped_in_time() {
    let mut codec = load(&source(&misbehaving("for (;;);")), &SHORT).unwrap();
    let start = Instant::now();
    uplink(codec.as_mut(), &[1]).unwrap_err();
    // A busy machine may add to it; a clock that nobody looked at would not stop it at all.
    assert!((SHORT.time..Duration::from_secs(10)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[test]
fn a_hoarder_runs_out_of_memory_and_works_again() {
    for body in [
        "var hoard = []; for (;;) hoard.push({hoard: hoard});",
        "var chain = null; for (;;) chain = {chain: chain};",
        "var text = 'x'; for (;;) text += text + 'y';",
        "new Array(1e9).fill(1);",
        "Object.keys(new Proxy({}, {ownKeys: function () { return Array.from({length: 1e5}, (_, i) => 'k' + i); }}));",
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
    let script = source("function decodeUplink() { return {data: {a: [1, 2, 3].map(String)}}; }");
    for kibibytes in (1..600).step_by(7) {
        let limits = Limits { memory: kibibytes << 10, ..PATIENT };
        let told = load(&script, &limits).and_then(|mut codec| uplink(codec.as_mut(), &[]).map(drop));
        assert!(told.is_err() || kibibytes > 128, "{kibibytes} KiB are enough");
        assert!(told.is_ok() || kibibytes < 512, "{kibibytes} KiB: {told:?}");
    }
}
