//! `codec header`: the C header of a table, for the device's own side.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use payload_codecs::Source;
use payload_codecs::examples::Operation;
use payload_codecs::table::{Table, header};

use super::source;
use crate::cli::{Exit, Terminal};

/// Write the C header of a table: it packs uplinks and parses downlinks on the device
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  ttn-ferry codec header mbed/led-and-sensors > led_and_sensors.h")]
pub struct Header {
    /// The table, or a folder with one as codec.toml
    table: PathBuf,
    /// What identifiers begin with [default: the table's own name, else the file's]
    #[arg(long)]
    name: Option<String>,
}

impl Header {
    pub fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let Source::Table { table, .. } = source::load(&self.table, Operation::DecodeUplink)? else {
            return Err(anyhow!("{} is no table\n  hint: a header is made of a codec.toml", self.table.display()));
        };
        let mut table = Table::clone(&table);
        table.name = self.name.or(table.name);
        let text = header(&table, file_name(&self.table))?;
        // A line ends where the terminal ends it.
        terminal.line(text.trim_end())?;
        Ok(Exit::Success)
    }
}

/// What a codec is called by where it lies: a file's own name, a folder's where the file's is everybody's.
fn file_name(path: &Path) -> &str {
    let is_everybodys = path.file_name().is_some_and(|name| name == "codec.toml" || name == "device.toml");
    let folder = path.parent().filter(|folder| is_everybodys && folder.file_name().is_some());
    folder.unwrap_or(path).file_stem().and_then(OsStr::to_str).unwrap_or("codec")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_called_after_its_file_or_its_folder() {
        for (path, name) in [
            ("lamp.toml", "lamp"),
            ("codecs/lamp/codec.toml", "lamp"),
            ("codecs/lamp/", "lamp"),
            ("mbed/led-and-sensors", "led-and-sensors"),
            ("codec.toml", "codec"),
        ] {
            assert_eq!(file_name(Path::new(path)), name, "{path}");
        }
    }
}
