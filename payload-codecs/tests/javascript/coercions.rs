//! What a script's values become as JSON and bytes: The Things Stack's rules, and where we do better.

use payload_codecs::CodecError;
use serde_json::json;

use crate::{data, downlink, loaded, returning};

#[test]
fn values_become_what_the_things_stack_makes_of_them() {
    let cases = [
        ("undefined", json!(null)),
        ("null", json!(null)),
        ("-0", json!(0)),
        ("27.2", json!(27.2)),
        ("1e21", json!(1e21)),
        ("9007199254740993n", json!(9_007_199_254_740_993_i64)),
        ("new Date(1700000000123)", json!("2023-11-14T22:13:20.123Z")),
        ("new Uint8Array([1, 255])", json!([1, 255])),
        ("new Float64Array([0.5])", json!([0.5])),
        ("new Set(['a', 1])", json!(["a", 1])),
        ("new Map([['k', 1], [2, new Set([3])]])", json!([["k", 1], [2, [3]]])),
        ("/x/", json!({})),
        ("new Error('x')", json!({})),
        ("new String('ab')", json!({})),
        ("Symbol('s')", json!("s")),
        ("'\\udcb0 and \\u{1F600}'", json!("\u{FFFD} and \u{1F600}")),
        ("[1, , 3]", json!([1, null, 3])),
        ("Object.create(null)", json!({})),
        ("new (class Reading { constructor() { this.a = 1 } get b() { return 2 } })()", json!({"a": 1})),
        ("new Proxy({a: 1}, {})", json!({"a": 1})),
        ("{get a() { return 4 }}", json!({"a": 4})),
        ("Object.defineProperty({a: 1}, 'hidden', {value: 2})", json!({"a": 1})),
        ("{'\\ud800': 1, 'quo\"te': 2}", json!({"\u{FFFD}": 1, "quo\"te": 2})),
    ];
    for (expression, expected) in cases {
        let decoded = returning(&format!("{{data: {{v: {expression}}}}}"));
        let decoded = decoded.unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(data(&decoded)["v"], expected, "{expression}");
        assert!(decoded.warnings.is_empty(), "{expression}");
    }
}

#[test]
fn numbers_that_are_none_become_null_with_a_warning_that_names_the_path() {
    let decoded = returning("{data: {a: NaN, b: [1, {c: -Infinity}], d: new Date(NaN)}}").unwrap();
    assert_eq!(data(&decoded), json!({"a": null, "b": [1, {"c": null}], "d": null}));
    let expected =
        ["data.a is NaN, given as null", "data.b[1].c is infinite, given as null", "data.d is NaN, given as null"];
    assert_eq!(decoded.warnings, expected);
}

#[test]
fn data_is_always_an_object() {
    for (expression, expected) in [
        ("{}", json!({})),
        ("{data: null}", json!({})),
        ("{data: [10, 20]}", json!({"0": 10, "1": 20})),
        ("{data: new Uint8Array([7])}", json!({"0": 7})),
    ] {
        assert_eq!(data(&returning(expression).unwrap()), expected, "{expression}");
    }
    for (expression, got) in [
        ("3", "a number"),
        ("'x'", "a string"),
        ("true", "a boolean"),
        ("() => 1", "a function"),
        ("Promise.resolve({})", "a promise"),
    ] {
        let error = returning(&format!("{{data: {expression}}}")).unwrap_err();
        assert_eq!(error, CodecError::NotAnObject { what: "data", got }, "{expression}");
    }
}

#[test]
fn what_json_cannot_hold_is_refused_with_its_path() {
    for (expression, message) in [
        ("{data: {a: {f: function () {}}}}", "data.a.f is a function"),
        ("{data: {toJSON: function () { return {a: 1}; }}}", "data.toJSON is a function"),
        ("{data: {late: Promise.resolve(1)}}", "data.late is a promise"),
        ("(() => { var o = {}; o.list = [o]; return {data: o}; })()", "data.list[0] contains itself"),
        (
            "(() => { var o = {}; for (var i = 0; i < 500; i++) o = {o: o}; return {data: o}; })()",
            "lies deeper than 64",
        ),
        ("{data: {a: new Array(1e9)}}", "longer than 256 KiB"),
        ("{data: {a: 'x'.repeat(300000), b: 1}}", "longer than 256 KiB"),
    ] {
        let error = returning(expression).unwrap_err().to_string();
        assert!(error.contains(message), "{expression}: {error}");
    }
}

#[test]
fn the_same_object_twice_is_no_circle() {
    let decoded = returning("(() => { var o = {a: 1}; return {data: {x: o, y: [o, o]}}; })()").unwrap();
    assert_eq!(data(&decoded), json!({"x": {"a": 1}, "y": [{"a": 1}, {"a": 1}]}));
}

#[test]
fn a_result_that_is_no_object_is_an_error() {
    for (expression, got) in [
        ("undefined", "undefined"),
        ("null", "null"),
        ("5", "a number"),
        ("Promise.resolve({data: {}})", "a promise"),
        ("[1]", "a list"),
    ] {
        assert_eq!(returning(expression).unwrap_err(), CodecError::NotAnObject { what: "result", got }, "{expression}");
    }
}

#[test]
fn errors_fail_and_warnings_do_not() {
    let error = returning("{data: {a: 1}, errors: ['too short', 42]}").unwrap_err();
    assert_eq!(error, CodecError::Reported { errors: vec!["too short".into(), "42".into()] });
    let decoded = returning("{data: {a: 1}, errors: [], warnings: ['low battery', {}]}").unwrap();
    assert_eq!(decoded.warnings, ["low battery", "[object Object]"]);
    let error = returning("{data: {}, errors: 'broken'}").unwrap_err().to_string();
    assert!(error.contains("errors must be a list, not a string"), "{error}");
}

#[test]
fn downlink_bytes_are_taken_modulo_256_and_ports_too() {
    let script = "function encodeDownlink(input) { return {bytes: eval(input.data.bytes), fPort: input.data.port}; }";
    let mut codec = loaded(script);
    for (bytes, expected) in [
        ("[256, -1, 1.9, '7', 255, null]", &[0, 255, 1, 7, 255, 0][..]),
        ("'01'", b"01"),
        ("new Uint8Array([1, 2])", &[1, 2]),
        ("[]", &[]),
    ] {
        let encoded = downlink(codec.as_mut(), &json!({"bytes": bytes}), None).unwrap();
        assert_eq!(encoded.bytes, expected, "{bytes}");
        assert_eq!((encoded.f_port, encoded.warnings.len()), (None, 0));
    }
    for (port, expected) in [(json!(300), Some(44)), (json!("15"), Some(15)), (json!(0), None), (json!(null), None)] {
        let encoded = downlink(codec.as_mut(), &json!({"bytes": "[1]", "port": port}), None).unwrap();
        assert_eq!(encoded.f_port, expected, "{port}");
    }
}

#[test]
fn downlink_bytes_that_are_none_or_too_many_are_told() {
    let mut codec = loaded("function encodeDownlink(input) { return {bytes: eval(input.data)}; }");
    for (bytes, message) in [
        ("undefined", "bytes must be a list of numbers, not undefined"),
        ("5", "not a number"),
        ("new Array(243).fill(1)", "hold 243 bytes, and LoRaWAN carries 242 at most"),
        ("new Array(1e9)", "LoRaWAN carries 242 at most"),
        ("'x'.repeat(300)", "LoRaWAN carries 242 at most"),
    ] {
        let error = downlink(codec.as_mut(), &json!(bytes), None).unwrap_err().to_string();
        assert!(error.contains(message), "{bytes}: {error}");
    }
    let encoded = downlink(codec.as_mut(), &json!("[1, NaN]"), None).unwrap();
    assert_eq!((encoded.bytes, encoded.warnings), (vec![1, 0], vec!["bytes[1] is no number, sent as 0".to_owned()]));
}

#[test]
fn big_integers_are_numbers_as_long_as_json_has_any() {
    let decoded = returning("{data: {big: 2n ** 70n, small: -7n, list: [1n]}}").unwrap();
    assert_eq!(decoded.data.get(), r#"{"big":1180591620717411303424,"small":-7,"list":[1]}"#);
    // Its digits would take QuickJS seconds.
    let decoded = returning("{data: {v: [-(1n << 1000000n)], most: 10n ** 308n - 1n}}").unwrap();
    assert_eq!(data(&decoded), json!({"v": [null], "most": 1e308}));
    assert_eq!(decoded.warnings, ["data.v[0] is larger than any number of JSON, given as null"]);
    let error = returning("{data: {v: 1n + 1}}").unwrap_err().to_string();
    assert!(error.contains("TypeError"), "{error}");
}

#[test]
fn half_a_surrogate_pair_does_no_harm_anywhere() {
    let odd = "'\\ud83d'";
    let decoded = returning(&format!("{{data: {{[{odd}]: [{odd}], s: Symbol({odd})}}, warnings: [{odd}]}}")).unwrap();
    assert_eq!(data(&decoded), json!({"\u{FFFD}": ["\u{FFFD}"], "s": "\u{FFFD}"}));
    assert_eq!(decoded.warnings, ["\u{FFFD}"]);
    for expression in [format!("{{errors: [{odd}]}}"), format!("(() => {{ throw new Error({odd}); }})()")] {
        let error = returning(&expression).unwrap_err().to_string();
        assert!(error.contains('\u{FFFD}'), "{expression}: {error}");
    }
    let mut codec = loaded(&format!("function encodeDownlink() {{ return {{bytes: {odd}}}; }}"));
    assert_eq!(downlink(codec.as_mut(), &json!(null), None).unwrap().bytes, "\u{FFFD}".as_bytes());
}

#[test]
fn commands_reach_the_script_whatever_is_in_them() {
    let mut codec =
        loaded("function encodeDownlink(i) { return {bytes: [Object.keys(i.data).length, i.data.list[1]]}; }");
    let odd = json!({"__proto__": {"x": 1}, "list": [1, 2], "constructor": null, "\u{1F600}\"\\": "\u{0}"});
    assert_eq!(downlink(codec.as_mut(), &odd, Some(9)).unwrap().bytes, [4, 2]);
    let deep = serde_json::value::RawValue::from_string("[".repeat(100) + &"]".repeat(100)).unwrap();
    let input = payload_codecs::DownlinkInput { data: &deep, f_port: None };
    assert!(codec.encode_downlink(&input).is_err());
}

#[test]
fn whole_numbers_are_printed_as_javascript_does() {
    let decoded = returning("{data: [-0, 9e15, -9007199254740993, 123456789012345680000, 1e21, 1.5]}").unwrap();
    let expected =
        "{\"0\":0,\"1\":9000000000000000,\"2\":-9007199254740992,\"3\":123456789012345680000,\"4\":1e+21,\"5\":1.5}";
    assert_eq!(decoded.data.get(), expected);
}

#[test]
fn a_result_that_is_too_long_is_refused_wherever_its_length_lies() {
    for expression in [
        "{data: {a: 'x'.repeat(300000)}}",
        "{data: {a: '\\u0001'.repeat(100000)}}",
        "{data: {['x'.repeat(300000)]: 1}}",
        "{data: {a: new Array(1e9)}}",
    ] {
        let error = returning(expression).unwrap_err().to_string();
        assert!(error.contains("makes the JSON longer than 256 KiB"), "{expression}: {error}");
    }
    assert!(returning("{data: {a: 'x'.repeat(200000)}}").is_ok());
}
