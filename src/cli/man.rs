//! `man`: manual pages, one for each command, and one for the configuration.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};

use super::{Cli, Exit, Terminal};
use crate::config;

const CONFIGURATION: &str = "ttn-ferry.toml";

#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write all pages to; without it, ttn-ferry(1) goes to standard output
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// A manual page, ready for `man`.
struct Page {
    /// `ttn-ferry-run.1`
    file: String,
    text: String,
}

impl Man {
    pub fn run(self, terminal: &mut Terminal) -> anyhow::Result<Exit> {
        let pages = pages()?;
        let Some(folder) = self.folder else {
            terminal.line(pages[0].text.trim_end())?;
            return Ok(Exit::Success);
        };
        std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        for Page { file, text } in pages {
            let path = folder.join(file);
            std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
            terminal.line(&path.display().to_string())?;
        }
        Ok(Exit::Success)
    }
}

/// That of the whole command is the first.
fn pages() -> anyhow::Result<Vec<Page>> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add_with_subcommands(&command, &mut pages)?;
    pages.push(Page { file: format!("{CONFIGURATION}.5"), text: of_configuration(&config::reference()) });
    Ok(pages)
}

fn add_with_subcommands(command: &Command, pages: &mut Vec<Page>) -> anyhow::Result<()> {
    let (page, mut text) = (clap_mangen::Man::new(command.clone()).source(source()), Vec::new());
    page.render(&mut text)?;
    pages.push(Page { file: page.get_filename(), text: String::from_utf8(text)? });
    let mut shown = command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    shown.try_for_each(|command| add_with_subcommands(command, pages))
}

/// The reference as it is: an example with a comment over each key.
fn of_configuration(reference: &str) -> String {
    let lines: String = reference.lines().map(|line| format!("{}\n", literal(line))).collect();
    format!(
        ".TH \"{CONFIGURATION}\" 5 \"\" \"{}\" \"\"\n.SH NAME\n{CONFIGURATION} \\- what ttn\\-ferry is told\n\
         .SH DESCRIPTION\n.nf\n{lines}.fi\n.SH SEE ALSO\nttn\\-ferry(1), ttn\\-ferry\\-check(1), ttn\\-ferry\\-config(1)\n",
        source()
    )
}

fn source() -> String {
    format!("ttn-ferry {}", env!("CARGO_PKG_VERSION"))
}

/// A line that troff shows as it is: no escapes, no requests, hyphens that can be copied.
fn literal(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(command: &Command, before: &str, names: &mut Vec<String>) {
        let name =
            if before.is_empty() { command.get_name().into() } else { format!("{before}-{}", command.get_name()) };
        command.get_subcommands().for_each(|command| super::tests::names(command, &name, names));
        names.push(format!("{name}.1"));
    }

    #[test]
    fn every_command_has_a_page_and_so_has_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::of(std::io::empty(), std::io::sink(), std::io::sink());
        Man { folder: Some(folder.path().into()) }.run(&mut terminal).unwrap();
        let mut expected = vec!["ttn-ferry.toml.5".to_owned()];
        names(&Cli::command(), "", &mut expected);
        assert!(expected.len() > 15, "{expected:?}");
        for file in &expected {
            let text =
                std::fs::read_to_string(folder.path().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(".TH ") && text.contains(".SH NAME"), "{file}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), expected.len());
    }

    #[test]
    fn nothing_in_the_reference_is_taken_for_a_request() {
        let page = of_configuration(".hidden\n'quoted\na\\b = \"--\"");
        assert!(page.contains("\n\\&.hidden\n\\&'quoted\na\\eb = \"\\-\\-\"\n.fi\n"), "{page}");
    }
}
