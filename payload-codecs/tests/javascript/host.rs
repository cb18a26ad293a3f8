//! What a script finds around it: console, UTC dates, chance, Buffer and the text coders; and what it does not find.

use std::process::Command;

use payload_codecs::UplinkInput;
use serde_json::{Value, json};

use crate::{data, load_error, loaded, returning, uplink};

/// The value of an expression, as `decodeUplink` returns it.
fn value(expression: &str) -> Value {
    let decoded = returning(&format!("{{data: {{v: {expression}}}}}"));
    data(&decoded.unwrap_or_else(|error| panic!("{expression}: {error}")))["v"].clone()
}

fn check(cases: &[(&str, Value)]) {
    for (expression, expected) in cases {
        assert_eq!(value(expression), *expected, "{expression}");
    }
}

#[test]
fn what_a_script_writes_to_its_console_is_kept_for_who_asks() {
    let mut codec = loaded(
        "console.info('loading', 1); function decodeUplink(input) {
            console.log('bytes', input.bytes, {a: 1}, undefined, null, 'x'.repeat(2000));
            console.error(Symbol('s'), {toJSON: function () { throw 1; }}, function f() {}, 1n, '\\ud800');
            if (input.bytes[0] === 9) throw new Error('no');
            return {data: {}};
        }",
    );
    assert_eq!(codec.take_console(), ["loading 1"]);
    uplink(codec.as_mut(), &[9, 2]).unwrap_err();
    let lines = codec.take_console();
    assert!(lines[0].starts_with("bytes [9,2] {\"a\":1} undefined null xxxx"), "{}", lines[0]);
    assert_eq!(lines[0].chars().count(), 500);
    assert_eq!(lines[1], "Symbol(s) [object] function f() {} 1 \u{FFFD}");
    assert_eq!((lines.len(), codec.take_console().len()), (2, 0));
}

#[test]
fn a_chatty_script_is_cut_short() {
    let mut codec =
        loaded("function decodeUplink() { for (var i = 0; i < 5000; i++) console.log(i); return {data: {}}; }");
    for _ in 0..10 {
        uplink(codec.as_mut(), &[]).unwrap();
    }
    let lines = codec.take_console();
    assert_eq!((lines.len(), lines[63].as_str()), (64, "… and 4968 lines more"));
    assert_eq!(lines[62], "31");
}

#[test]
fn a_codec_may_define_what_the_host_gives() {
    for name in ["Buffer", "console", "atob", "TextDecoder", "Date", "Map", "undefined2"] {
        for script in [
            format!("var {name} = 7;"),
            format!("{name} = 7;"),
            format!("let {name} = 7;"),
            format!("const {name} = 7;"),
            format!("function {name}() {{}}; {name} = 7;"),
            format!("delete this.{name}; this.{name} = 7;"),
        ] {
            let mut codec = loaded(&format!("{script} function decodeUplink() {{ return {{data: {{v: {name}}}}}; }}"));
            assert_eq!(data(&uplink(codec.as_mut(), &[]).unwrap()), json!({"v": 7}), "{script}");
        }
        let shown = value(&format!("JSON.stringify(Object.getOwnPropertyDescriptor(globalThis, '{name}'))"));
        let open = shown
            .as_str()
            .is_none_or(|shown| shown.contains(r#""writable":true,"enumerable":false,"configurable":true"#));
        assert!(open, "{name}: {shown}");
    }
}

#[test]
fn there_is_no_way_out() {
    for name in ["require", "module", "process", "setTimeout", "fetch", "XMLHttpRequest", "std", "os", "print", "Intl"]
    {
        assert_eq!(value(&format!("typeof {name}")), "undefined", "{name}");
    }
    assert!(load_error("import('fs').then(0); import x from 'fs'").to_string().contains("SyntaxError"));
    check(&[
        (
            "(function () { try { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); } catch (e) { return e.name; } })()",
            json!("TypeError"),
        ),
        // A module that nobody can load is a promise that nobody waits for.
        ("typeof import('fs')", json!("object")),
        ("typeof Buffer2 + typeof ArrayBuffer", json!("undefinedfunction")),
    ]);
}

#[test]
fn chance_differs_from_call_to_call_and_is_spread_evenly() {
    let mut codec = loaded(
        "var early = Math.random(); function decodeUplink() {
            var low = 0, most = 0, least = 1;
            for (var i = 0; i < 4000; i++) {
                var n = Math.random(); low += n < 0.25; most = Math.max(most, n); least = Math.min(least, n);
            }
            return {data: {first: Math.random(), low: low, in: least >= 0 && most < 1 && most > 0.99 && least < 0.01}};
        }",
    );
    let answers: Vec<Value> = (0..3).map(|_| data(&uplink(codec.as_mut(), &[]).unwrap())).collect();
    assert_ne!(answers[0]["first"], answers[1]["first"]);
    assert_ne!(answers[1]["first"], answers[2]["first"]);
    for answer in answers {
        assert_eq!(answer["in"], true);
        let low = answer["low"].as_i64().unwrap();
        assert!((850..1150).contains(&low), "{low} of 4000 in the lowest quarter");
    }
}

#[test]
fn dates_are_utc() {
    let at = "new Date(1700000000123)";
    check(&[
        (&format!("{at}.getHours() * 100 + {at}.getMinutes()"), json!(2213)),
        (&format!("{at}.getTimezoneOffset()"), json!(0)),
        (
            &format!("[{at}.getFullYear(), {at}.getMonth(), {at}.getDate(), {at}.getDay(), {at}.getYear()]"),
            json!([2023, 10, 14, 2, 123]),
        ),
        (&format!("String({at})"), json!("Tue Nov 14 2023 22:13:20 GMT+0000 (UTC)")),
        (&format!("{at}.toDateString() + {at}.toTimeString()"), json!("Tue Nov 14 202322:13:20 GMT+0000 (UTC)")),
        (&format!("{at}.toLocaleString()"), json!("11/14/2023, 10:13:20 PM")),
        (&format!("{at} + 1"), json!("Tue Nov 14 2023 22:13:20 GMT+0000 (UTC)1")),
        (&format!("{at} - 0"), json!(1_700_000_000_123_i64)),
        ("new Date(2024, 6, 1, 12, 30)", json!("2024-07-01T12:30:00.000Z")),
        ("new Date(99, 0)", json!("1999-01-01T00:00:00.000Z")),
        (
            "(function () { var d = new Date(0); d.setHours(5); d.setDate(3); return d; })()",
            json!("1970-01-03T05:00:00.000Z"),
        ),
        ("(function () { var d = new Date(0); d.setYear(99); return d; })()", json!("1999-01-01T00:00:00.000Z")),
        ("new Date('2024-07-01T12:30:00')", json!("2024-07-01T12:30:00.000Z")),
        ("new Date('2024-07-01T12:30:00.250+02:00')", json!("2024-07-01T10:30:00.250Z")),
        ("new Date('07-01-2024 12:30')", json!("2024-07-01T12:30:00.000Z")),
        ("new Date('07-01-2024')", json!("2024-07-01T00:00:00.000Z")),
        ("new Date('+012024-07-01T12:30:00')", json!("+012024-07-01T12:30:00.000Z")),
        ("new Date('Mon Jul 01 2024 12:30:00 GMT-0500')", json!("2024-07-01T17:30:00.000Z")),
        ("new Date('2024-07-01 12:30 -05:00')", json!("2024-07-01T17:30:00.000Z")),
        ("new Date('2024-07-01T12:30:00.5-0500')", json!("2024-07-01T17:30:00.500Z")),
        ("new Date('2024-07-01T12:30Z')", json!("2024-07-01T12:30:00.000Z")),
        ("new Date('2024-07-01')", json!("2024-07-01T00:00:00.000Z")),
        ("new Date('Jul 1, 2024 12:30:00')", json!("2024-07-01T12:30:00.000Z")),
        ("new Date('2024/07/01 12:30')", json!("2024-07-01T12:30:00.000Z")),
        ("new Date('Mon, 01 Jul 2024 12:30:00 GMT')", json!("2024-07-01T12:30:00.000Z")),
        ("new Date(String(new Date(5000)))", json!("1970-01-01T00:00:05.000Z")),
        ("Date.parse('2024-03-10T02:30:00')", json!(1_710_037_800_000_i64)),
        ("new Date(new Date(7))", json!("1970-01-01T00:00:00.007Z")),
        ("new Date({valueOf: function () { return 9; }})", json!("1970-01-01T00:00:00.009Z")),
        ("String(new Date('nonsense')) + new Date(NaN).getHours()", json!("Invalid DateNaN")),
        ("typeof Date() + Date.length + Date.name + (new Date(0).constructor === Date)", json!("string7Datetrue")),
        ("new (class Own extends Date { hour() { return this.getHours(); } })(0).hour()", json!(0)),
        (
            "(Date.now() > 1.7e12) && (new Date() >= Date.now() - 1000) && Date.UTC(2000, 0) === +new Date(2000, 0)",
            json!(true),
        ),
    ]);
}

/// The zone is read from the environment when a process first asks for it, so another one must look.
#[test]
fn dates_are_utc_whatever_the_machines_zone_is() {
    let this = std::env::current_exe().unwrap();
    for zone in ["EST5EDT,M3.2.0,M11.1.0", "<+0545>-5:45"] {
        let tests = Command::new(&this).args(["--exact", "host::dates_are_utc"]).env("TZ", zone).output().unwrap();
        let said = String::from_utf8_lossy(&tests.stdout);
        assert!(tests.status.success() && said.contains("1 passed"), "{zone}: {said}");
    }
}

#[test]
fn buffers_do_what_codecs_need_of_them() {
    check(&[
        ("Buffer.from([1, 255, 256]).toString('hex')", json!("01ff00")),
        ("Buffer.from('01fFzz', 'hex')", json!([1, 255])),
        ("Buffer.from('AQL/', 'base64')", json!([1, 2, 255])),
        ("Buffer.from('é€😀').toString('base64')", json!("w6nigqzwn5iA")),
        ("Buffer.from('w6nigqzwn5iA', 'base64').toString()", json!("é€😀")),
        ("Buffer.from([0x41, 0xff, 0x42]).toString('utf8')", json!("A\u{FFFD}B")),
        ("Buffer.from(input.bytes).readUInt16BE(1) + Buffer.from(input.bytes).readUInt16LE(1)", json!(0x0203 + 0x0302)),
        ("Buffer.from([0xff, 0xfe]).readInt16BE(0)", json!(-2)),
        ("Buffer.from([0xff, 0xff, 0xfe]).readIntBE(0, 3)", json!(-2)),
        ("Buffer.from([1, 2, 3]).readUIntLE(0, 3)", json!(0x03_0201)),
        ("Buffer.from([0x41, 0xac, 0, 0]).readFloatBE(0)", json!(21.5)),
        (
            "(function () { var b = Buffer.alloc(4); b.writeInt16LE(-2, 1); b.writeUInt8(9, 3); return b; })()",
            json!([0, 254, 255, 9]),
        ),
        ("Buffer.concat([Buffer.from([1]), Buffer.from([2, 3])]).slice(1).length", json!(2)),
        ("Buffer.isBuffer(Buffer.alloc(1)) && !Buffer.isBuffer([])", json!(true)),
        ("[Buffer.from([1]).equals(Buffer.from([1])), Buffer.byteLength('é')]", json!([true, 2])),
        (
            "(function () { try { Buffer.alloc(1).readUInt16BE(0); } catch (e) { return e.name; } })()",
            json!("RangeError"),
        ),
        ("(function () { try { Buffer.from('x', 'nonsense'); } catch (e) { return e.name; } })()", json!("TypeError")),
    ]);
}

#[test]
fn texts_are_coded_as_browsers_do() {
    check(&[
        (
            "new TextEncoder().encode('é€😀\\ud800')",
            json!([195, 169, 226, 130, 172, 240, 159, 152, 128, 239, 191, 189]),
        ),
        ("new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 65, 0xe2, 0x82, 0xac]))", json!("A€")),
        (
            "new TextDecoder('utf-8').decode(new Uint8Array([0x41, 0xe2, 0x82, 0x42, 0xff, 0xf0, 0x9f]))",
            json!("A\u{FFFD}B\u{FFFD}\u{FFFD}"),
        ),
        (
            "new TextDecoder().decode(new Uint8Array([0xed, 0xa0, 0x80, 0xc0, 0x80]))",
            json!("\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
        ),
        ("new TextDecoder('latin1').decode(new Uint8Array([0xe9]).buffer)", json!("é")),
        (
            "(function () { try { new TextDecoder('utf-8', {fatal: true}).decode(new Uint8Array([255])); } catch (e) { return e.name; } })()",
            json!("TypeError"),
        ),
        ("btoa('hello') + atob('aGVsbG8=')", json!("aGVsbG8=hello")),
    ]);
}

#[test]
fn decoded_utf8_is_what_rust_makes_of_it() {
    use proptest::prelude::*;
    let script = "function decodeUplink(i) { return {data: {v: new TextDecoder().decode(new Uint8Array(i.bytes))}}; }";
    let codec = std::cell::RefCell::new(loaded(script));
    let odd =
        prop::sample::select(&[0x41u8, 0x80, 0xa0, 0x90, 0xbf, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf8, 0xff][..]);
    proptest!(ProptestConfig { failure_persistence: None, ..Default::default() }, |(bytes in prop::collection::vec(odd, 0..12))| {
        let input = UplinkInput { bytes: &bytes, f_port: 1, recv_time_ms: None };
        let seen = data(&codec.borrow_mut().decode_uplink(&input).unwrap());
        prop_assert_eq!(seen["v"].as_str().unwrap(), String::from_utf8_lossy(&bytes));
    });
}
