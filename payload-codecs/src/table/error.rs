//! What can be wrong with a table.

/// Why a text is no usable table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// It is no TOML, or has a key or a value that no table has.
    #[error("{}{reason}", .line.map_or_else(String::new, |line| format!("line {line}: ")))]
    Toml {
        /// Where, counted from 1.
        line: Option<usize>,
        /// What is wrong there.
        reason: String,
    },
    /// It says something that cannot be.
    #[error("{}{key}: {reason}", prefix(.message, .field))]
    Invalid {
        /// Which message: "uplink 2", or "downlink `settings`"; `None` if it is about the whole table.
        message: Option<String>,
        /// Which field: its name, or what stands for it; groups are joined by dots.
        field: Option<String>,
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl TableError {
    /// What the TOML reader says, with the line that it means.
    pub(super) fn not_a_table(text: &str, cause: &toml::de::Error) -> Self {
        let line = cause.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
        Self::Toml { line, reason: cause.message().to_owned() }
    }

    /// The line that is wrong, counted from 1, if that is known.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Toml { line, .. } => *line,
            Self::Invalid { .. } => None,
        }
    }
}

fn prefix(message: &Option<String>, field: &Option<String>) -> String {
    let message = message.iter().map(|message| format!("{message}, "));
    message.chain(field.iter().map(|field| format!("field {field}, "))).collect()
}
