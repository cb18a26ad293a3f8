//! Looks a script over: reads its names, and calls it twice where nothing is put back in between.

mod lexer;

use std::rc::Rc;

use rquickjs::Function;

use self::lexer::{Kind, Token};
use super::JavaScript;
use super::engine::{Call, Engine, Entry};
use super::fault::Fault;
use crate::codec::Limits;
use crate::lint::{Finding, FindingKind};

/// Calls a decoder with made-up payloads and tells what it left behind.
const SURVEY: &str = include_str!("survey.js");

/// What else there is in browsers and in Node.
const ABSENT: &str = "Deno Intl URL URLSearchParams WebSocket XMLHttpRequest __dirname __filename alert clearInterval \
    clearTimeout crypto document exports fetch global importScripts localStorage module navigator process require self \
    setImmediate setInterval setTimeout structuredClone window";

/// The methods of a `Date` that depend on the time zone.
const LOCAL: &str = "getDate getDay getFullYear getHours getMinutes getMonth getSeconds getTimezoneOffset getYear setDate \
    setFullYear setHours setMinutes setMonth setSeconds setYear toDateString toLocaleDateString toLocaleString \
    toLocaleTimeString toTimeString";

/// What is remarkable about a script, in no order. A script that does not load is only read.
pub(crate) fn lint(script: &str, limits: &Limits) -> Vec<Finding> {
    let tokens = lexer::tokens(script);
    let mut findings: Vec<Finding> = (0..tokens.len()).filter_map(|at| remarkable(&tokens, at)).collect();
    findings.extend(survey(script, &tokens, limits));
    findings
}

/// What is remarkable about the name at this place, if it is a name.
fn remarkable(tokens: &[Token<'_>], at: usize) -> Option<Finding> {
    let token = tokens[at];
    let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
    let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
    if token.kind != Kind::Name {
        return None;
    }
    let member = matches!(before, "." | "?.");
    let found = |kind, name: &str| Some(Finding { kind, name: name.to_owned(), line: Some(token.line) });
    match token.text {
        "Date" if !member && text(1) == "." && text(2) == "now" => found(FindingKind::Now, "Date.now"),
        "Date" if before == "new" && (text(1) != "(" || text(2) == ")") => found(FindingKind::Now, "new Date()"),
        "Date" if !member && before != "new" && text(1) == "(" => found(FindingKind::Now, "Date()"),
        "performance" if !member && text(1) == "." => found(FindingKind::Now, "performance"),
        "Math" if text(1) == "." && text(2) == "random" => found(FindingKind::Random, "Math.random"),
        name if member && text(1) == "(" && lists(LOCAL, name) => found(FindingKind::LocalTime, name),
        name if lists(ABSENT, name) && !member && text(1) != ":" && !is_known(tokens, name) => {
            found(FindingKind::UnknownGlobal, name)
        }
        _ => None,
    }
}

fn lists(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|one| one == name)
}

/// Whether the script defines this name itself, or asks first whether it is there.
fn is_known(tokens: &[Token<'_>], name: &str) -> bool {
    tokens.windows(2).any(|pair| {
        let declares = ["var", "let", "const", "function", "class", "typeof"].contains(&pair[0].text);
        pair[1].text == name && pair[1].kind == Kind::Name && declares
    })
}

/// What calls leave behind, as far as made-up payloads show it.
fn survey(script: &str, tokens: &[Token<'_>], limits: &Limits) -> Vec<Finding> {
    let names = lexical(tokens).join(",");
    let left = Engine::new(limits).and_then(|engine| {
        let codec = JavaScript::load(&Rc::new(engine), script)?;
        codec.engine.call(&codec.loaded, &mut Vec::new(), |call| survey_in(call, &names))
    });
    // What it says of a script that does not load, or not in time, is said elsewhere.
    left.unwrap_or_default()
}

fn survey_in(call: &Call<'_>, names: &str) -> Result<Vec<Finding>, Fault> {
    let (decoder, older) = match call.entry(Entry::DecodeUplink)? {
        Some(decoder) => (Some(decoder), false),
        None => (call.entry(Entry::LegacyDecoder)?, true),
    };
    let Some(decoder) = decoder else { return Ok(Vec::new()) };
    let survey: Function = call.ctx.eval(SURVEY)?;
    let found: Vec<Vec<String>> = survey.call((decoder, older, names))?;
    let kinds = [FindingKind::KeptState, FindingKind::UnknownGlobal];
    let found = found.into_iter().zip(kinds);
    Ok(found.flat_map(|(names, kind)| names.into_iter().map(move |name| Finding { kind, name, line: None })).collect())
}

/// The names that may be top-level `let`, `const` or `class`: those are not on the global object. Some too many do no harm.
fn lexical<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut depth = 0usize;
    let mut names = Vec::new();
    for pair in tokens.windows(2) {
        match pair[0].text {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            "let" | "const" | "class" | "," if depth == 0 && pair[1].kind == Kind::Name => names.push(pair[1].text),
            _ => {}
        }
    }
    names
}
