//! Generated C headers against the codec of the same table: what C packs is decoded, what is encoded C parses.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod by_hand;
mod compiler;
mod dice;
mod program;
mod tables;
mod values;
mod written;

use compiler::{Language, Program};
use dice::Dice;
use program::{Case, Generated};
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::Value;

/// So many tables, with so many values each, are compiled at once.
const TABLES: usize = 40;

#[test]
fn c_and_the_codec_agree_on_every_bit() {
    let generated = generate();
    let headers: Vec<_> = generated.iter().map(Generated::header).collect();
    let source = program::source(&generated);
    for language in [Language::C99, Language::Cpp11] {
        let printed = Program::compile(language, &source, &headers).run("");
        let mut lines = printed.lines();
        for table in &generated {
            table.cases.iter().for_each(|case| check(table, case, lines.next().unwrap()));
        }
        assert_eq!(lines.next(), None);
        let refused = printed.lines().filter(|line| *line == "refused").count();
        assert!((TABLES..TABLES * 15).contains(&refused), "{refused} strange payloads were refused");
    }
}

fn generate() -> Vec<Generated> {
    let mut dice = Dice(TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    (0..TABLES).map(|index| Generated::roll(&mut dice, index)).collect()
}

/// Compares what C said of a case with what the codec says.
fn check(table: &Generated, case: &Case, line: &str) {
    let told = || format!("{}\n{case:?}\nC says: {line}", table.toml);
    match case {
        Case::Said { index, data, bytes } => {
            assert_eq!(line, hex::encode(bytes), "{}", told());
            let (decoded, warnings) =
                table.table.decode(port(*index), bytes).unwrap_or_else(|e| panic!("{e} {}", told()));
            assert!(warnings.is_empty(), "{warnings:?} {}", told());
            assert!(same(&Value::Object(decoded), &Value::Object(data.clone())), "{}", told());
        }
        Case::Strange { index, bytes } => match table.table.decode_downlink(port(*index), bytes) {
            Ok((data, _)) if table.fits(*index, &data) => {
                let again = hex::decode(line).unwrap_or_else(|_| panic!("{data:?} {}", told()));
                let (again, _) = table.table.decode(port(*index), &again).unwrap_or_else(|e| panic!("{e} {}", told()));
                assert!(
                    same(&Value::Object(again.clone()), &Value::Object(data.clone())),
                    "{again:?} {data:?} {}",
                    told()
                );
            }
            odd => assert_eq!(line, "refused", "{odd:?} {}", told()),
        },
    }
}

/// The port of a message.
fn port(index: usize) -> u8 {
    index as u8 + 1
}

/// Whether both say the same. Numbers may be written differently (`1` and `1.0`), and a text ends at a NUL.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || ((one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64())
        }
        (Value::String(one), Value::String(other)) => {
            let [one, other] = [one, other].map(|text| text.split('\0').next().unwrap_or_default().trim_end());
            one == other
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}
