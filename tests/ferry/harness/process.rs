//! A program of its own: the real binary, or a real broker. It ends with its owner.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{PATIENCE, in_time};

/// A running program and what it has said so far.
pub struct Process {
    child: Child,
    said: watch::Receiver<String>,
    _listener: JoinSet<()>,
}

impl Process {
    /// `ttn-ferry run` with this configuration.
    pub fn ferry(configuration: &Path) -> Self {
        Self::ferry_that(&["run"], configuration)
    }

    /// The same as a service, whose manager listens at this socket.
    pub fn ferry_under(manager: &Path, configuration: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttn-ferry"));
        plain(&mut command).args(["run", "--config"]).arg(configuration).env("NOTIFY_SOCKET", manager);
        Self::spawn(command).expect("the binary was built")
    }

    /// Any command of `ttn-ferry` with this configuration.
    pub fn ferry_that(command: &[&str], configuration: &Path) -> Self {
        let command = command.iter().map(OsStr::new);
        let arguments: Vec<_> = command.chain([OsStr::new("--config"), configuration.as_os_str()]).collect();
        Self::start(OsStr::new(env!("CARGO_BIN_EXE_ttn-ferry")), &arguments).expect("the binary was built")
    }

    /// `ttn-ferry` as somebody starts it who stands in this folder; what it keeps lies there too.
    pub fn ferry_at_home(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttn-ferry"));
        plain(&mut command).args(arguments).current_dir(folder).env("STATE_DIRECTORY", folder.join("state"));
        command.env("RUNTIME_DIRECTORY", folder.join("runtime")).env_remove("TTN_FERRY_CONFIG");
        Self::spawn(command).expect("the binary was built")
    }

    /// Any program, listened to on both its outputs.
    pub fn start(program: &OsStr, arguments: &[&OsStr]) -> std::io::Result<Self> {
        let mut command = Command::new(program);
        plain(&mut command).args(arguments);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> std::io::Result<Self> {
        let mut child = command.spawn()?;
        let (sender, said) = watch::channel(String::new());
        let mut listener = JoinSet::new();
        listener.spawn(listen(child.stdout.take().expect("it is piped"), sender.clone()));
        listener.spawn(listen(child.stderr.take().expect("it is piped"), sender));
        Ok(Self { child, said, _listener: listener })
    }

    pub fn id(&self) -> u32 {
        self.child.id().expect("the program runs")
    }

    /// Waits until it has said this.
    pub async fn says(&mut self, words: &str) {
        let said = tokio::time::timeout(PATIENCE, self.said.wait_for(|said| said.contains(words))).await;
        let came = matches!(said, Ok(Ok(_)));
        drop(said);
        assert!(came, "it never said {words:?}, but:\n{}", self.said());
    }

    pub fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Sends a signal by its name: `TERM`, `INT`, `KILL`.
    pub async fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.id());
        let status = in_time("kill", Command::new("sh").args(["-c", &line]).status()).await.unwrap();
        assert!(status.success(), "{line}");
    }

    /// How it ended, and all it said.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let status = match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.unwrap(),
            Err(_) => panic!("it never ended, and said:\n{}", self.said()),
        };
        in_time("the end of its words", async { while self.said.changed().await.is_ok() {} }).await;
        (status, self.said())
    }
}

/// Without what the tests' own surroundings would tell it, and ended with its owner.
fn plain(command: &mut Command) -> &mut Command {
    for variable in
        ["TTN_FERRY_API_KEY", "TTN_FERRY_HOME_PASSWORD", "TTN_FERRY_SOCKET", "NOTIFY_SOCKET", "JOURNAL_STREAM"]
    {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true)
}

async fn listen(talk: impl AsyncRead + Unpin, said: watch::Sender<String>) {
    let mut lines = BufReader::new(talk).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        said.send_modify(|said| {
            said.push_str(&line);
            said.push('\n');
        });
    }
}
