//! The inner workings of a header: C functions that write and read bits one after the other.

/// The functions, each behind a line with its name; what one calls comes before it. `PREFIX` stands for what the header's
/// identifiers begin with, `WORD` and `INT` for integers of `WIDTH` bits that hold any number of the table.
const TEMPLATE: &str = include_str!("cursor.h");

/// Those of the functions that `code` calls, and what they need themselves.
pub(super) fn functions(prefix: &str, code: &str, width: u32) -> String {
    let pieces = TEMPLATE.split("//: ").filter_map(|piece| piece.split_once('\n'));
    let pieces: Vec<_> = pieces.map(|(name, text)| (format!("{prefix}_{name}"), fill(text, prefix, width))).collect();
    let mut needed: Vec<&str> = Vec::new();
    for (name, text) in pieces.iter().rev() {
        if uses(code, name) || needed.iter().any(|later| uses(later, name)) {
            needed.push(text);
        }
    }
    needed.reverse();
    needed.concat()
}

fn fill(text: &str, prefix: &str, width: u32) -> String {
    let text = text.replace("WORD", &format!("uint{width}_t")).replace("INT", &format!("int{width}_t"));
    // The prefix comes last: it may hold any of the other words.
    format!("{}\n\n", text.trim_end().replace("WIDTH", &width.to_string()).replace("PREFIX", prefix))
}

/// Whether the word stands in the code, and is not just the beginning of a longer one.
fn uses(code: &str, word: &str) -> bool {
    let part_of_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| !code[at + word.len()..].starts_with(part_of_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_called_is_there() {
        let some = functions("node", "node_get_bytes(&from, out, 3);", 32);
        assert!(some.contains("struct node_bit_reader {") && some.contains("bool node_has_bits("), "{some}");
        assert!(!some.contains("writer") && !some.contains("get_be") && !some.contains("PREFIX"), "{some}");
        assert_eq!(functions("node", "", 32), "");
    }
}
