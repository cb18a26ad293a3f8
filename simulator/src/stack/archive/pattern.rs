//! Regular expressions, as far as requests for event names need them.
//!
//! Supported are literal characters, `\` before one, `.`, `*`, `+`, `?`, `^`, `$`, groups `( )` and alternatives `|`;
//! a pattern may match anywhere in the text. Anything else, for example a class `[ ]` or a count `{ }`, is refused.

use std::iter::Peekable;
use std::str::Chars;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Alternatives);

type Alternatives = Vec<Vec<Piece>>;

/// Something to match, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    atom: Atom,
    optional: bool,
    repeated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Atom {
    Any,
    Literal(char),
    Start,
    End,
    Group(Alternatives),
}

impl Pattern {
    /// `None` if the expression is malformed or uses what is not supported.
    pub fn parse(expression: &str) -> Option<Self> {
        let mut rest = expression.chars().peekable();
        let alternatives = alternatives(&mut rest)?;
        rest.next().is_none().then_some(Self(alternatives))
    }

    /// Whether some part of `text` matches.
    pub fn is_in(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        (0..=text.len()).any(|start| any_matches(&self.0, &text, start, &mut |_| true))
    }
}

fn alternatives(rest: &mut Peekable<Chars<'_>>) -> Option<Alternatives> {
    let mut found = vec![sequence(rest)?];
    while rest.next_if_eq(&'|').is_some() {
        found.push(sequence(rest)?);
    }
    Some(found)
}

fn sequence(rest: &mut Peekable<Chars<'_>>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    while let Some(next) = rest.next_if(|next| !matches!(next, '|' | ')')) {
        let atom = atom(next, rest)?;
        let quantity = rest.next_if(|next| matches!(next, '*' | '+' | '?'));
        let (optional, repeated) = (matches!(quantity, Some('*' | '?')), matches!(quantity, Some('*' | '+')));
        pieces.push(Piece { atom, optional, repeated });
    }
    Some(pieces)
}

fn atom(first: char, rest: &mut Peekable<Chars<'_>>) -> Option<Atom> {
    Some(match first {
        '.' => Atom::Any,
        '^' => Atom::Start,
        '$' => Atom::End,
        '\\' => Atom::Literal(rest.next().filter(|escaped| !escaped.is_alphanumeric())?),
        '(' => {
            let group = Atom::Group(alternatives(rest)?);
            rest.next_if_eq(&')')?;
            group
        }
        '*' | '+' | '?' | '[' | ']' | '{' | '}' => return None,
        literal => Atom::Literal(literal),
    })
}

/// Tries every way to match from `at`, until what follows, `then`, is content with the place where one ends.
fn any_matches(ways: &Alternatives, text: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    ways.iter().any(|pieces| matches(pieces, text, at, then))
}

fn matches(pieces: &[Piece], text: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    let Some((piece, rest)) = pieces.split_first() else { return then(at) };
    let once = atom_matches(&piece.atom, text, at, &mut |end| {
        let again = Piece { optional: true, ..piece.clone() };
        // Repeating what consumed nothing would never end.
        let repeats = piece.repeated && end > at && matches(&[&[again], rest].concat(), text, end, then);
        repeats || matches(rest, text, end, then)
    });
    once || piece.optional && matches(rest, text, at, then)
}

fn atom_matches(atom: &Atom, text: &[char], at: usize, then: &mut dyn FnMut(usize) -> bool) -> bool {
    match atom {
        Atom::Any => at < text.len() && then(at + 1),
        Atom::Literal(wanted) => text.get(at) == Some(wanted) && then(at + 1),
        Atom::Start => at == 0 && then(at),
        Atom::End => at == text.len() && then(at),
        Atom::Group(ways) => any_matches(ways, text, at, then),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(expression: &str, text: &str) -> bool {
        Pattern::parse(expression).unwrap().is_in(text)
    }

    #[test]
    fn what_is_supported_matches_as_everywhere() {
        for (expression, text) in [
            ("as.up.*forward", "as.up.data.forward"),
            (r"^as\.down\.data\.(sent|ack|nack|failed)\.forward$", "as.down.data.nack.forward"),
            ("down", "as.down.data.receive"),
            ("a+b?c*$", "xaac"),
            ("(ab)+c", "ababc"),
            ("x|receive", "as.down.data.receive"),
            ("", "anything"),
            ("(a*)*b", "aaab"),
        ] {
            assert!(is_in(expression, text), "{expression} {text}");
        }
        for (expression, text) in [
            (r"as\.up", "as-up"),
            ("^down", "as.down"),
            ("up$", "as.up.data"),
            ("ab+c", "ac"),
            ("(sent|ack)x", "ack"),
            ("(a*)*b", "aaa"),
        ] {
            assert!(!is_in(expression, text), "{expression} {text}");
        }
    }

    #[test]
    fn what_is_malformed_or_not_supported_is_refused() {
        for expression in ["(a", "a)", "*a", "[ab]", "a{2}", r"\d", "\\"] {
            assert_eq!(Pattern::parse(expression), None, "{expression}");
        }
    }
}
