//! Bytes and texts in a payload, and what can be found in a text.

use serde_json::{Number, Value};

use super::Find;
use super::decimal::Decimal;

/// Reads hex of either case; `None` if it is none.
pub(super) fn from_hex(hex: &str) -> Option<Vec<u8>> {
    hex::decode(hex).ok()
}

/// The text in these bytes, without the padding at its end; what is no UTF-8 becomes U+FFFD.
pub(super) fn from_bytes(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim_end_matches(|character: char| character == '\0' || character.is_whitespace()).to_owned()
}

/// What a text says of this.
pub(super) fn find(find: &Find, text: &str) -> Option<Value> {
    let Some(words) = &find.words else { return last_number(text).map(Value::Number) };
    let places =
        words.iter().filter_map(|(word, value)| Some((text.find(word)?, std::cmp::Reverse(word.len()), value)));
    places.min_by_key(|(at, longest, _)| (*at, *longest)).map(|(.., value)| value.clone())
}

/// What is said of a text without it.
pub(super) fn holds_no(find: &Find) -> String {
    let words = find.words.as_ref().map(|words| words.keys().map(String::as_str).collect::<Vec<_>>());
    words.map_or("the text holds no number".to_owned(), |words| format!("the text holds none of {}", words.join(", ")))
}

/// The last number in a text: digits, perhaps with a fraction, perhaps with a sign.
fn last_number(text: &str) -> Option<Number> {
    let end = text.rfind(|character: char| character.is_ascii_digit())? + 1;
    let digits_until = |end: usize| text[..end].trim_end_matches(|character: char| character.is_ascii_digit()).len();
    let fraction = digits_until(end);
    let whole = match text[..fraction].strip_suffix('.') {
        Some(before) if digits_until(before.len()) < before.len() => digits_until(before.len()),
        _ => fraction,
    };
    let start = whole - usize::from(text[..whole].ends_with(['-', '+']));
    let number = &text[start..end];
    Decimal::parse(number).and_then(Decimal::to_number).or_else(|| Number::from_f64(number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_of_a_text_is_found() {
        let found = |text: &str| last_number(text).map(|number| number.to_string());
        assert_eq!(found("Value is 21.5, LED on").as_deref(), Some("21.5"));
        assert_eq!(found("-4.0").as_deref(), Some("-4"));
        assert_eq!(found("1.2.3").as_deref(), Some("2.3"));
        assert_eq!(found("at 7 +8.").as_deref(), Some("8"));
        assert_eq!(found(".5°").as_deref(), Some("5"));
        assert_eq!(found(&format!("1{}", "0".repeat(60))).as_deref(), Some("1e+60"));
        assert_eq!([found("none"), found(""), found(&"9".repeat(400))], [None, None, None]);
    }

    #[test]
    fn the_word_that_comes_first_counts_and_of_two_there_the_longer() {
        let words = [("on", 1), ("once", 2), ("off", 3)].map(|(word, value)| (word.to_owned(), Value::from(value)));
        let find_in = |text| find(&Find { words: Some(words.clone().into()), ..Find::default() }, text);
        assert_eq!([find_in("off and on"), find_in("once"), find_in("-")], [Some(3.into()), Some(2.into()), None]);
    }

    #[test]
    fn hex_of_either_case_is_read_and_nothing_else() {
        assert_eq!(from_hex("00fFA0"), Some(vec![0, 255, 160]));
        assert_eq!(["0", "0g", "é"].map(from_hex), [None, None, None]);
        assert_eq!(hex::encode([0, 255, 160]), "00ffa0");
    }
}
