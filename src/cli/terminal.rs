//! The one place that writes to people: data to standard output, talk to standard error.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::telemetry::with_causes;

/// A colour, or what stands for one: select graphic rendition of ECMA-48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Yellow = 33,
}

/// What a command reads from and writes to.
pub struct Terminal {
    input: Box<dyn BufRead>,
    data: Box<dyn Write>,
    talk: Box<dyn Write>,
    /// Whether a person sits there, so that what they type can be hidden.
    person: bool,
    /// Whether talk goes to a screen, where a line can be written over.
    screen: bool,
    /// Whether a line of progress stands on it.
    progress: bool,
    /// Whether data goes to a screen whose owner has nothing against colours.
    colours: bool,
}

impl Terminal {
    /// Of this process.
    pub fn standard() -> Self {
        let person = io::stdin().is_terminal();
        let input = Box::new(io::BufReader::new(io::stdin()));
        let screen = io::stderr().is_terminal();
        // https://no-color.org: whatever it says, unless it is empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = io::stdout().is_terminal() && !refused;
        let (data, talk) = (Box::new(io::stdout()), Box::new(io::stderr()));
        Self { input, data, talk, person, screen, progress: false, colours }
    }

    /// Reads from and writes to whatever is given, as if no person were there.
    pub fn of(input: impl BufRead + 'static, data: impl Write + 'static, talk: impl Write + 'static) -> Self {
        let (data, talk) = (Box::new(data), Box::new(talk));
        Self { input: Box::new(input), data, talk, person: false, screen: false, progress: false, colours: false }
    }

    #[cfg(test)]
    pub fn coloured(self) -> Self {
        Self { colours: true, ..self }
    }

    /// The text in this colour, where colours are seen.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if self.colours { format!("\x1b[{}m{text}\x1b[0m", paint as u8) } else { text.to_owned() }
    }

    /// One line of data. An error means that nobody reads it any more.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.clear_progress();
        writeln!(self.data, "{text}")
    }

    /// Where data goes that has no lines.
    pub fn data(&mut self) -> &mut dyn Write {
        self.clear_progress();
        &mut *self.data
    }

    /// One line of talk, or several. If nobody hears it there is nobody to tell.
    pub fn say(&mut self, text: &str) {
        self.clear_progress();
        let _ = writeln!(self.talk, "{}", harmless(text));
    }

    /// How far a long run is: one line that the next one takes the place of. Only a person at a screen sees it.
    pub fn progress(&mut self, text: &str) {
        if self.screen {
            self.clear_progress();
            let _ = write!(self.talk, "{text}").and_then(|()| self.talk.flush());
            self.progress = true;
        }
    }

    /// Tells an error with its causes.
    pub fn complain(&mut self, error: &anyhow::Error) {
        self.say(&format!("error: {}", with_causes(error.as_ref())));
    }

    /// Asks, and gives the answer without white space around it, or the default for an empty one. None at the end of
    /// the input.
    pub fn ask(&mut self, question: &str, default: Option<&str>) -> io::Result<Option<String>> {
        let shown = default.map(|default| format!(" [{default}]")).unwrap_or_default();
        write!(self.talk, "{question}{shown}: ")?;
        self.talk.flush()?;
        let answer = self.read_line()?;
        Ok(answer.map(|answer| match default {
            Some(default) if answer.is_empty() => default.to_owned(),
            _ => answer,
        }))
    }

    /// Asks for a secret; what a person types is not shown.
    pub fn ask_secret(&mut self, question: &str) -> io::Result<Option<String>> {
        if self.person {
            return rpassword::prompt_password(format!("{question} (not shown): "))
                .map(|text| Some(text.trim().into()));
        }
        self.say(&format!("{question}: read from standard input"));
        self.read_line()
    }

    /// Whether a person can be asked again.
    pub fn is_person(&self) -> bool {
        self.person
    }

    /// The input itself.
    pub fn input(&mut self) -> &mut dyn BufRead {
        &mut *self.input
    }

    /// Takes the line of progress away (ECMA-48: carriage return, erase in line).
    fn clear_progress(&mut self) {
        if std::mem::take(&mut self.progress) {
            let _ = write!(self.talk, "\r\x1b[K");
        }
    }

    fn read_line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = self.input.read_line(&mut line)?;
        Ok((read > 0).then(|| line.trim().to_owned()))
    }
}

/// A text without what would make a screen do more than show it. Talk repeats what devices, codecs and networks said.
pub fn harmless(text: &str) -> String {
    text.chars().filter(|character| !character.is_control() || *character == '\n').collect()
}
