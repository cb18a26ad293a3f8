//! What made-up tables do not reach: names that C keeps for itself, what is refused, and what the text of a header is.

use payload_codecs::table::{HeaderError, Table, header};

use crate::compiler::{Language, Program};

/// A table of names that are hard for C, and of numbers that do not fit.
const AWKWARD: &str = r#"
name = "water meter 2.0"

[[uplink]]
name = "status"
fields = [
  { name = "class", type = "u8", values = { 0 = "on", 1 = "On", 2 = "°", 3 = "very high" } },
  { name = "mode", type = "i32", values = { -2147483648 = "least", 70000 = "more" }, friendly_name = "*/ /* mode" },
  { name = "batteryVoltage", type = "u12", scale = 0.01, unit = "V", absent = 0xfff },
  { name = "drift", type = "i4" },
  { name = "label", type = "text4", friendly_name = "a\\" },
  { name = "levels", repeat = "rest", most = 2, fields = [{ name = "level", type = "u8" }] },
]

[[downlink]]
name = "status"
port = [7, 9]
fields = [
  { type = "u8", equals = 0xa5 },
  { name = "goal", type = "i16", scale = -0.5, min = -10, max = 20, absent = 0x8000 },
  { name = "gain", type = "f32", min = 0.1 },
  { name = "while", type = "bool8" },
]

[[downlink]]
name = "action"
tag = "u8"
parts = [{ tag = 1, name = "reboot", friendly_name = "Restart" }, { tag = 2, fields = [{ name = "beeps", type = "u8" }] }]
"#;

const PROGRAM: &str = r#"
#include "awkward.h"
#include <stdio.h>

#define CHECK(holds) do { if (!(holds)) { printf("line %d: %s\n", __LINE__, #holds); } } while (0)

static uint8_t bytes[64];

static size_t pack(struct water_meter_2_0_status_uplink status)
{
    return water_meter_2_0_pack_status_uplink(&status, bytes, sizeof bytes);
}

static void check_packing(void)
{
    struct water_meter_2_0_status_uplink status;
    memset(&status, 0, sizeof status);
    status.class_ = WATER_METER_2_0_STATUS_UPLINK_CLASS_VERY_HIGH;
    status.mode = WATER_METER_2_0_STATUS_UPLINK_MODE_LEAST;
    status.batteryVoltage = WATER_METER_2_0_STATUS_UPLINK_BATTERY_VOLTAGE_ABSENT;
    status.drift = -8;
    strcpy(status.label, "full");
    CHECK(pack(status) == 11 && memcmp(bytes, "\3\200\0\0\0\377\370full", 11) == 0);
    CHECK(WATER_METER_2_0_STATUS_UPLINK_CLASS_ON == 0 && WATER_METER_2_0_STATUS_UPLINK_CLASS_ON_1 == 1);
    CHECK(WATER_METER_2_0_STATUS_UPLINK_CLASS_2 == 2 && WATER_METER_2_0_STATUS_UPLINK_SIZE == 13);

    struct water_meter_2_0_status_uplink odd = status;
    odd.batteryVoltage = 0x1000;
    CHECK(pack(odd) == 0);
    odd = status;
    odd.drift = 8;
    CHECK(pack(odd) == 0);
    odd.drift = -9;
    CHECK(pack(odd) == 0);
    odd = status;
    odd.levels_count = 3;
    CHECK(pack(odd) == 0);
    odd = status;
    memset(odd.label, 'x', sizeof odd.label);
    CHECK(pack(odd) == 0);
    CHECK(water_meter_2_0_pack_status_uplink(&status, bytes, 10) == 0);
}

static bool parse(uint8_t port, const char *payload, size_t length, struct water_meter_2_0_status_downlink *status)
{
    memcpy(bytes, payload, length);
    return water_meter_2_0_parse_status_downlink(port, bytes, length, status);
}

static void check_parsing(void)
{
    struct water_meter_2_0_status_downlink status;
    memset(&status, 0, sizeof status);
    CHECK(parse(9, "\245\0\24\100\0\0\0\7", 8, &status));
    CHECK(status.goal == 20 && status.gain == 2.0f && status.while_);
    CHECK(parse(7, "\245\377\330\77\200\0\0\0", 8, &status) && status.goal == -40 && !status.while_);
    CHECK(parse(7, "\245\200\0\77\200\0\0\0", 8, &status));
    CHECK(status.goal == WATER_METER_2_0_STATUS_DOWNLINK_GOAL_ABSENT);

    status.goal = 12;
    CHECK(!parse(8, "\245\0\24\100\0\0\0\7", 8, &status));  /* another port */
    CHECK(!parse(7, "\244\0\24\100\0\0\0\7", 8, &status));  /* another constant */
    CHECK(!parse(7, "\245\0\25\100\0\0\0\7", 8, &status));  /* less than -10 */
    CHECK(!parse(7, "\245\377\327\100\0\0\0\7", 8, &status));  /* more than 20 */
    CHECK(!parse(7, "\245\0\24\0\0\0\0\7", 8, &status));  /* a gain of 0 */
    CHECK(!parse(7, "\245\0\24\100\0\0\0", 7, &status));  /* cut short */
    CHECK(status.goal == 12);
}

static void check_tags(void)
{
    struct water_meter_2_0_action action;
    CHECK(water_meter_2_0_parse_action(1, (const uint8_t *)"\2\5\1\2\6", 5, &action));
    CHECK(action.reboot && action.has_beeps && action.beeps == 6);
    CHECK(water_meter_2_0_parse_action(1, (const uint8_t *)"\2\5", 2, &action) && !action.reboot);
    CHECK(!water_meter_2_0_parse_action(1, (const uint8_t *)"\1\3", 2, &action) && !action.reboot);
    CHECK(!water_meter_2_0_parse_action(1, (const uint8_t *)"\1\2", 2, &action) && !action.reboot);
}

int main(void)
{
    check_packing();
    check_parsing();
    check_tags();
    return 0;
}
"#;

#[test]
fn what_does_not_fit_is_neither_packed_nor_parsed() {
    let text = header(&Table::parse(AWKWARD).unwrap(), "ignored").unwrap();
    for language in [Language::C99, Language::Cpp11] {
        let program = Program::compile(language, PROGRAM, &[("awkward.h".to_owned(), text.clone())]);
        assert_eq!(program.run(""), "");
    }
}

#[test]
fn comments_say_what_a_raw_number_is_worth() {
    let text = header(&Table::parse(AWKWARD).unwrap(), "ignored").unwrap();
    for line in [
        "    int16_t goal;  /* in steps of -0.5; -40 to 20; WATER_METER_2_0_STATUS_DOWNLINK_GOAL_ABSENT for none */",
        "#define WATER_METER_2_0_STATUS_DOWNLINK_PORT 7  /* also 9 */",
        "    bool reboot;  /* Restart */",
    ] {
        let found = text.lines().any(|found| without_spaces(found) == without_spaces(line));
        assert!(found, "{line}\n{text}");
    }
}

#[test]
fn only_what_a_table_needs_is_in_its_header() {
    let table = Table::parse("[[uplink]]\nfields = [{ name = \"level\", type = \"u8\" }]").unwrap();
    let text = header(&table, "tank").unwrap();
    assert!(text.contains("size_t tank_pack_uplink(const struct tank_uplink *values"), "{text}");
    for other in ["reader", "64_t", "float", "twos", "put_le"] {
        assert!(!text.contains(other), "{other} in {text}");
    }
}

#[test]
fn names_that_c_cannot_tell_apart_are_refused() {
    let refused = |text: &str, name: &str| header(&Table::parse(text).unwrap(), name).unwrap_err();
    let two = "[[uplink]]\nport = 1\nfields = [{ type = \"u8\" }]\n";
    assert_eq!(refused(&format!("{two}{two}"), "x"), HeaderError::Unnamed("uplink".to_owned()));
    assert_eq!(refused(two, "№"), HeaderError::NoIdentifier("№".to_owned()));
    let alike = "[[uplink]]\nfields = [{ name = \"a__b\", type = \"u8\" }, { name = \"a_b\", type = \"u8\" }]";
    let HeaderError::Taken { identifier, one, other } = refused(alike, "x") else { panic!("they are not told apart") };
    assert_eq!([identifier, one, other], ["a_b", "a__b", "a_b"]);

    let field = "{ name = \"a\", type = \"u8\" }";
    let camels = "[[uplink]]\nfields = [{ name = \"aB\", type = \"u8\", absent = 0 }, { name = \"a_b\", type = \"u8\", absent = 0 }]";
    for (text, name, words) in [
        (camels.to_owned(), "x", ["aB", "a_b"]),
        (format!("[[uplink]]\nname = \"bit_writer\"\nfields = [{field}]"), "x", ["the header's own", "bit_writer"]),
        (format!("[[uplink]]\nname = \"H\"\nfields = [{field}]"), "X", ["the header's own", "H"]),
        (
            format!("[[uplink]]\nname = \"UP\"\nfields = [{{ name = \"SIZE\", fields = [{field}] }}]"),
            "X",
            ["SIZE", "UP"],
        ),
    ] {
        let refused = refused(&text, name);
        assert!(matches!(&refused, HeaderError::Taken { one, other, .. } if [one, other] == words), "{refused}");
    }
}

fn without_spaces(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}
