//! `[store]`: where the store lies, how often it commits and how much it keeps.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

/// Where the store lies, how careful it is with the disk, and how much it keeps.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The folder that holds `ttn-ferry.db`. Without it: systemd's state folder, else the user's.
    pub path: Option<PathBuf>,
    /// What may be lost when the process is killed. 0s (every message is committed by itself) to 1s.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub commit_interval: Duration,
    /// What may be lost when the power fails.
    pub sync: Sync,
    /// Bytes of messages kept while the home broker is away; then the oldest go. 1 MiB or more. The file takes about a
    /// third more.
    #[serde(deserialize_with = "size")]
    pub spool_size: u64,
    /// How long such a message is kept. 1min to 366d.
    #[serde(deserialize_with = "duration")]
    pub spool_age: Duration,
    /// How long a finished downlink is kept. 1min to 3660d.
    #[serde(deserialize_with = "duration")]
    pub history: Duration,
}

/// When a commit waits for the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Now and then: a power failure may cost the last seconds, never the rest.
    #[default]
    Normal,
    /// At every commit: a power failure costs one `commit_interval`.
    Full,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self {
            path: None,
            commit_interval: Duration::from_millis(20),
            sync: Sync::default(),
            spool_size: 1 << 30,
            spool_age: 7 * day,
            history: 30 * day,
        }
    }
}

const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// `"1GiB"`, `"500 MB"`, `"4096"`: whole numbers only.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text[..digits].parse::<u64>().ok()?, text[digits..].trim());
    let (_, bytes) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*bytes)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Size;
    impl Visitor<'_> for Size {
        type Value = u64;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a size such as \"500MB\" or \"1GiB\", or a number of bytes")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            let hint = || E::custom(format!("`{text}` is no size: write \"500MB\", \"1GiB\" or a number of bytes"));
            parse_size(text).ok_or_else(hint)
        }
        fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
            u64::try_from(bytes).map_err(|_| E::custom("a size is not negative"))
        }
        fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
            Ok(bytes)
        }
    }
    deserializer.deserialize_any(Size)
}

/// Days and weeks too, which the standard library's durations are not written in.
pub(crate) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.parse::<Span>().and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()));
    let wrong = || D::Error::custom(format!("`{text}` is no duration: write \"12h\", \"7d\" or \"4w\""));
    Duration::try_from(parsed.map_err(|_| wrong())?).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StoreConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn sizes_are_texts_with_a_unit_or_numbers_of_bytes() {
        for (written, bytes) in [
            ("'1GiB'", 1 << 30),
            ("'500MB'", 500_000_000),
            ("'64 mib'", 64 << 20),
            ("'2kb'", 2000),
            ("'1048576'", 1 << 20),
            ("1048576", 1 << 20),
        ] {
            assert_eq!(parse(&format!("spool_size = {written}")).unwrap().spool_size, bytes, "{written}");
        }
        for wrong in ["'1.5GiB'", "'GiB'", "'1 XB'", "-1", "''", "true", "'99999999999GiB'"] {
            assert!(parse(&format!("spool_size = {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn long_durations_are_written_in_days() {
        let config = parse("spool_age = '7d'\nhistory = '1w 12h'\ncommit_interval = '20ms'\nsync = 'full'").unwrap();
        assert_eq!(config.spool_age, Duration::from_secs(7 * 86400));
        assert_eq!(config.history, Duration::from_secs(7 * 86400 + 12 * 3600));
        assert_eq!((config.commit_interval, config.sync), (Duration::from_millis(20), Sync::Full));
        for wrong in ["'7'", "'-1d'", "'1 month'", "7"] {
            let error = parse(&format!("spool_age = {wrong}")).unwrap_err().to_string();
            assert!(wrong == "7" || error.contains("is no duration"), "{error}");
        }
    }
}
