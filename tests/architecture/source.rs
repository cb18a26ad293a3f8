//! A Rust file read as text: its imports, its functions, and what of it is for tests only.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// One Rust file.
pub struct Source {
    /// From the workspace's root.
    pub path: String,
    pub text: String,
    /// The text with comments and literals blanked out: every byte is where it was.
    pub code: String,
    /// Compiled for tests only.
    pub is_test: bool,
}

impl Source {
    pub fn everywhere() -> Vec<Self> {
        Self::all(&["src", "tests", "benches", "payload-codecs", "simulator"])
    }

    /// The files below these folders of the workspace. There is always one in each that exists.
    pub fn all(folders: &[&str]) -> Vec<Self> {
        let mut paths = BTreeSet::new();
        for folder in folders {
            let before = paths.len();
            let exists = collect(&root().join(folder), &mut paths);
            assert!(!exists || paths.len() > before, "no Rust file in {folder}");
        }
        assert!(paths.len() > 20, "only {} files were found", paths.len());
        let read = |path: &String| fs::read_to_string(root().join(path)).expect("a file that was just listed");
        let mut sources: Vec<_> = paths.iter().map(|path| Self::new(path.clone(), read(path), false)).collect();
        let tests: Vec<_> = sources.iter().flat_map(Self::test_modules).collect();
        for source in &mut sources {
            source.is_test = source.path.contains("/tests/")
                || source.path.starts_with("tests/")
                || tests.iter().any(|test| source.path.starts_with(test.as_str()));
        }
        sources
    }

    pub fn new(path: String, text: String, is_test: bool) -> Self {
        let code = blank(&text);
        Self { path, text, code, is_test }
    }

    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }

    pub fn problem(&self, at: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, self.code[..at].matches('\n').count() + 1)
    }

    /// The first level of the module path in `src/`.
    pub fn module(&self) -> Option<&str> {
        self.path.strip_prefix("src/")?.split('/').next()?.split('.').next()
    }

    /// The module this file is.
    fn module_path(&self) -> Vec<String> {
        let path = self.path.split_once("src/").map_or("", |(_, path)| path).trim_end_matches(".rs");
        path.split('/').filter(|part| !["mod", "lib", "main"].contains(part)).map(str::to_owned).collect()
    }

    /// Every path that starts at `crate` or goes up with `super`, and where. `super` inside a test module counts from
    /// the file, as such a module sees what the file sees.
    pub fn imports(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        for at in starts(&self.code, "crate") {
            expand(&self.code[at + "crate::".len()..], Vec::new(), &mut found, at);
        }
        let file = self.module_path();
        let up: Vec<String> = file[..file.len().saturating_sub(1)].to_vec();
        for at in self.paths_from("super") {
            expand(&self.code[at + "super::".len()..], up.clone(), &mut found, at);
        }
        found
    }

    /// Where a path starts with this name, outside tests.
    pub fn paths_from(&self, name: &str) -> Vec<usize> {
        starts(&self.without_tests(), name)
    }

    /// The code with `#[cfg(test)]` modules blanked out.
    pub fn without_tests(&self) -> String {
        let mut code = self.code.clone();
        for (at, _) in self.code.match_indices("#[cfg(test)]") {
            let item = &self.code[at..];
            let Some(open) = item.find(['{', ';']).filter(|open| item[*open..].starts_with('{')) else { continue };
            let range = at..at + open + block(&item[open..]);
            let blanked: String = code[range.clone()].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
            code.replace_range(range, &blanked);
        }
        code
    }

    /// The paths of modules that this file declares for tests only, without their ending.
    fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let declared = self.code.match_indices("#[cfg(test)]").filter_map(|(at, attribute)| {
            let declaration = self.code[at + attribute.len()..].trim_start().strip_prefix("mod ")?;
            let end = declaration.find(['{', ';'])?;
            declaration[end..].starts_with(';').then(|| declaration[..end].trim().to_owned())
        });
        declared.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/")]).collect()
    }

    /// Every function with a body, from its `fn` to its last brace.
    pub fn functions(&self) -> Vec<Range<usize>> {
        let starts = self.code.match_indices("fn ").map(|(at, _)| at);
        let named = starts.filter(|at| !self.code[..*at].ends_with(is_name));
        let bodies = named.filter_map(|at| {
            let open = at + self.code[at..].find(['{', ';'])?;
            self.code[open..].starts_with('{').then(|| at..open + block(&self.code[open..]))
        });
        bodies.collect()
    }
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Adds the Rust files below `folder`; says whether the folder exists.
fn collect(folder: &Path, paths: &mut BTreeSet<String>) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    for path in entries.map(|entry| entry.expect("a readable folder").path()) {
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, paths);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let below = path.strip_prefix(root()).expect("it was found below the root");
            paths.insert(below.to_str().expect("our file names are ASCII").to_owned());
        }
    }
    true
}

/// Where `name::` begins a path in `code`.
fn starts(code: &str, name: &str) -> Vec<usize> {
    let hits = code.match_indices(&format!("{name}::")).map(|(at, _)| at).collect::<Vec<_>>();
    let begins = |at: &usize| !code[..*at].ends_with(|c: char| is_name(c) || c == ':');
    hits.into_iter().filter(begins).collect()
}

/// Follows a path and, through braces, all its branches. `rest` begins behind a `::`.
fn expand(rest: &str, prefix: Vec<String>, found: &mut Vec<(usize, Vec<String>)>, at: usize) {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        let inner = &group[..block(rest).saturating_sub(2).min(group.len())];
        for branch in split_branches(inner) {
            expand(branch, prefix.clone(), found, at);
        }
        return;
    }
    let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
    let mut path = prefix;
    match name.as_str() {
        "super" => drop(path.pop()),
        "" => {}
        name => path.push(name.to_owned()),
    }
    match rest[name.len()..].strip_prefix("::") {
        Some(more) => expand(more, path, found, at),
        None => found.push((at, path)),
    }
}

/// The branches of a brace group, which may hold groups themselves.
fn split_branches(group: &str) -> Vec<&str> {
    let (mut branches, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&group[start..]);
    branches.into_iter().filter(|branch| !branch.trim().is_empty()).collect()
}

/// The length of the block that `code` begins with, braces included.
fn block(code: &str) -> usize {
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Blanks out comments and literals, keeping every line break and every position.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_name = code.ends_with(is_name);
        let skipped = literal_or_comment(rest, after_name);
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            let blanked = rest[..skipped].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' });
            code.extend(blanked);
            rest = &rest[skipped..];
        }
    }
    code
}

/// The length of the comment or literal that `text` begins with; 0 if it begins with neither.
fn literal_or_comment(text: &str, after_name: bool) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return block_comment(text);
    }
    if text.starts_with('"') {
        return quoted(text, '"');
    }
    if let Some(inside) = text.strip_prefix('\'') {
        let mut inside = inside.chars();
        let first = inside.next();
        let is_char = first == Some('\\') || inside.next() == Some('\'');
        return if is_char { quoted(text, '\'') } else { 0 };
    }
    let raw = ["r", "br", "cr"].iter().filter_map(|prefix| text.strip_prefix(prefix)).next();
    raw.filter(|_| !after_name).map_or(0, |raw| raw_string(text.len() - raw.len(), raw))
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// A literal in quotes, with escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// `raw` is what follows the `prefix` bytes of letters; 0 if it is no raw string.
fn raw_string(prefix: usize, raw: &str) -> usize {
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    let Some(body) = raw[hashes..].strip_prefix('"') else { return 0 };
    let close = format!("\"{}", "#".repeat(hashes));
    prefix + hashes + 1 + body.find(&close).map_or(body.len(), |at| at + close.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let code = blank("a /* b /* c */ */ \"d\\\"e\" r#\"f\"g\"# 'h' '\\'' &'i // j\nk");
        assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "&'i", "k"]);
        assert_eq!(blank("x\"a\nb\"y"), "x  \n  y");
    }

    #[test]
    fn imports_are_followed_through_braces_and_upwards() {
        let text = "use crate::{a, b::{self, c}};\nuse super::{d, super::e};";
        let source = Source::new("src/home/broker.rs".into(), text.into(), false);
        let paths: Vec<_> = source.imports().into_iter().map(|(_, path)| path.join("::")).collect();
        for path in ["a", "b::self", "b::c", "home::d", "e"] {
            assert!(paths.iter().any(|it| it == path), "{path} in {paths:?}");
        }
    }

    #[test]
    fn test_modules_are_told_apart() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n#[cfg(test)]\nmod flow;\n";
        let source = Source::new("src/home/mod.rs".into(), text.into(), false);
        assert!(source.without_tests().contains("fn a") && !source.without_tests().contains("fn b"));
        assert_eq!(source.test_modules(), ["src/home/flow.rs", "src/home/flow/"]);
    }
}
