//! The journal's own protocol: each line in words, as the text form has them, and every fact once more as a field of its own.
//!
//! `journalctl` shows a message and no fields: a line that says its reason in a field only would say nothing there.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::layer::Context;

use crate::telemetry::with_causes;

/// Where the journal listens (systemd-journald.socket).
const SOCKET: &str = "/run/systemd/journal/socket";
/// What the journal calls us.
const IDENTIFIER: &str = "ttn-ferry";
/// What begins the names of our fields in the journal, which has names of its own such as `PRIORITY`.
const PREFIX: &str = "TTN_FERRY_";
/// Bytes of a value that are written: all fields of a line have to go into one datagram of about 200 KiB.
const LONGEST: usize = 8 * 1024;
/// A journal that stands still holds the bridge up no longer than this, a line.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes each event as one entry of the journal.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// # Errors
    /// If no journal listens on this machine.
    pub fn open() -> io::Result<Self> {
        Self::at(SOCKET.as_ref())
    }

    fn at(path: &Path) -> io::Result<Self> {
        // Tried out on a socket of its own: one that stays connected would not find a journal that began anew.
        UnixDatagram::unbound()?.connect(path)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, path: path.to_owned() })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // What the journal does not take can be told nowhere.
        drop(self.socket.send_to(&Entry::of(event).0, &self.path));
    }
}

/// Fields as systemd.io, "Native Journal Protocol", wants them.
#[derive(Default)]
struct Entry(Vec<u8>);

impl Entry {
    fn of(event: &Event<'_>) -> Self {
        let (metadata, mut entry) = (event.metadata(), Self::default());
        entry.add("PRIORITY", priority(*metadata.level()));
        entry.add("SYSLOG_IDENTIFIER", IDENTIFIER);
        entry.add("MESSAGE", &in_words(event));
        entry.add("TARGET", metadata.target());
        entry.add_place(metadata);
        event.record(&mut entry);
        entry
    }

    fn add_place(&mut self, metadata: &Metadata<'_>) {
        if let (Some(file), Some(line)) = (metadata.file(), metadata.line()) {
            self.add("CODE_FILE", file);
            self.add("CODE_LINE", &line.to_string());
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        let value = &value[..value.floor_char_boundary(LONGEST)];
        self.0.extend(name.bytes());
        if value.contains('\n') {
            self.0.push(b'\n');
            self.0.extend((value.len() as u64).to_le_bytes());
        } else {
            self.0.push(b'=');
        }
        self.0.extend(value.bytes());
        self.0.push(b'\n');
    }

    /// The words are the message already.
    fn add_fact(&mut self, field: &Field, value: &str) {
        if field.name() != "message" {
            self.add(&name(field), value);
        }
    }
}

impl Visit for Entry {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_fact(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_fact(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add_fact(field, &with_causes(value));
    }
}

/// The severities of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

fn in_words(event: &Event<'_>) -> String {
    let mut words = String::new();
    match DefaultFields::new().format_fields(Writer::new(&mut words), event) {
        Ok(()) => words,
        Err(fmt::Error) => event.metadata().name().to_owned(),
    }
}

/// The journal takes capitals, digits and `_`, and no more than 64 of them.
fn name(field: &Field) -> String {
    let letters = field.name().chars().map(|letter| match letter.to_ascii_uppercase() {
        letter @ ('A'..='Z' | '0'..='9') => letter,
        _ => '_',
    });
    PREFIX.chars().chain(letters).take(64).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// What a journal that listens there is sent while `said` runs.
    fn heard(said: impl FnOnce()) -> BTreeMap<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(Journal::at(&path).unwrap()), said);
        journal.set_nonblocking(true).unwrap();
        let mut entry = vec![0; 1 << 18];
        let length = journal.recv(&mut entry).unwrap();
        parsed(&entry[..length])
    }

    fn parsed(mut entry: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
            let head = String::from_utf8(entry[..end].to_vec()).unwrap();
            entry = &entry[end + 1..];
            let (name, value) = match head.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => {
                    let (length, rest) = entry.split_at(8);
                    let (value, rest) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
                    entry = rest.strip_prefix(b"\n").unwrap();
                    (head, String::from_utf8(value.to_vec()).unwrap())
                }
            };
            assert!(fields.insert(name.clone(), value).is_none(), "{name} stands there twice");
        }
        assert!(entry.is_empty());
        fields
    }

    #[test]
    fn an_entry_says_its_facts_in_words_and_as_fields() {
        let mut fields = heard(|| {
            let error = io::Error::other("no room\nleft");
            tracing::warn!(target: "here", device = %"soil", count = 3, device_id = ?"a=b", error = &error as &dyn Error, "Said {}.", 1);
        });
        assert_eq!(fields.remove("CODE_FILE").unwrap(), file!());
        fields.remove("CODE_LINE").unwrap().parse::<u32>().unwrap();
        let wanted = [
            ("MESSAGE", "Said 1. device=soil count=3 device_id=\"a=b\" error=no room\nleft"),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "ttn-ferry"),
            ("TARGET", "here"),
            ("TTN_FERRY_COUNT", "3"),
            ("TTN_FERRY_DEVICE", "soil"),
            ("TTN_FERRY_DEVICE_ID", "\"a=b\""),
            ("TTN_FERRY_ERROR", "no room\nleft"),
        ];
        assert_eq!(fields, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn the_longest_values_still_fit_one_datagram() {
        let long = "ü".repeat(1 << 20);
        let fields =
            heard(|| tracing::error!(a = long, b = long, c = long, d = long, e = long, f = long, g = long, "{long}"));
        assert_eq!(fields["PRIORITY"], "3");
        assert!(
            ["MESSAGE", "TTN_FERRY_A", "TTN_FERRY_G"].iter().all(|name| fields[*name].len() == LONGEST),
            "{:?}",
            fields.keys()
        );
    }

    #[test]
    fn without_a_journal_there_is_none_to_open() {
        assert!(Journal::at("/nowhere/socket".as_ref()).is_err());
    }
}
