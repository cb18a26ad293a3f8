//! What people type for a codec to read: bytes or JSON, on the command line or on standard input.

use std::io::Read;

use anyhow::{Context, anyhow};
use serde_json::value::RawValue;

use crate::cli::Terminal;
use crate::downlink::{from_base64, from_hex};

/// The most that is read from standard input.
const MOST_INPUT: u64 = 1 << 20;

/// An argument, or `-` for standard input.
#[derive(Debug, Clone)]
pub enum Given<T> {
    Here(T),
    Input,
}

/// A value that can be read from a text.
pub trait FromText: Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

/// A payload: hex, or base64 behind `base64:`.
#[derive(Debug, Clone)]
pub struct Bytes(pub Vec<u8>);

impl FromText for Bytes {
    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = match text.strip_prefix("base64:") {
            Some(text) => from_base64(text),
            None => from_hex(text),
        };
        bytes.map(Self).ok_or_else(|| "expected bytes such as 01FF, '01 ff', '0x01 0xff' or base64:Af8=".to_owned())
    }
}

impl FromText for Box<RawValue> {
    fn from_text(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))
    }
}

impl<T: FromText> Given<T> {
    /// For clap.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "-" { Ok(Self::Input) } else { T::from_text(text).map(Self::Here) }
    }

    /// The value, read from standard input if it is there.
    pub fn read(self, terminal: &mut Terminal) -> anyhow::Result<T> {
        match self {
            Self::Here(value) => Ok(value),
            Self::Input => {
                let mut text = String::new();
                terminal.input().take(MOST_INPUT).read_to_string(&mut text).context("standard input")?;
                T::from_text(&text).map_err(|reason| anyhow!("standard input: {reason}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_hex_or_base64_here_or_on_standard_input() {
        let mut terminal = Terminal::of(&b" 01 ff\n"[..], Vec::new(), Vec::new());
        for text in ["01FF", "01 ff", "0x01 0xff", "base64:Af8=", "base64:Af8", "-"] {
            let given = Given::<Bytes>::parse(text).unwrap();
            assert_eq!(given.read(&mut terminal).unwrap().0, [1, 255], "{text}");
        }
        assert!(Given::<Bytes>::parse("").unwrap().read(&mut terminal).unwrap().0.is_empty(), "a frame may be empty");
        for bad in ["1", "xy", "base64:?", "base 64"] {
            assert!(Given::<Bytes>::parse(bad).is_err(), "{bad}");
        }
        assert!(Given::<Box<RawValue>>::parse("{\"a\":").is_err());
    }
}
