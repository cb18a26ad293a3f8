//! Whatever the bridge warns of, docs/guide/troubleshooting.md says what it means and what to do.

use std::fs;

use crate::source::{Source, root};

const GUIDE: &str = "docs/guide/troubleshooting.md";
/// The macros whose messages people look up.
const LOUD: [&str; 2] = ["tracing::warn!(", "tracing::error!("];

#[test]
fn every_warning_is_explained_and_nothing_is_that_is_never_said() {
    let guide = fs::read_to_string(root().join(GUIDE)).expect("the guide is there");
    let sources = Source::all(&["src"]);
    let spoken: Vec<_> = sources.iter().filter(|source| !source.is_test).flat_map(messages).collect();
    assert!(spoken.len() > 40, "only {} messages were found in src/", spoken.len());
    let unexplained = spoken.iter().filter(|(_, message)| !guide.contains(&format!("| {message} |")));
    let mut problems: Vec<_> =
        unexplained.map(|(place, message)| format!("{place}: `{message}` has no row in {GUIDE}")).collect();
    let explained = guide.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
    // Messages are sentences; what else stands first in a row is not.
    let sentences = explained.map(|(message, _)| message).filter(|message| message.ends_with('.'));
    let unsaid = sentences.filter(|message| !spoken.iter().any(|(_, spoken)| spoken == message));
    problems.extend(unsaid.map(|message| format!("{GUIDE}: `{message}` is said nowhere")));
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Where each warning is said, and its words.
fn messages(source: &Source) -> Vec<(String, String)> {
    let code = source.without_tests();
    let calls = LOUD.iter().flat_map(|call| code.match_indices(call).map(|(at, call)| (at, at + call.len())));
    let said = calls.filter_map(|(at, open)| {
        let words = last_literal(&source.text[open..open + arguments(&code[open..])])?;
        Some((source.problem(at, "").trim_end_matches(": ").to_owned(), words))
    });
    // A text that is put together elsewhere has its hint beside it.
    said.filter(|(_, words)| !words.starts_with('{')).collect()
}

/// How long the arguments of a call are, up to the parenthesis that ends it.
fn arguments(code: &str) -> usize {
    let mut open = 1;
    let end = code.find(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open == 0
    });
    end.unwrap_or(code.len())
}

fn last_literal(arguments: &str) -> Option<String> {
    let mut ends = arguments.rmatch_indices('"').map(|(at, _)| at).filter(|at| !arguments[..*at].ends_with('\\'));
    let (end, start) = (ends.next()?, ends.next()?);
    Some(arguments[start + 1..end].replace("\\\"", "\""))
}
