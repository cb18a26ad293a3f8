//! Programs of the bench: they end with their owner, and are measured by what Linux says in `/proc`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, io};

/// `/proc` counts CPU time in ticks of this length, on every machine Rust's Linux targets run on.
const TICK: Duration = Duration::from_millis(10);

/// A running program. Dropped, it is killed: also when the bench panics.
pub struct Process(Child);

impl Process {
    /// Starts a program; what it says is appended to `log`.
    pub fn start(program: &Path, arguments: &[&OsStr], log: &Path) -> io::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
        Ok(Self(command.spawn()?))
    }

    pub fn mosquitto(configuration: &Path) -> io::Result<Self> {
        let program = mosquitto().ok_or(io::ErrorKind::NotFound)?;
        Self::start(&program, &["-c".as_ref(), configuration.as_os_str()], &configuration.with_extension("log"))
    }

    pub fn end(&mut self) {
        // An error says that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// User and system time since it started.
    pub fn cpu(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The second field, the name, may hold spaces; after its bracket `utime` and `stime` are the 12th and 13th.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u32 = fields.filter_map(|field| field.parse::<u32>().ok()).sum();
        Ok(TICK * ticks)
    }

    /// `VmRSS`, what it holds in memory now, or `VmHWM`, the most it ever did. MiB.
    pub fn memory(&self, key: &str) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.ok_or(io::ErrorKind::InvalidData)? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a bench that needs Mosquitto, and tells what went wrong.
pub fn bench(measure: impl FnOnce() -> io::Result<()>) -> ExitCode {
    if mosquitto().is_none() {
        eprintln!("error: mosquitto is missing");
        eprintln!("  hint: Debian, Ubuntu: sudo apt install mosquitto · Fedora: sudo dnf install mosquitto");
        return ExitCode::FAILURE;
    }
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where Mosquitto is. Debian keeps it where only root looks.
pub fn mosquitto() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("mosquitto")).find(|program| program.is_file())
}
