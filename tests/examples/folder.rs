//! A folder of `examples/`, and the commands its README shows.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::process::Process;

/// One example.
pub struct Folder {
    pub path: PathBuf,
    readme: String,
    /// What stands in its commands, and what is said instead: programs and ports.
    instead: Vec<(String, String)>,
}

impl Folder {
    /// The example of this name.
    pub fn of(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let readme = fs::read_to_string(path.join("README.md")).unwrap();
        Self { path, readme, instead: Vec::new() }
    }

    /// Says something else in every command. It must be there, so that no README drifts away from its test.
    pub fn instead(mut self, of: &str, this: impl ToString) -> Self {
        assert!(self.readme.contains(of), "{} says nothing of `{of}`", self.path.display());
        self.instead.push((of.into(), this.to_string()));
        self
    }

    /// Mosquitto's clients, which the commands call without a port, use this one.
    pub fn mosquitto_at(self, port: u16) -> Self {
        let clients = ["mosquitto_sub ", "mosquitto_pub "].into_iter().filter(|client| self.readme.contains(client));
        let clients: Vec<_> = clients.collect();
        clients.iter().fold(self, |folder, client| folder.instead(client, format!("{client}-p {port} ")))
    }

    /// Starts the one command of the README's code blocks that begins so.
    pub fn run(&self, beginning: &str) -> Process {
        let found: Vec<_> = self.commands().filter(|line| line.starts_with(beginning)).collect();
        let [line] = found[..] else { panic!("the README has {} commands `{beginning}`", found.len()) };
        self.run_line(line)
    }

    /// Starts any command line, in the example's folder.
    pub fn run_line(&self, line: &str) -> Process {
        let line = self.instead.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to));
        let script = format!("cd '{}' && exec {line}", self.path.display());
        Process::start(OsStr::new("sh"), &[OsStr::new("-c"), OsStr::new(&script)]).unwrap()
    }

    /// The lines of its blocks of shell commands.
    fn commands(&self) -> impl Iterator<Item = &str> {
        self.readme.split("```sh\n").skip(1).flat_map(|block| block.split("```").next().unwrap_or_default().lines())
    }
}
