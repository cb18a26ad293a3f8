//! Cuts a script into names and punctuation; comments, texts and regular expressions are left out.
//!
//! Good enough to find names. Where a slash could begin a regular expression or divide, the token before it decides.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    Number,
    Punctuation,
    /// What stands for a text or a regular expression.
    Literal,
}

/// One token, and the line it is in, counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub line: u32,
}

/// The tokens of a script.
pub(super) fn tokens(script: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { rest: script, line: 1, tokens: Vec::new(), templates: Vec::new() };
    while lexer.step() {}
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    tokens: Vec<Token<'a>>,
    /// For each `${` that is open, how many braces are open in it.
    templates: Vec<usize>,
}

impl<'a> Lexer<'a> {
    /// Takes what comes next; false at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else { return false };
        match first {
            _ if self.rest.starts_with("//") => self.skip(self.rest.find('\n').unwrap_or(self.rest.len())),
            _ if self.rest.starts_with("/*") => {
                self.skip(2 + self.rest[2..].find("*/").map_or(self.rest.len() - 2, |end| end + 2))
            }
            '"' | '\'' => self.literal(1 + quoted(&self.rest[1..], &[first, '\n'])),
            '`' => self.template(),
            '}' if self.templates.last() == Some(&0) => {
                self.templates.pop();
                self.template();
            }
            '/' if self.may_begin_a_regexp() => self.literal(1 + regexp(&self.rest[1..])),
            _ if first.is_whitespace() || first == '\u{FEFF}' => self.skip(first.len_utf8()),
            _ if is_name(first) => self.word(),
            _ => self.punctuation(first),
        }
        true
    }

    fn skip(&mut self, length: usize) {
        let (skipped, rest) = self.rest.split_at(length);
        self.line += skipped.matches('\n').count() as u32;
        self.rest = rest;
    }

    fn push(&mut self, kind: Kind, length: usize) {
        self.tokens.push(Token { kind, text: &self.rest[..length], line: self.line });
        self.skip(length);
    }

    fn literal(&mut self, length: usize) {
        self.tokens.push(Token { kind: Kind::Literal, text: "", line: self.line });
        self.skip(length);
    }

    fn word(&mut self) {
        let length = self.rest.find(|character| !is_name(character)).unwrap_or(self.rest.len());
        let number = self.rest.starts_with(|first: char| first.is_ascii_digit());
        self.push(if number { Kind::Number } else { Kind::Name }, length);
    }

    fn punctuation(&mut self, first: char) {
        match (first, self.templates.last_mut()) {
            ('{', Some(open)) => *open += 1,
            ('}', Some(open)) => *open -= 1,
            _ => {}
        }
        self.push(Kind::Punctuation, if self.rest.starts_with("?.") { 2 } else { first.len_utf8() });
    }

    /// A template's text, from the backquote or the brace before it to its end or its next expression.
    fn template(&mut self) {
        let mut end = 1;
        loop {
            end += quoted(&self.rest[end..], &['`', '$']);
            let expression = self.rest[..end].ends_with('$') && self.rest[end..].starts_with('{');
            if expression {
                self.templates.push(0);
                end += 1;
            }
            if expression || end >= self.rest.len() || self.rest[..end].ends_with('`') {
                return self.literal(end);
            }
        }
    }

    /// After a value a slash divides.
    fn may_begin_a_regexp(&self) -> bool {
        let Some(before) = self.tokens.last() else { return true };
        match before.kind {
            Kind::Name => ["return", "typeof", "case", "in", "of", "do", "else", "void", "delete", "new", "throw"]
                .contains(&before.text),
            Kind::Number | Kind::Literal => false,
            Kind::Punctuation => ![")", "]", "}"].contains(&before.text),
        }
    }
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// How long a text is up to and with the first of these characters that no backslash stands before.
fn quoted(text: &str, ends: &[char]) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if !escaped && ends.contains(&character) {
            return at + character.len_utf8();
        }
        escaped = !escaped && character == '\\';
    }
    text.len()
}

/// How long a regular expression is behind its first slash: a slash in brackets does not end it.
fn regexp(text: &str) -> usize {
    let (mut escaped, mut in_class) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '\n' => return at,
            '/' if !in_class => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(script: &str) -> Vec<(&str, u32)> {
        let names = tokens(script).into_iter().filter(|token| token.kind == Kind::Name);
        names.map(|token| (token.text, token.line)).collect()
    }

    #[test]
    fn comments_texts_and_regular_expressions_hold_no_names() {
        let script = "a // b\n/* c\n d */ e 'f\\'g' \"h\"; /i[/]j/.test(k) l / m / n `o${p + `q${r}` + {s: 1}.s}t` u";
        let expected = ["a", "e", "test", "k", "l", "m", "n", "p", "r", "s", "s", "u"];
        assert_eq!(names(script).iter().map(|name| name.0).collect::<Vec<_>>(), expected);
        assert_eq!(names(script)[1].1, 3);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn whatever_a_text_holds_it_is_cut_in_order(text in "[a-c/*'`${}\\\\\\[\\]\n é\"?.]{0,40}") {
            let tokens = tokens(&text);
            assert!(tokens.is_sorted_by_key(|token| token.line));
        }
    }

    #[test]
    fn any_text_comes_to_an_end() {
        for script in ["'", "`", "`${", "`${}", "/", "/*", "/*/", "}", "a`$", "\u{FEFF}é", "'\\", "return /[/"] {
            tokens(script);
        }
    }
}
