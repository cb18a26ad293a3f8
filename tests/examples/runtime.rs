//! What runs the examples: Python with Paho, Node with its packages. Absent, they are skipped, visibly.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `scripts/example-tools` puts what it installs: `example-tools` in the target directory.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("example-tools")
}

/// A Python that has Paho: ours, the user's, or the system's.
pub fn python() -> Option<PathBuf> {
    let candidates = [tools().join("venv/bin/python3"), "python3".into(), "/usr/bin/python3".into()];
    let found = candidates.into_iter().find(|python| works(python, &["-c", "import paho.mqtt.client"]));
    found.or_else(|| skipped("Python 3 with paho-mqtt"))
}

/// The `node_modules` of `scripts/example-tools`, if it and a Node to run them are here.
pub fn node_modules() -> Option<PathBuf> {
    let modules = tools().join("node_modules");
    let found = modules.join(".package-lock.json").exists() && works(Path::new("node"), &["--version"]);
    if found { Some(modules) } else { skipped("Node.js with the packages of tests/examples/runtimes") }
}

fn works(program: &Path, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Past the test harness, which keeps what a test that passes prints to itself.
fn skipped<T>(what: &str) -> Option<T> {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let line = format!("skipped {test}: {what} is not here; scripts/example-tools tries to install it\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    None
}
