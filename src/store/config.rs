//! `[store]`: where the store lies, how often it commits and how much it keeps.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Where the store lies, how careful it is with the disk, and how much it keeps.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The folder that holds `ttn-ferry.db`. Without it: systemd's state folder, else the user's.
    #[schemars(example = &"/var/lib/ttn-ferry")]
    pub path: Option<PathBuf>,
    /// What may be lost when the process is killed. 0s (every message is committed by itself) to 1s.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub commit_interval: Duration,
    /// What may be lost when the power fails.
    pub sync: Sync,
    /// Bytes of messages kept while the home broker is away; then the oldest go. 1 MiB or more. The file takes about a
    /// third more.
    #[serde(deserialize_with = "size", serialize_with = "write_size")]
    #[schemars(with = "SizeOrBytes")]
    pub spool_size: u64,
    /// How long such a message is kept. 1min to 366d.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub spool_age: Duration,
    /// How long a finished downlink is kept. 1min to 3660d.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub history: Duration,
    /// How long readings are kept, as they were published. 0s (none is) to 3660d; a day more before they go.
    #[serde(with = "crate::model::duration::required")]
    #[schemars(with = "String")]
    pub readings_age: Duration,
    /// Bytes of the file that readings take; then the oldest go. 1 MiB or more.
    #[serde(deserialize_with = "size", serialize_with = "write_size")]
    #[schemars(with = "SizeOrBytes")]
    pub readings_size: u64,
}

/// When a commit waits for the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
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
            readings_age: 30 * day,
            readings_size: 512 << 20,
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

/// In the largest unit of which it is a whole number.
fn write_size<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let binary = UNITS.iter().rev().find(|(name, unit)| name.ends_with("iB") && bytes.is_multiple_of(*unit));
    let (name, unit) = binary.unwrap_or(&UNITS[1]);
    serializer.collect_str(&format_args!("{}{name}", bytes / unit))
}

/// What a size may be written as, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is of use")]
enum SizeOrBytes {
    Size(String),
    Bytes(u64),
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
    fn what_is_written_is_read_as_the_same() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        for (spool_size, spool_age) in
            [(1 << 30, days(7)), (1500, days(1) + Duration::from_secs(5)), (3 << 20, days(0))]
        {
            let config = StoreConfig { spool_size, spool_age, ..StoreConfig::default() };
            assert_eq!(parse(&toml::to_string(&config).unwrap()).unwrap(), config);
        }
        let written = toml::to_string(&StoreConfig::default()).unwrap();
        assert!(written.contains("\"1GiB\"") && written.contains("\"7d\""), "{written}");
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
