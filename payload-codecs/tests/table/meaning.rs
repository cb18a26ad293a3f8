//! What tables mean: how payloads are read and written.

use serde_json::json;

use crate::{command, downlink, reason, refusal, says, table, uplink};

#[test]
fn bits_are_counted_from_the_most_significant_one_in_big_endian() {
    let table = uplink(r#"{name="a",type="u3"}, {name="b",type="i5"}, {name="c",type="u12"}, {name="d",type="bool"}"#);
    assert_eq!(says(&table, "bfabc8", &[]), json!({"a": 5, "b": -1, "c": 0xabc, "d": true}));
}

#[test]
fn bits_are_counted_from_the_least_significant_one_in_little_endian() {
    let fields = r#"{name="a",type="u3"}, {name="b",type="i5"}, {name="c",type="u12"}, {name="d",type="bool"}"#;
    let table = table(&format!("endian = \"little\"\n[[uplink]]\nfields = [{fields}]"));
    assert_eq!(says(&table, "fdbc1a", &[]), json!({"a": 5, "b": -1, "c": 0xabc, "d": true}));
}

#[test]
fn a_field_may_have_another_order_of_bytes_than_its_table() {
    let table = uplink(r#"{name="big",type="u16"}, {name="little",type="i24",endian="little"}"#);
    assert_eq!(says(&table, "0102feffff", &[]), json!({"big": 258, "little": -2}));
}

#[test]
fn a_place_is_told_by_byte_or_by_byte_and_bit() {
    let table = uplink(r#"{name="a",type="u8",at=2}, {name="b",type="u4",at="0.4"}, {name="c",type="u8"}"#);
    assert_eq!(says(&table, "0f0507", &[]), json!({"a": 7, "b": 15, "c": 5}));
}

#[test]
fn values_are_scaled_as_a_person_would_do_it() {
    let table = uplink(
        r#"{name="t",type="i16",scale=0.01}, {name="h",type="u8",scale=0.5,offset=-10}, {name="n",type="i8",scale=-2}"#,
    );
    assert_eq!(says(&table, "0866ff03", &[]).to_string(), r#"{"h":117.5,"n":-6,"t":21.5}"#);
}

#[test]
fn numbers_beyond_what_a_double_holds_stay_exact() {
    let table = uplink(r#"{name="a",type="u64"}, {name="b",type="i64"}"#);
    let said = says(&table, "ffffffffffffffff8000000000000001", &[]);
    assert_eq!(said.to_string(), r#"{"a":18446744073709551615,"b":-9223372036854775807}"#);
    let (bytes, _) = table.encode_uplink(None, said.as_object().unwrap()).unwrap();
    assert_eq!(hex::encode(bytes), "ffffffffffffffff8000000000000001");
}

#[test]
fn floats_print_their_shortest_form_and_what_is_none_is_null() {
    let table = uplink(r#"{name="a",type="f32"}, {name="b",type="f64"}, {name="c",type="f32",scale=0.01}"#);
    let said = says(&table, "3dcccccd402400000000000047c5e680", &[]);
    assert_eq!(said.to_string(), r#"{"a":0.1,"b":10,"c":1013.25}"#);
    let nan = says(&table, "7fc000007ff000000000000000000000", &["a: NaN is no number", "b: inf is no number"]);
    assert_eq!(nan, json!({"a": null, "b": null, "c": 0}));
}

#[test]
fn an_absent_number_is_null_written_signed_or_as_its_bits() {
    for absent in ["0x8000", "-32768"] {
        let table = uplink(&format!(r#"{{name="t",type="i16",absent={absent}}}"#));
        assert_eq!(says(&table, "8000", &[]), json!({"t": null}));
        assert_eq!(says(&table, "7fff", &[]), json!({"t": 32767}));
    }
}

#[test]
fn numbers_have_names_and_a_strange_one_is_told() {
    let table = uplink(r#"{name="mode",type="i8",values={"-1"="error","0"="eco"}}"#);
    assert_eq!(says(&table, "ff", &[]), json!({"mode": "error"}));
    assert_eq!(says(&table, "05", &["mode: 5 is none of its values"]), json!({"mode": null}));
}

#[test]
fn flags_stand_beside_their_number_if_that_has_a_name() {
    let flags = r#"type="u8",flags=[{name="low",bit=0},{name="high",bit=7}]"#;
    assert_eq!(says(&uplink(&format!("{{{flags}}}")), "80", &[]), json!({"low": false, "high": true}));
    let named = uplink(&format!(r#"{{name="status",{flags}}}"#));
    assert_eq!(says(&named, "81", &[]), json!({"status": 129, "low": true, "high": true}));
}

#[test]
fn bytes_are_hex_and_texts_lose_their_padding() {
    let table = uplink(r#"{name="id",type="bytes2"}, {name="version",type="text6"}, {name="rest",type="bytes"}"#);
    assert_eq!(says(&table, "BEEF312e32000000", &[]), json!({"id": "beef", "version": "1.2", "rest": ""}));
    assert_eq!(says(&table, "beef312e3220202000ff", &[]), json!({"id": "beef", "version": "1.2", "rest": "00ff"}));
}

#[test]
fn a_group_is_an_object_and_a_repeated_one_a_list() {
    let axes = r#"fields=[{name="x",type="i8"},{name="y",type="i8"}]"#;
    let table = uplink(&format!(
        r#"{{name="now",{axes}}}, {{name="n",type="u8"}}, {{name="counted",repeat="n",{axes}}}, {{name="log",repeat="rest",{axes}}}"#
    ));
    let said = says(&table, "0102010304050607ff", &[]);
    assert_eq!(
        said,
        json!({"now": {"x": 1, "y": 2}, "n": 1, "counted": [{"x": 3, "y": 4}], "log": [{"x": 5, "y": 6}, {"x": 7, "y": -1}]})
    );
    assert_eq!(refusal(&table, "010209"), "x is cut short at byte 3");
}

#[test]
fn the_first_message_that_fits_port_constant_and_length_is_it() {
    let table = table(
        r#"
        uplink = [
            { port = 2, fields = [{ name = "other", type = "u8" }] },
            { port = [1, 3], fields = [{ type = "u8", equals = 0xa1 }, { name = "a", type = "u8" }] },
            { fields = [{ type = "u8", equals = 0xa2 }, { name = "b", type = "u16" }] },
        ]"#,
    );
    assert_eq!(says(&table, "a107", &[]), json!({"a": 7}));
    assert_eq!(says(&table, "a20007", &[]), json!({"b": 7}));
    assert_eq!(refusal(&table, "a200"), "expected 161 (0xa1) at byte 0, got 162; or expected 3 bytes, got 2");
}

#[test]
fn a_port_that_no_message_has_is_told() {
    let table = table(r#"uplink = [{ port = [4, 2], fields = [{ name = "a", type = "u8" }] }]"#);
    assert_eq!(refusal(&table, "00"), "expected port 2 or 4, got 1");
}

#[test]
fn a_payload_may_end_before_an_optional_field() {
    let table = uplink(
        r#"{name="a",type="u8"}, {name="b",type="u16",optional=true}, {name="c",type="u8"}, {name="d",type="u8",optional=true}"#,
    );
    assert_eq!(says(&table, "01", &[]), json!({"a": 1}));
    assert_eq!(says(&table, "01000203", &[]), json!({"a": 1, "b": 2, "c": 3}));
    assert_eq!(says(&table, "0100020304", &[]), json!({"a": 1, "b": 2, "c": 3, "d": 4}));
    assert_eq!(says(&table, "0100", &["1 byte too many"]), json!({"a": 1}));
    assert_eq!(refusal(&table, "010002"), "c is cut short at byte 3");
    assert_eq!(refusal(&table, ""), "expected at least 1 byte, got 0");
}

#[test]
fn what_a_later_firmware_adds_costs_a_warning_only() {
    let table = uplink(r#"{name="a",type="u8"}"#);
    assert_eq!(says(&table, "01020304", &["3 bytes too many"]), json!({"a": 1}));
}

const TAGGED: &str = r#"
    [[uplink]]
    fields = [{ name = "battery", type = "u8" }]
    tag = "u8"
    parts = [
        { tag = 1, fields = [{ name = "t", type = "i16", scale = 0.1 }] },
        { tag = 2, fields = [{ name = "open", type = "bool" }] },
        { tag = 9, name = "alarm" },
    ]"#;

#[test]
fn parts_come_in_any_order_and_the_last_of_two_counts() {
    let table = table(TAGGED);
    assert_eq!(says(&table, "64", &[]), json!({"battery": 100}));
    assert_eq!(
        says(&table, "6402800901000a01000b", &[]),
        json!({"battery": 100, "open": true, "alarm": true, "t": 1.1})
    );
}

#[test]
fn an_unknown_tag_and_a_part_cut_short_name_their_byte() {
    let table = table(TAGGED);
    assert_eq!(refusal(&table, "64098a"), "unknown tag 138 (0x8a) at byte 2");
    assert_eq!(refusal(&table, "640100"), "t is cut short at byte 2");
}

#[test]
fn a_number_and_words_are_found_in_a_text() {
    let table = uplink(
        r#"{name="text",type="text",find=[{name="value"},{name="led",words={on=true,off=false},optional=true}]}"#,
    );
    let payload = hex::encode("21.5, LED off\n");
    assert_eq!(says(&table, &payload, &[]), json!({"text": "21.5, LED off", "value": 21.5, "led": false}));
    assert_eq!(says(&table, "3f", &["the text holds no number"]), json!({"text": "?"}));
}

#[test]
fn a_command_goes_to_the_nearest_step_within_its_range() {
    let table = downlink(r#"{name="t",type="i16",scale=0.5,min=5,max=30,absent=-1}"#);
    assert_eq!(command(&table, &json!({"t": 21.3})).unwrap(), "002b");
    assert_eq!(command(&table, &json!({"t": null})).unwrap(), "ffff");
    for wrong in [json!(4.9), json!(31), json!("20"), json!(true), json!(1e300)] {
        assert_eq!(command(&table, &json!({"t": wrong})).unwrap_err(), "t must be a number from 5 to 30, or null");
    }
}

#[test]
fn without_limits_a_range_is_what_the_bits_hold() {
    let table = downlink(r#"{name="a",type="i12"}, {type="u4"}, {name="b",type="u8",scale=0.1,absent=255}"#);
    assert_eq!(command(&table, &json!({"a": -2048, "b": 25.4})).unwrap(), "8000fe");
    assert_eq!(command(&table, &json!({"a": 2048, "b": 1})).unwrap_err(), "a must be a number from -2048 to 2047");
    assert_eq!(command(&table, &json!({"a": 0, "b": 25.5})).unwrap_err(), "b must be a number from 0 to 25.4, or null");
}

#[test]
fn every_type_says_what_it_must_be() {
    for (field, value, expected) in [
        (r#"type="bool""#, json!(1), "x must be true or false"),
        (r#"type="u8",values={"1"="on","0"="off"}"#, json!(1), "x must be one of off, on"),
        (r#"type="bytes2""#, json!("01"), "x must be 2 bytes in hex"),
        (r#"type="bytes""#, json!("0"), "x must be bytes in hex"),
        (r#"type="text2""#, json!("abc"), "x must be a text of at most 2 bytes"),
        (r#"type="f32""#, json!(1e300), "x must be a number"),
        (r#"type="u8",flags=[{name="y",bit=0}]"#, json!(256), "x must be a number from 0 to 255"),
        (r#"repeat=2,fields=[{name="y",type="u8"}]"#, json!([]), "x must be a list of 2"),
        (
            r#"repeat="rest",most=1,fields=[{name="y",type="u8"}]"#,
            json!([{"y": 1}, {"y": 2}]),
            "x must be a list of at most 1",
        ),
        (r#"repeat=1,fields=[{name="y",type="u8"}]"#, json!([{"y": 256}]), "x[0]: y must be a number from 0 to 255"),
        (r#"fields=[{name="y",type="u8"}]"#, json!({"y": 1, "z": 2}), "x: `z` is no field of this device; there are y"),
        (r#"fields=[{name="y",type="u8"}]"#, json!({}), "x: y is missing"),
        (r#"fields=[{name="y",type="u8"}]"#, json!(1), "x: must be an object"),
    ] {
        let table = downlink(&format!(r#"{{name="x",{field}}}"#));
        assert_eq!(command(&table, &json!({"x": value})).unwrap_err(), expected);
    }
}

#[test]
fn the_first_message_that_has_all_keys_and_misses_none_is_sent() {
    let table = table(
        r#"
        downlink = [
            { port = 5, fields = [{ type = "u8", equals = 1 }, { name = "a", type = "u8" }] },
            { port = [6, 8], fields = [{ type = "u8", equals = 2 }, { name = "a", type = "u8", default = 9 }, { name = "b", type = "u8" }] },
            { port = 6, fields = [{ type = "u8", equals = 3 }, { name = "c", type = "u8" }, { name = "d", type = "u8" }] },
        ]"#,
    );
    let sent = |port, data: serde_json::Value| {
        let (bytes, port) = table.encode(port, data.as_object().unwrap()).map_err(reason)?;
        Ok::<_, String>((hex::encode(bytes), port))
    };
    assert_eq!(sent(None, json!({"a": 7})).unwrap(), ("0107".to_owned(), Some(5)));
    assert_eq!(sent(None, json!({"a": 7, "b": 8})).unwrap(), ("020708".to_owned(), Some(6)));
    assert_eq!(sent(Some(8), json!({"b": 8})).unwrap(), ("020908".to_owned(), Some(8)));
    assert_eq!(sent(None, json!({"c": 8})).unwrap_err(), "d is missing");
    assert_eq!(sent(None, json!({"a": 1, "c": 8})).unwrap_err(), "no message takes a, c together");
    assert_eq!(sent(Some(9), json!({"a": 1})).unwrap_err(), "the table has nothing for port 9 in this direction");
    assert_eq!(sent(None, json!({"fan": 1})).unwrap_err(), "`fan` is no field of this device; there are a, b, c, d");
    assert_eq!(sent(Some(5), json!({"b": 1})).unwrap_err(), "`b` is no field of this device; there are a");
}

#[test]
fn parts_are_sent_in_the_tables_order_and_one_at_least() {
    let table = table(
        r#"
        [[downlink]]
        tag = "u16"
        parts = [
            { tag = 1, fields = [{ name = "led", type = "bool8" }] },
            { tag = 2, fields = [{ name = "low", type = "u8" }, { name = "high", type = "u8" }] },
            { tag = 3, name = "reboot" },
        ]"#,
    );
    assert_eq!(command(&table, &json!({"reboot": true, "led": true})).unwrap(), "0001010003");
    assert_eq!(command(&table, &json!({})).unwrap_err(), "led is missing");
    assert_eq!(command(&table, &json!({"led": true, "low": 1})).unwrap_err(), "high is missing");
    assert_eq!(command(&table, &json!({"reboot": false})).unwrap_err(), "reboot must be true");
}

#[test]
fn flags_are_set_over_the_number_or_its_default() {
    let flags = r#"type="u8",flags=[{name="a",bit=0},{name="b",bit=7}]"#;
    let bare = downlink(&format!("{{{flags}}}"));
    assert_eq!(command(&bare, &json!({"a": true, "b": false})).unwrap(), "01");
    assert_eq!(command(&bare, &json!({"a": true})).unwrap_err(), "b is missing");
    let with_default = downlink(&format!("{{{flags},default=0x82}}"));
    assert_eq!(command(&with_default, &json!({"a": true})).unwrap(), "83");
    let named = downlink(&format!(r#"{{name="n",{flags}}}"#));
    assert_eq!(command(&named, &json!({"n": 6, "b": true})).unwrap(), "86");
    assert_eq!(command(&named, &json!({"a": "yes", "b": true})).unwrap_err(), "a must be true or false");
}

#[test]
fn a_count_is_what_its_list_has() {
    let table =
        downlink(r#"{name="n",type="u2"}, {type="u6"}, {name="list",repeat="n",fields=[{name="x",type="u8"}]}"#);
    assert_eq!(command(&table, &json!({"list": [{"x": 1}, {"x": 2}]})).unwrap(), "800102");
    assert_eq!(command(&table, &json!({"list": [], "n": 0})).unwrap(), "00");
    assert_eq!(command(&table, &json!({"list": [], "n": 2})).unwrap_err(), "n must be 0: so many list there are");
    let four = json!({"list": [{"x": 1}, {"x": 2}, {"x": 3}, {"x": 4}]});
    assert_eq!(command(&table, &four).unwrap_err(), "n must be a number from 0 to 3");
}

#[test]
fn a_payload_longer_than_any_frame_is_not_made() {
    let table = downlink(r#"{name="a",type="bytes200"}, {name="b",type="bytes"}"#);
    let error = command(&table, &json!({"a": "00".repeat(200), "b": "00".repeat(43)})).unwrap_err();
    assert_eq!(error, "the payload would have 243 bytes, and at most 242 can be sent");
}
