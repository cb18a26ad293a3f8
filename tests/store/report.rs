//! What the child tells its parent, a line each.

use std::io::Write;

/// Something that is so from now on.
#[derive(Debug, Clone, Copy)]
pub enum Report {
    /// The next entry has this seq.
    Starts(u64),
    /// All entries up to this one are committed.
    Committed(u64),
    /// This entry may be gone from now on.
    Delivers(u64),
    /// The downlink is saved with this number.
    Saved(u64),
}

impl Report {
    pub fn tell(self) {
        let (letter, number) = match self {
            Self::Starts(number) => ('S', number),
            Self::Committed(number) => ('C', number),
            Self::Delivers(number) => ('D', number),
            Self::Saved(number) => ('L', number),
        };
        // One call: a line is told whole or not at all. Past the libtest's own capture.
        std::io::stdout().write_all(format!("{letter} {number}\n").as_bytes()).unwrap();
    }

    /// None for a line of the test harness.
    pub fn parse(line: &str) -> Option<Self> {
        let (letter, number) = line.split_once(' ')?;
        let number = number.parse().ok()?;
        match letter {
            "S" => Some(Self::Starts(number)),
            "C" => Some(Self::Committed(number)),
            "D" => Some(Self::Delivers(number)),
            "L" => Some(Self::Saved(number)),
            _ => None,
        }
    }
}
