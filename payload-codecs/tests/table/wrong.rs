//! What is said of a table that is wrong: where, and why.

use payload_codecs::table::{Table, TableError};

/// Fields of an uplink, and what is said of them.
const FIELDS: &[(&str, &str)] = &[
    (r#"{name="a"}"#, "uplink 1, field a, type: it is missing; a group has `fields` instead"),
    (r#"{name="a",type="u8",fields=[{type="u8"}]}"#, "field a, type: a group has none"),
    (r#"{fields=[{name="a",type="u8"}]}"#, "field number 1, name: a group needs one"),
    (r#"{name="ä",type="u8"}"#, "name: `ä` must be letters (a to z), digits and _, and begin with no digit"),
    (r#"{name="a",type="u8"}, {name="a",type="u8"}"#, "uplink 1, name: `a` stands for two fields"),
    (r#"{name="a",type="u8"}, {type="u8",flags=[{name="a",bit=0}]}"#, "name: `a` stands for two fields"),
    (r#"{name="g",fields=[{name="a",type="u8"},{name="a",type="u8"}]}"#, "field g, name: `a` stands for two fields"),
    (r#"{name="a",type="bytes2",scale=2}"#, "field a, scale: it is for numbers without `values`, `flags` or `equals`"),
    (r#"{name="a",type="u8",scale=0}"#, "scale: it must be a finite number, and a scale not 0"),
    (r#"{name="a",type="u8",scale=1e307}"#, "scale: its greatest numbers would be beyond any"),
    (r#"{name="a",type="u8",offset=nan}"#, "offset: it must be a finite number"),
    (r#"{name="a",type="u8",min=5,max=5}"#, "min: 5 is not less than `max`, 5"),
    (r#"{name="a",type="u8",max=256}"#, "max: 256 is beyond what the bits hold: it must be a number from 0 to 255"),
    (r#"{name="a",type="u8",scale=4,max=30}"#, "max: 30 is between two steps of the field; the nearest is 32"),
    (r#"{name="a",type="f32",absent=0}"#, "absent: it is for whole numbers with a name and no `flags`"),
    (r#"{name="a",type="u8",absent=256}"#, "absent: 256 does not fit in u8"),
    (r#"{type="u4",equals=16}, {type="u4"}"#, "uplink 1, field number 1, equals: 16 does not fit in u4"),
    (r#"{name="a",type="u8",equals=1}"#, "equals: it is for whole numbers without `name`"),
    (r#"{name="a",type="u8",values={}}"#, "values: there are none"),
    (r#"{name="a",type="u8",values={"256"="x"}}"#, "values: `256` is no whole number that fits in u8"),
    (r#"{name="a",type="u8",values={"07"="x"}}"#, "values: `07` is no whole number"),
    (r#"{name="a",type="u8",values={"1"="x","2"="x"}}"#, "values: `x` stands for two numbers"),
    (r#"{name="a",type="u8",absent=1,values={"1"="x"}}"#, "values: `1` is the number that `absent` stands for"),
    (r#"{type="u8",flags=[{name="a",bit=8}]}"#, "flags: u8 has no bit 8"),
    (r#"{type="u8",flags=[{name="a",bit=1},{name="b",bit=1}]}"#, "flags: bit 1 is there twice"),
    (r#"{name="a",type="bool8",flags=[{name="b",bit=1}]}"#, "flags: it is for whole numbers"),
    (r#"{name="a",type="u8",find=[{name="b"}]}"#, "find: it is for texts of uplinks"),
    (r#"{name="a",type="text",find=[{name="b",words={}}]}"#, "find: `b` has no words"),
    (r#"{name="a",type="u8",repeat=2}"#, "repeat: it is for groups"),
    (r#"{name="a",most=2,fields=[{type="u8"}]}"#, "most: it is for groups that come as often as a payload says"),
    (r#"{name="a",repeat="rest",most=0,fields=[{type="u8"}]}"#, "most: it leaves nothing to read"),
    (r#"{name="a",repeat="n",fields=[{type="u8"}]}"#, "repeat: no field before the group, beside it, is called `n`"),
    (
        r#"{name="n",type="i8"}, {name="a",repeat="n",fields=[{type="u8"}]}"#,
        "`n` must be an unsigned number and nothing more",
    ),
    (
        r#"{name="a",repeat="rest",fields=[{type="u8"}]}, {type="u8"}"#,
        "repeat: nothing comes behind what takes the rest",
    ),
    (r#"{name="a",type="text"}, {type="u8"}"#, "field a, type: nothing comes behind what takes the rest"),
    (r#"{name="g",fields=[{name="a",type="text"}]}"#, "field g.a, type: the rest is for the last field of a message"),
    (r#"{type="u4"}, {name="a",type="text"}"#, "type: bytes and texts begin at a whole byte, not at bit 4 of byte 0"),
    (r#"{type="u4"}, {name="a",fields=[{type="u8"}]}"#, "type: a group begins at a whole byte, not at bit 4 of byte 0"),
    (
        r#"{name="a",fields=[{type="u13"}]}"#,
        r#"a group is whole bytes, and 13 bits are none: { type = "u3" } fills them"#,
    ),
    (r#"{name="a",fields=[{name="b",type="text"}]}"#, "field a.b, type: the rest is for"),
    (
        r#"{type="u4"}, {name="a",type="u16",endian="little"}"#,
        "endian: another order than the table's is for whole bytes",
    ),
    (r#"{name="a",type="u12",endian="little"}"#, "endian: another order than the table's is for whole bytes"),
    (r#"{type="u4"}, {name="a",type="u8",optional=true}"#, "optional: a payload ends at a whole byte, not at bit 4"),
    (
        r#"{name="a",type="u8",at=1}, {name="b",type="u8",at=0,optional=true}"#,
        "optional: it is for a field of fixed size, behind",
    ),
    (r#"{name="a",type="text",optional=true}"#, "optional: what takes the rest may be empty anyway"),
    (
        r#"{name="g",fields=[{name="a",type="u8",optional=true}]}"#,
        "field g.a, optional: it is for fields of a message without tag",
    ),
    (r#"{name="a",type="u16"}, {name="b",type="u16",at=1}"#, "field b, at: it lies over another field"),
    (
        r#"{name="n",type="u8"}, {name="a",repeat="n",fields=[{type="u8"}]}, {name="b",type="u8",at=9}"#,
        "at: no place is fixed behind",
    ),
    (r#"{name="a",type="u16",at=240}, {name="b",type="bytes2"}"#, "field b, type: it ends behind byte 242"),
    (r#"{name="a",repeat=9223372036854775807,fields=[{type="u64"}]}"#, "it ends behind byte 242"),
    (r#"{name="a",type="u8",default="x"}"#, "default: must be a number from 0 to 255"),
    (r#"{type="u8",default=1}"#, "default: it is for fields with a name or `flags`"),
    (r#"{name="a",type="u8",normalized="air.temp"}"#, "field a, normalized: a measurement has no `air.temp`"),
    (r#"{name="a",type="u16",unit="mV",normalized="battery"}"#, "normalized: `battery` is in V, not in mV"),
    (r#"{name="a",type="u8",normalized="water.leak"}"#, "normalized: `water.leak` is true or false"),
    (r#"{type="u8",flags=[{name="a",bit=0,normalized="air.location"}]}"#, "`air.location` is one of indoor, outdoor"),
    (r#"{name="a",type="u8",values={"0"="in"},normalized="air.location"}"#, "`air.location` is one of indoor, outdoor"),
    (r#"{name="a",type="text",find=[{name="b",words={on=true},normalized="battery"}]}"#, "`battery` is a number"),
    (r#"{name="a",type="text",normalized="battery"}"#, "normalized: `battery` is a number"),
    (r#"{type="u8",normalized="battery"}"#, "normalized: it is for named fields of uplinks"),
];

/// Whole tables, and what is said of them.
const TABLES: &[(&str, &str)] = &[
    ("", "uplink: a table needs an uplink or a downlink"),
    ("[[uplink]]", "uplink 1, fields: a message needs fields or parts"),
    (
        "[[downlink]]\nname = 'x'\nport = 224\nfields = [{type='u8'}]",
        "downlink `x`, port: 224 is none for applications",
    ),
    ("uplink = [{name='x',fields=[{type='u8'}]},{name='x',fields=[{type='u8'}]}]", "uplink `x`, name: two messages"),
    ("uplink = [{tag='u8',fields=[{type='u8'}]}]", "uplink 1, parts: they are missing"),
    ("uplink = [{parts=[{tag=1,name='x'}]}]", "uplink 1, tag: it is missing"),
    ("uplink = [{tag='i8',parts=[{tag=1,name='x'}]}]", "uplink 1, tag: it must be an unsigned number of whole bytes"),
    ("uplink = [{tag='u8',parts=[{tag=256,name='x'}]}]", "uplink 1, field part 1, tag: 256 does not fit in u8"),
    (
        "uplink = [{tag='u8',parts=[{tag=1,name='x'},{tag=1,name='y'}]}]",
        "field part 2, tag: 1 opens another part already",
    ),
    ("uplink = [{tag='u8',parts=[{tag=1,name='x'},{tag=2,name='x'}]}]", "uplink 1, name: `x` stands for two fields"),
    ("uplink = [{tag='u8',parts=[{tag=1}]}]", "field part 1, fields: a part needs fields, or a name"),
    ("uplink = [{tag='u8',parts=[{tag=1,name='x',fields=[{type='u8'}]}]}]", "name: it is for a part without fields"),
    (
        "uplink = [{tag='u8',parts=[{tag=1,fields=[{name='a',type='text'}]},{tag=2,name='x'}]}]",
        "field part 1.a, type: the rest is for",
    ),
    (
        "uplink = [{tag='u8',fields=[{name='a',type='u8',optional=true}],parts=[{tag=2,name='x'}]}]",
        "field a, optional: it is for",
    ),
    (
        "uplink = [{tag='u8',fields=[{name='a',type='bytes200'}],parts=[{tag=2,fields=[{type='bytes42'}]}]}]",
        "field part 1, fields: it ends behind",
    ),
    (
        "downlink = [{fields=[{name='a',type='u8',normalized='battery'}]}]",
        "normalized: it is for named fields of uplinks",
    ),
    ("downlink = [{fields=[{name='a',type='text',find=[{name='b'}]}]}]", "find: it is for texts of uplinks"),
    ("\n\nuplink = [{fields=[{name='a',type='u65'}]}]", "line 3: `u65` is no type: there are u1 to u64"),
    ("[[uplink]]\nfields = [{name='a',type='u8',scal=2}]", "line 2: unknown field `scal`"),
    ("[[uplink]]\nfields = [{name='a',type='u8',at='1.8'}]", "line 2: `at = \"1.8\"` is neither a byte (5) nor"),
    ("[[uplink]]\nport = 'x'", "line 2: neither a port, 1 to 223, nor a list of ports"),
    ("[[uplink]\n", "line 1: "),
];

#[test]
fn a_wrong_field_is_told_by_message_field_and_key() {
    for (fields, expected) in FIELDS {
        is_told(&format!("[[uplink]]\nfields = [{fields}]"), expected);
    }
}

#[test]
fn a_wrong_table_is_told_by_message_and_key_or_line() {
    for (table, expected) in TABLES {
        is_told(table, expected);
    }
}

#[test]
fn an_error_holds_its_place_for_programs_too() {
    let error = Table::parse("uplink = [{fields=[{name='a',type='u8',scale=0}]}]").unwrap_err();
    let TableError::Invalid { message, field, key, .. } = &error else { panic!("{error}") };
    assert_eq!((message.as_deref(), field.as_deref(), *key), (Some("uplink 1"), Some("a"), "scale"));
    assert_eq!((error.line(), Table::parse("\n=").unwrap_err().line()), (None, Some(2)));
}

fn is_told(table: &str, expected: &str) {
    let error = Table::parse(table).map(|_| "nothing".to_owned()).unwrap_or_else(|error| error.to_string());
    assert!(error.contains(expected), "{table}\nexpected: {expected}\n     got: {error}");
}
