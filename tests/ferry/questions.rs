//! `init` at a terminal: a person is asked, and what is secret is not shown.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::harness::{APP, Doors, Process, Stage, in_time, password};

#[tokio::test]
async fn a_person_is_asked_for_the_home_broker_and_its_password_goes_into_a_file_alone() {
    if !Person::has_terminal() {
        eprintln!(
            "skipped: nobody sits at a terminal, because `script` is not installed (Debian: apt install bsdutils)"
        );
        return;
    }
    let doors = Doors::open().await;
    let stage = Stage::set(|setup| setup.home_at = Some(doors.mosquitto.address)).await;
    let (mqtt, http) = stage.network.addresses();
    let line = format!("init --config first.toml --mqtt-url mqtt://{mqtt} --api-url http://{http}");
    let mut person = Person::at(stage.folder(), &line);
    person.answers("application id: ", APP).await;
    person.answers_hidden("API key (not shown): ", stage.network.key()).await;
    person.answers("home broker [mqtt://localhost:1883]: ", "mqtt://ferry:secret@broker.lan").await;
    person.sees("a password does not belong in the address").await;
    person.answers("home broker [mqtt://localhost:1883]: ", &doors.for_users()).await;
    person.answers("(Enter: it wants none): ", "ferry").await;
    person.answers_hidden("its password (not shown): ", &password()).await;
    person.sees("ttn-ferry run --config first.toml").await;
    let (status, shown) = person.sees_the_end().await;
    assert_eq!(status.code(), Some(0), "{shown}");
    assert!(!shown.contains(&password()) && !shown.contains(stage.network.key()), "{shown}");
    assert!(shown.contains("wrote home.password (readable by you alone)"), "{shown}");
    let written = std::fs::read_to_string(stage.folder().join("first.toml")).unwrap();
    assert!(written.contains("username = \"ferry\"") && !written.contains(&password()), "{written}");

    let check = ["check", "--connect", "--config", "first.toml"];
    let (status, said) = Process::ferry_at_home(stage.folder(), &check).ended().await;
    assert!(status.code() == Some(0) && said.contains("as ferry"), "{said}");
}

/// Somebody at a terminal, which is one to the program: `script` has it. What is typed there is shown, unless the program
/// wants otherwise.
struct Person {
    terminal: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    /// Since the start, and up to where it was read.
    shown: String,
    read: usize,
    /// The device's path.
    device: String,
}

impl Person {
    fn has_terminal() -> bool {
        let tried = std::process::Command::new("script").arg("--version").stdout(Stdio::null()).status();
        !tried.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// Who starts `ttn-ferry` in this folder; none of the arguments holds a blank.
    fn at(folder: &Path, arguments: &str) -> Self {
        let mut script = Command::new("script");
        script.args(["-qe", "-E", "always", "-c", "tty; exec \"$FERRY\" $ARGUMENTS", "/dev/null"]);
        script.env("SHELL", "/bin/sh").env("FERRY", env!("CARGO_BIN_EXE_ttn-ferry")).env("ARGUMENTS", arguments);
        for variable in ["TTN_FERRY_API_KEY", "TTN_FERRY_HOME_PASSWORD"] {
            script.env_remove(variable);
        }
        script.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut terminal = script.spawn().expect("`script` was found");
        let keyboard = terminal.stdin.take().expect("it is piped");
        let screen = terminal.stdout.take().expect("it is piped");
        Self { terminal, keyboard, screen, shown: String::new(), read: 0, device: String::new() }
    }

    /// Reads on until these words.
    async fn sees(&mut self, words: &str) {
        loop {
            if let Some(at) = self.shown[self.read..].find(words) {
                self.read += at + words.len();
                return;
            }
            assert!(self.more().await, "{words:?} was never shown, but:\n{}", self.shown);
        }
    }

    async fn answers(&mut self, question: &str, answer: &str) {
        self.sees(question).await;
        self.types(answer).await;
    }

    /// Not before the terminal hides it.
    async fn answers_hidden(&mut self, question: &str, answer: &str) {
        self.sees(question).await;
        if self.device.is_empty() {
            self.device = self.shown.lines().next().expect("`tty` told its path").to_owned();
        }
        let hides = async {
            loop {
                let modes = Command::new("stty").args(["-F", &self.device, "-a"]).output().await.unwrap();
                let modes = String::from_utf8_lossy(&modes.stdout).into_owned();
                if modes.split_whitespace().any(|mode| mode == "-echo") {
                    return;
                }
            }
        };
        in_time("a terminal that hides what is typed", hides).await;
        self.types(answer).await;
    }

    async fn types(&mut self, line: &str) {
        in_time("the keyboard", self.keyboard.write_all(format!("{line}\n").as_bytes())).await.unwrap();
    }

    async fn sees_the_end(mut self) -> (ExitStatus, String) {
        while self.more().await {}
        (in_time("the end", self.terminal.wait()).await.unwrap(), self.shown)
    }

    /// False at the end.
    async fn more(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = in_time(&format!("more than:\n{}", self.shown), self.screen.read(&mut bytes)).await.unwrap();
        self.shown += &String::from_utf8_lossy(&bytes[..read]);
        read > 0
    }
}
