//! What is wrong with a configuration, with file, line, key and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::overlay::Overlay;
use super::parse;
use super::sources::Sources;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: cannot be read: {source}\n  hint: {}", path.display(), unreadable_hint(source))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}", listed(path, problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
}

/// One thing wrong, or probably wrong, in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, if it is not the configuration's own: what was said of devices lies in another.
    pub file: Option<PathBuf>,
    /// The line of the key or, if it is missing, of the table it belongs in. From 1.
    pub line: usize,
    /// Where in the file: `application[0].cluster`. Empty for the file as a whole.
    pub key: String,
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Collects problems, so that a user is told all of them at once.
pub(super) struct Report<'a> {
    text: &'a str,
    overlay: Option<&'a Overlay>,
    /// Where values were found, for whoever finds some.
    pub sources: Sources,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl ConfigError {
    /// Every problem by itself; none if the file could not be read at all.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid { problems, .. } => problems,
        }
    }
}

impl Problem {
    /// A problem of a whole text.
    pub(super) fn of_text(message: String) -> Self {
        Self { file: None, line: 1, key: String::new(), message, hint: String::new() }
    }
}

impl fmt::Display for Problem {
    /// `line 3: application[0].cluster: what is wrong`, without the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl<'a> Report<'a> {
    pub fn new(text: &'a str, overlay: Option<&'a Overlay>, sources: Sources) -> Self {
        Self { text, overlay, sources, problems: Vec::new(), warnings: Vec::new() }
    }

    pub fn error(&mut self, key: impl Into<String>, message: impl fmt::Display, hint: impl Into<String>) {
        let problem = self.problem(key.into(), message, hint.into());
        self.problems.push(problem);
    }

    pub fn warn(&mut self, key: impl Into<String>, message: impl fmt::Display, hint: impl Into<String>) {
        let problem = self.problem(key.into(), message, hint.into());
        self.warnings.push(problem);
    }

    /// The warnings and where values were found if nothing is wrong, else what is, in the order of the file.
    pub fn finish(mut self) -> Result<(Vec<Problem>, Sources), Vec<Problem>> {
        self.problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        if self.problems.is_empty() { Ok((self.warnings, self.sources)) } else { Err(self.problems) }
    }

    fn problem(&self, key: String, message: impl fmt::Display, hint: String) -> Problem {
        let message = message.to_string();
        match self.overlay.and_then(|overlay| Some((overlay, overlay.own_key(&key)?))) {
            Some((Overlay { path, text, .. }, own)) => {
                Problem { file: Some(path.clone()), line: parse::line_of(text, &own), key, message, hint }
            }
            None => Problem { file: None, line: parse::line_of(self.text, &key), key, message, hint },
        }
    }
}

fn listed(path: &Path, problems: &[Problem]) -> String {
    let one = |problem: &Problem| {
        let file = problem.file.as_deref().unwrap_or(path);
        format!("{}: {problem}\n  hint: {}", file.display(), problem.hint)
    };
    problems.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn unreadable_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "`ttn-ferry init` writes one; --config FILE or TTN_FERRY_CONFIG says where it is",
        io::ErrorKind::PermissionDenied => "this user may not read it: look at its mode and its folder's",
        io::ErrorKind::InvalidData => "the file must be UTF-8 text",
        _ => "is it a file?",
    }
}
