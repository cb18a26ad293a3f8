//! A field's name as words, and names found at the end of them.

use super::tables::{ASIDES, UNITS, is_word};

/// The words of a field's name, in lower case, the number of a channel apart. What is only called `value` is named by what it
/// is the value of.
pub fn of(path: &str) -> Vec<String> {
    let mut levels = path.rsplit('.');
    let last = levels.next().unwrap_or_default();
    let name = if last.eq_ignore_ascii_case("value") { levels.next().unwrap_or(last) } else { last };
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.flat_map(at_humps).flat_map(|word| without_channel(&word)).collect()
}

/// The words as they are, then without one after the other that only says where or which.
pub fn readings(words: &[String]) -> impl Iterator<Item = &[String]> {
    let is_aside = |word: &String| ASIDES.contains(&word.as_str()) || word.bytes().all(|byte| byte.is_ascii_digit());
    let kept = words.iter().rposition(|word| !is_aside(word)).map_or(0, |last| last + 1);
    (kept.max(1)..=words.len()).rev().map(|length| &words[..length])
}

/// How many words of the longest of these names the words end with.
pub fn ends_with(words: &[String], names: &[&str]) -> Option<usize> {
    let length = |name: &&str| {
        let name: Vec<_> = name.split(' ').collect();
        let start = words.len().checked_sub(name.len())?;
        (words[start..] == name[..]).then_some(name.len())
    };
    names.iter().filter_map(length).max()
}

/// The first of those with the longest name.
pub fn longest<T>(found: impl Iterator<Item = (usize, T)>) -> Option<T> {
    found.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, found)| found)
}

/// `TempC` at its humps: `temp`, `c`. Digits stay with what they follow, and units such as `hPa` stay together.
fn at_humps(part: &str) -> Vec<String> {
    let letters: Vec<_> = part.chars().collect();
    let mut words = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let rises = letter.is_ascii_uppercase() && before.is_some_and(|before| !before.is_ascii_uppercase());
        let ends_capitals = letter.is_ascii_uppercase()
            && before.is_some_and(|before| before.is_ascii_uppercase())
            && letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if rises || ends_capitals {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    if let [.., first, second] = &words[..]
        && UNITS.iter().any(|(unit, _)| *unit == format!("{first}{second}"))
    {
        let unit = format!("{first}{second}");
        words.truncate(words.len() - 2);
        words.push(unit);
    }
    words
}

/// `temp2` is `temp` of channel 2, but `co2` is a name.
fn without_channel(word: &str) -> Vec<String> {
    let (stem, channel) = word.split_at(word.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let parts = if is_word(word) { [word, ""] } else { [stem, channel] };
    parts.into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
