//! From the words of a table to identifiers of C, no two alike.

use std::collections::BTreeMap;

use super::HeaderError;
use super::layout::Shape;
use crate::table::model::Field;

/// Words that C99 or C++ to this day keep for themselves, or that the included headers define.
const RESERVED: &str = "alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t \
    char8_t class co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue \
    decltype default delete do double dynamic_cast else enum errno explicit export extern false float for friend goto if inline int linux long mutable namespace new noexcept not \
    not_eq nullptr offsetof operator or or_eq private protected public register reinterpret_cast requires restrict return \
    short signed size_t sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef \
    typeid typename typeof union unix unsigned using virtual void volatile wchar_t while xor xor_eq NULL";

/// The identifiers of one scope, each with the word it was made of.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Takes `identifier` for `word`.
    ///
    /// # Errors
    /// [`HeaderError::Taken`] if another word has it already.
    pub(super) fn take(&mut self, identifier: &str, word: &str) -> Result<(), HeaderError> {
        match self.0.insert(identifier.to_owned(), word.to_owned()) {
            None => Ok(()),
            Some(other) => {
                Err(HeaderError::Taken { identifier: identifier.to_owned(), one: other, other: word.to_owned() })
            }
        }
    }
}

/// The word as a part of an identifier, with all that C does not take made `_`: `PM2.5` becomes `PM2_5`.
///
/// # Errors
/// [`HeaderError::NoIdentifier`] if nothing is left of it.
pub(super) fn part(word: &str) -> Result<String, HeaderError> {
    Some(letters(word)).filter(|part| !part.is_empty()).ok_or_else(|| HeaderError::NoIdentifier(word.to_owned()))
}

/// The word as what identifiers begin with.
///
/// # Errors
/// Those of [`part`].
pub(super) fn prefix(word: &str) -> Result<String, HeaderError> {
    let part = part(word)?;
    Ok(if part.starts_with(|first: char| first.is_ascii_digit()) { format!("device_{part}") } else { part })
}

/// The word as a member of a struct.
///
/// # Errors
/// Those of [`part`].
pub(super) fn member(word: &str) -> Result<String, HeaderError> {
    let part = part(word)?;
    match part.starts_with(|first: char| first.is_ascii_digit()) {
        true => Ok(format!("_{part}")),
        false if RESERVED.split(' ').any(|reserved| reserved == part) || is_of_stdint(&part) => Ok(format!("{part}_")),
        false => Ok(part),
    }
}

/// Whether `stdint.h` may call a type or a macro so: in C++ no member shadows a type that is used, in C none a macro.
fn is_of_stdint(word: &str) -> bool {
    let is = |starts: &[&str], ends: &[&str]| {
        starts.iter().any(|start| word.starts_with(start)) && ends.iter().any(|end| word.ends_with(end))
    };
    let limited = ["INT", "UINT", "PTRDIFF_", "SIG_ATOMIC_", "SIZE_", "WCHAR_", "WINT_"];
    is(&["int", "uint"], &["_t"]) || is(&limited, &["_MAX", "_MIN", "_C", "_WIDTH"])
}

/// The word as a part of a macro's name: `batteryVoltage` becomes `BATTERY_VOLTAGE`. Empty if nothing is left of it.
pub(super) fn macro_part(word: &str) -> String {
    let plain = letters(word);
    let mut name = String::new();
    for (at, letter) in plain.char_indices() {
        let behind_small = plain[..at].ends_with(|before: char| before.is_ascii_lowercase());
        if letter.is_ascii_uppercase() && behind_small {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// What the macros of a field begin with.
pub(super) fn macros(shape: &Shape<'_>, field: &Field) -> String {
    format!("{}_{}", shape.macros, macro_part(field.name.as_deref().unwrap_or_default()))
}

/// Text that cannot end the comment it stands in, nor open another.
pub(super) fn comment(text: &str) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    line.replace("*/", "* /").replace("/*", "/ *")
}

/// Letters and digits of ASCII, with one `_` for whatever lies between them: C++ keeps `__` for itself.
fn letters(word: &str) -> String {
    let parts = word.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_identifiers_that_c_and_cpp_take() {
        for (word, expected) in [("PM2.5", "PM2_5"), ("2nd", "_2nd"), ("class", "class_"), ("a__b-", "a_b")] {
            assert_eq!(member(word).unwrap(), expected);
        }
        for word in ["uint8_t", "size_t", "INT8_MAX", "SIZE_MAX", "UINT64_C", "concept"] {
            assert_eq!(member(word).unwrap(), format!("{word}_"));
        }
        assert_eq!(["delta_t", "T_MAX", "air_C"].map(|word| member(word).unwrap()), ["delta_t", "T_MAX", "air_C"]);
        assert_eq!([prefix("int").unwrap(), prefix("2nd-node").unwrap()], ["int", "device_2nd_node"]);
        assert!(matches!(member("°"), Err(HeaderError::NoIdentifier(word)) if word == "°"));
    }

    #[test]
    fn macros_break_words_where_camels_have_humps() {
        assert_eq!(macro_part("batteryVoltage"), "BATTERY_VOLTAGE");
        assert_eq!(macro_part("very high"), "VERY_HIGH");
        assert_eq!(macro_part("CO2"), "CO2");
    }

    #[test]
    fn a_comment_stays_one() {
        assert_eq!(comment("°C */ evil /*\n/*/"), "°C * / evil / * / * /");
    }
}
