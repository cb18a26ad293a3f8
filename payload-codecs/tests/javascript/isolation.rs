//! Nothing that one call leaves behind reaches the next.

use serde_json::json;

use crate::{data, loaded, returning, uplink};

#[test]
fn every_message_sees_a_fresh_state() {
    for state in [
        "var n = 0;",
        "let n = 0;",
        "n = 0;",
        "globalThis.n = 0;",
        "var n = 0; function count() { n++; } count(); n--;",
    ] {
        let mut codec = loaded(&format!("{state} function decodeUplink() {{ n++; return {{data: {{n: n}}}}; }}"));
        for _ in 0..3 {
            assert_eq!(data(&uplink(codec.as_mut(), &[]).unwrap()), json!({"n": 1}), "{state}");
        }
    }
}

#[test]
fn a_variable_never_declared_is_gone_in_the_next_call() {
    for leak in [
        "left = 1",
        "globalThis.left = 1",
        "Object.defineProperty(globalThis, 'left', {value: 1, configurable: true})",
        "Object.defineProperty(globalThis, 'left', {value: 1, enumerable: true})",
        "Promise.resolve().then(function () { left = 1; })",
        "globalThis[Symbol('left')] = 1; left = 1",
    ] {
        let script = format!(
            "function decodeUplink() {{ var before = typeof left; {leak}; return {{data: {{before: before}}}}; }}"
        );
        let mut codec = loaded(&script);
        for _ in 0..3 {
            assert_eq!(data(&uplink(codec.as_mut(), &[]).unwrap()), json!({"before": "undefined"}), "{leak}");
        }
    }
}

#[test]
fn the_host_does_not_use_what_a_codec_can_replace() {
    let script = "
        JSON = {parse: function () { return 'mine'; }, stringify: function () { return 'mine'; }};
        Object.keys = Object.assign = Array.isArray = function () { return []; };
        Object.prototype.toJSON = function () { return 'mine'; };
        Date.prototype.toISOString = Date.prototype.getTime = function () { return 'mine'; };
        Map.prototype.forEach = Set.prototype.forEach = function () {};
        String.prototype.toWellFormed = function () { return 'mine'; };
        Reflect.apply = Function.prototype.call = Function.prototype.apply = function () { return 'mine'; };
        function decodeUplink(input) {
            Symbol = Date = Map = Reflect = undefined;
            return {data: {at: input.recvTime, typed: new Uint8Array([1]), odd: '\\ud800', list: [1]}};
        }";
    let decoded = uplink(loaded(script).as_mut(), &[]).unwrap();
    let mut seen = data(&decoded);
    seen.as_object_mut().unwrap().remove("toJSON");
    assert_eq!(seen, json!({"at": "2023-11-14T22:13:20.123Z", "typed": [1], "odd": "\u{FFFD}", "list": [1]}));
}

#[test]
fn two_codecs_share_nothing() {
    let mut polluter = loaded("Array.prototype.map = null; shared = 1; function decodeUplink() { return {data: {}}; }");
    uplink(polluter.as_mut(), &[]).unwrap();
    let decoded = returning("{data: {map: typeof [].map, shared: typeof shared}}").unwrap();
    assert_eq!(data(&decoded), json!({"map": "function", "shared": "undefined"}));
}
