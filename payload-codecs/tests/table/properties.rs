//! Generated tables and payloads: what is written is read back, and nothing makes the engine panic.

use payload_codecs::CodecError;
use payload_codecs::table::{Data, Table};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::shapes::{Dice, any_layout};

proptest! {
    #[test]
    fn data_survive_the_way_into_a_payload_and_back(layout in any_layout(), seed: u64) {
        let (text, data) = layout.render("uplink", seed);
        let Some(table) = small_enough(&text) else { return Ok(()) };
        let (bytes, _) = table.encode_uplink(None, &data).map_err(|error| fail(&error, &text, &data))?;
        let (back, warnings) = table.decode(1, &bytes).map_err(|error| fail(&error, &text, &data))?;
        prop_assert!(equal(&json!(back), &json!(data)), "{text}\n{}\nexpected {data:?}\n     got {back:?}", hex::encode(&bytes));
        prop_assert_eq!(warnings, Vec::<String>::new());
        let (again, _) = table.encode_uplink(None, &back).map_err(|error| fail(&error, &text, &back))?;
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn both_directions_mean_the_same(layout in any_layout(), seed: u64) {
        let (text, data) = layout.render("uplink", seed);
        let Some(up) = small_enough(&text) else { return Ok(()) };
        let down = crate::table(&layout.render("downlink", seed).0);
        let payload = up.encode_uplink(None, &data).unwrap();
        prop_assert_eq!(&down.encode(None, &data).unwrap(), &payload);
        prop_assert_eq!(down.decode_downlink(9, &payload.0).unwrap(), up.decode(9, &payload.0).unwrap());
    }

    #[test]
    fn any_payload_is_read_or_refused_and_what_is_read_can_be_written(layout in any_layout(), bytes in vec(any::<u8>(), 0..60), seed: u64) {
        let (text, data) = layout.render("uplink", seed);
        let Some(table) = small_enough(&text) else { return Ok(()) };
        let real = table.encode_uplink(None, &data).unwrap().0;
        for payload in [&bytes[..], &[&real[..], &bytes[..]].concat(), &real[..real.len() / 2]] {
            let Ok((data, warnings)) = table.decode(1, payload) else { continue };
            if warnings.is_empty() && !data.is_empty() && !text.contains("text") {
                let (again, _) = table.encode_uplink(None, &data).map_err(|error| fail(&error, &text, &data))?;
                let (back, _) = table.decode(1, &again).map_err(|error| fail(&error, &text, &data))?;
                prop_assert!(equal(&json!(back), &json!(data)), "{text}\n{}\n{data:?}\n{back:?}", hex::encode(&again));
            }
        }
    }

    #[test]
    fn any_data_are_written_or_refused(layout in any_layout(), seed: u64) {
        let (text, mut data) = layout.render("downlink", seed);
        let Some(table) = small_enough(&text) else { return Ok(()) };
        let mut dice = Dice(seed);
        for value in data.values_mut() {
            if dice.next().is_multiple_of(4) {
                *value = odd_value(&mut dice);
            }
        }
        if let Ok((bytes, _)) = table.encode(None, &data) {
            prop_assert!(bytes.len() <= 242 && table.decode_downlink(1, &bytes).is_ok());
        }
    }

    #[test]
    fn any_text_is_a_table_or_an_error(text in "\\PC*", layout in any_layout(), edits in vec((any::<u64>(), any::<u64>()), 1..8), bytes in vec(any::<u8>(), 0..30)) {
        let _ = Table::parse(&text);
        let (mut text, data) = layout.render("uplink", 1);
        for (at, what) in edits {
            edit(&mut text, at, what);
        }
        if let Ok(table) = Table::parse(&text) {
            let _ = (table.decode(1, &bytes), table.encode_uplink(None, &data), table.fields(), table.commands(), table.normalize(&data));
        }
    }
}

/// The table; `None` if it was generated longer than payloads are.
fn small_enough(text: &str) -> Option<Table> {
    match Table::parse(text) {
        Err(error) if error.to_string().contains("behind byte 242") => None,
        parsed => Some(parsed.unwrap_or_else(|error| panic!("{error}\n{text}"))),
    }
}

fn fail(error: &CodecError, text: &str, data: &Data) -> TestCaseError {
    TestCaseError::fail(format!("{error}\n{text}\n{data:?}"))
}

/// Equality that does not tell 5 from 5.0, as JSON does not.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            let same = |(key, value)| right.get(key).is_some_and(|other| equal(value, other));
            left.len() == right.len() && left.iter().all(same)
        }
        _ => left == right,
    }
}

fn odd_value(dice: &mut Dice) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(-5e-324),
        json!(0.1),
        json!(""),
        json!("ééé"),
        json!("00"),
        json!([]),
        json!([{}]),
        json!({"x": [1]}),
    ];
    values[dice.next() as usize % values.len()].clone()
}

/// Replaces a number or a word somewhere in the text.
fn edit(text: &mut String, at: u64, what: u64) {
    let tokens: Vec<_> =
        text.match_indices(|character: char| character.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let start = tokens[at as usize % tokens.len()];
    let end =
        text[start..].find(|character: char| !character.is_ascii_alphanumeric()).map_or(text.len(), |end| start + end);
    let words = [
        "0",
        "1",
        "7",
        "64",
        "243",
        "99999999999999",
        "-1",
        "1.5",
        "nan",
        "rest",
        "f1",
        "at",
        "u64",
        "i1",
        "text",
        "fields",
    ];
    text.replace_range(start..end, words[what as usize % words.len()]);
}
