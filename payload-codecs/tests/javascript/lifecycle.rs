//! Loading a script, finding its functions, and what goes in and comes out of them.

use payload_codecs::{CodecError, Functions, Naming};
use serde_json::json;

use crate::{data, downlink, load_error, loaded, reading, returning, uplink};

#[test]
fn functions_are_found_however_they_are_defined() {
    for script in [
        "function decodeUplink(i) { return {data: {port: i.fPort}}; }",
        "var decodeUplink = function (i) { return {data: {port: i.fPort}}; }",
        "const decodeUplink = (i) => ({data: {port: i.fPort}}) // no newline after a comment",
        "decodeUplink = (i) => ({data: {port: i.fPort}})",
        "globalThis.decodeUplink = (i) => ({data: {port: i.fPort}})",
        "this.decodeUplink = (i) => ({data: {port: i.fPort}})",
        "function Decoder(bytes, port) { return {port: port}; }",
        "var late = 1\nfunction decodeUplink(i) { return {data: {port: i.fPort}} }\n/* the end */",
    ] {
        let mut codec = loaded(script);
        for _ in 0..3 {
            assert_eq!(data(&uplink(codec.as_mut(), &[]).unwrap()), json!({"port": 7}), "{script}");
        }
    }
}

#[test]
fn scripts_are_sloppy_as_on_the_things_stack() {
    let script = "function decodeUplink(input) {
        undeclared = 010;
        with ({inner: 2}) { undeclared += inner; }
        delete input.fPort;
        return {data: {sum: undeclared, self: this === globalThis, port: input.fPort}};
    }";
    assert_eq!(data(&uplink(loaded(script).as_mut(), &[]).unwrap()), json!({"sum": 10, "self": true, "port": null}));
}

#[test]
fn the_input_is_a_plain_list_a_port_and_a_date() {
    let decoded = returning(
        "{data: {list: Array.isArray(input.bytes), sum: input.bytes.concat([4]).reverse()[0] + input.bytes.pop(),
          date: input.recvTime instanceof Date, at: input.recvTime, left: input.bytes}}",
    );
    let expected = json!({"list": true, "sum": 7, "date": true, "at": "2023-11-14T22:13:20.123Z", "left": [1, 2]});
    assert_eq!(data(&decoded.unwrap()), expected);
}

#[test]
fn a_missing_function_is_named() {
    assert_eq!(
        load_error("var x = 1;"),
        CodecError::MissingFunction { wanted: "decodeUplink, encodeDownlink or decodeDownlink" }
    );
    let mut codec = loaded("function decodeUplink() { return {}; }");
    let error = downlink(codec.as_mut(), &json!({}), None).unwrap_err();
    assert_eq!(error.to_string(), "the codec defines no function encodeDownlink, nor the older Encoder");
}

#[test]
fn a_script_that_does_not_load_says_where() {
    let error = load_error("var a = 1;\nvar b = ;\n");
    assert_eq!(error.line(), Some(2), "{error}");
    assert!(error.to_string().starts_with("the codec does not load: SyntaxError: "), "{error}");
    let error = load_error("\n\nnull.x;\nfunction decodeUplink() {}");
    assert_eq!(error.line(), Some(3), "{error}");
    assert!(matches!(load_error("module.exports = {}"), CodecError::Load { .. }));
    assert!(matches!(load_error("return; function decodeUplink() {}"), CodecError::Load { .. }));
    assert!(matches!(load_error("import x from 'y'"), CodecError::Load { .. }));
    assert!(matches!(load_error("function decodeUplink() {} '\0'"), CodecError::Load { .. }));
    assert!(matches!(load_error("function decodeUplink() {"), CodecError::Load { .. }));
}

#[test]
fn an_exception_is_told_with_name_message_and_line() {
    let mut codec = loaded("function decodeUplink(input) {\n  return input.no.such;\n}");
    let error = uplink(codec.as_mut(), &[]).unwrap_err();
    assert_eq!(error.line(), Some(2));
    assert!(error.to_string().starts_with("the codec threw TypeError: cannot read"), "{error}");
    for (thrown, message) in [
        ("'just text'", "the codec threw just text"),
        ("42", "the codec threw 42"),
        ("undefined", "the codec threw undefined"),
        ("{message: 'in an object'}", "the codec threw in an object"),
        ("Symbol('s')", "the codec threw s"),
        ("Object.create(null)", "the codec threw a value of type object"),
        ("{toString() { throw 1 }}", "the codec threw a value of type object"),
    ] {
        let mut codec = loaded(&format!("function decodeUplink() {{ throw {thrown}; }}"));
        assert_eq!(uplink(codec.as_mut(), &[]).unwrap_err().to_string(), message);
    }
}

#[test]
fn commands_reach_the_encoder_and_its_older_form() {
    let mut codec = loaded(
        "function encodeDownlink(i) { return {bytes: [i.data.led ? 1 : 0, i.fPort], fPort: 3, warnings: ['w']}; }",
    );
    let encoded = downlink(codec.as_mut(), &json!({"led": true}), Some(9)).unwrap();
    assert_eq!((encoded.bytes, encoded.f_port, encoded.warnings), (vec![1, 9], Some(3), vec!["w".to_owned()]));
    let mut codec = loaded("function Encoder(data, port) { return [data.level, port]; }");
    let encoded = downlink(codec.as_mut(), &json!({"level": 258}), None).unwrap();
    assert_eq!((encoded.bytes, encoded.f_port), (vec![2, 0], None));
}

#[test]
fn a_downlink_is_decoded_back() {
    let script = "function decodeDownlink(input) { return {data: {led: input.bytes[0] === 1, port: input.fPort}}; }";
    let input = payload_codecs::UplinkInput { bytes: &[1], f_port: 4, recv_time_ms: None };
    assert_eq!(data(&loaded(script).decode_downlink(&input).unwrap()), json!({"led": true, "port": 4}));
}

#[test]
fn the_normalizer_sees_the_decoded_data_and_gives_a_list() {
    let script = "function decodeUplink() { return {data: {t: 20.5, at: new Date(0)}}; }
        function normalizeUplink(input) { return {data: {air: {temperature: input.data.t}, time: input.data.at}, warnings: ['n']}; }";
    let reading = reading(loaded(script).as_mut());
    let expected = r#"[{"air":{"temperature":20.5},"time":"1970-01-01T00:00:00.000Z"}]"#;
    assert_eq!(reading.measurements.unwrap().get(), expected);
    assert_eq!(reading.warnings, ["n"]);
}

#[test]
fn a_failing_normalizer_costs_only_the_normalized_data() {
    for (body, message) in [
        ("throw new Error('no')", "normalizeUplink: the codec threw Error: no (line 2)"),
        ("return {errors: ['bad']}", "normalizeUplink: the codec reports: bad"),
        ("return {data: 5}", "normalizeUplink: the codec's data must be an object, not a number"),
    ] {
        let script = format!(
            "function decodeUplink() {{ return {{data: {{t: 1}}}}; }}\nfunction normalizeUplink() {{ {body} }}"
        );
        let reading = reading(loaded(&script).as_mut());
        assert_eq!((reading.data.get(), reading.measurements.is_none()), (r#"{"t":1}"#, true));
        assert_eq!(reading.warnings, [message]);
    }
}

#[test]
fn a_script_is_a_script_and_no_function_body() {
    let script = "var declared = 1; undeclared = 2; let lexical = 3;
        function decodeUplink() {
            return {data: {top: topThis === globalThis, declared: globalThis.declared, undeclared: globalThis.undeclared,
                lexical: typeof globalThis.lexical, called: this === globalThis, evaluated: (0, eval)('lexical')}};
        }
        var topThis = this;";
    let expected =
        json!({"top": true, "declared": 1, "undeclared": 2, "lexical": "undefined", "called": true, "evaluated": 3});
    assert_eq!(data(&uplink(loaded(script).as_mut(), &[]).unwrap()), expected);
    assert!(load_error("return 1; function decodeUplink() {}").to_string().contains("SyntaxError"));
    assert!(load_error("function decodeUplink() {} })(); (function () {").to_string().contains("SyntaxError"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let script = "\u{FEFF}// a codec\r\nfunction decodeUplink(input) {\r\n  if (input.bytes[0]) null.x;\r\n  return {data: {text: `a\r\nb`}};\r\n}\r\n";
    let mut codec = loaded(script);
    assert_eq!(data(&uplink(codec.as_mut(), &[0]).unwrap()), json!({"text": "a\nb"}));
    assert_eq!(uplink(codec.as_mut(), &[1]).unwrap_err().line(), Some(3));
}

#[test]
fn a_codec_says_which_functions_it_has() {
    let codec =
        loaded("let decodeUplink = () => 1; function Decoder() {} var Encoder = function () {}, normalizeUplink = 5;");
    let expected = Functions {
        decode_uplink: Some(Naming::Current),
        encode_downlink: Some(Naming::Older),
        ..Functions::default()
    };
    assert_eq!(codec.functions(), expected);
    let all = loaded(
        "function decodeUplink() {} function encodeDownlink() {} function decodeDownlink() {} function normalizeUplink() {}",
    );
    let current = Some(Naming::Current);
    let expected = Functions {
        decode_uplink: current,
        normalize_uplink: current,
        encode_downlink: current,
        decode_downlink: current,
    };
    assert_eq!(all.functions(), expected);
}
