//! The binary as people start it: exit codes, `init`, `check`.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use tempfile::TempDir;

use crate::harness::{Process, Stage};

fn ferry(folder: &TempDir) -> Command {
    let mut command = Command::cargo_bin("ttn-ferry").unwrap();
    command.current_dir(folder.path());
    for variable in ["TTN_FERRY_CONFIG", "TTN_FERRY_API_KEY", "TTN_FERRY_HOME_PASSWORD", "CREDENTIALS_DIRECTORY"] {
        command.env_remove(variable);
    }
    command
}

fn said(assert: &Assert) -> String {
    let output = assert.get_output();
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

#[test]
fn a_wrong_command_line_is_64_and_help_is_0() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["--nonsense"][..], &["run", "--nonsense"], &["nonsense"], &[]] {
        ferry(&folder).args(arguments).assert().code(64);
    }
    for arguments in [&["--help"][..], &["run", "--help"], &["--version"]] {
        ferry(&folder).args(arguments).assert().code(0);
    }
}

#[test]
fn a_wrong_configuration_is_78_and_names_file_line_and_key() {
    let folder = TempDir::new().unwrap();
    let missing = ferry(&folder).args(["run", "--config", "nowhere.toml"]).assert().code(78);
    assert!(said(&missing).contains("nowhere.toml"), "{}", said(&missing));
    std::fs::write(folder.path().join("ttn-ferry.toml"), "[home]\nbase_topc = \"x\"\n").unwrap();
    let wrong = ferry(&folder).arg("run").assert().code(78);
    for words in ["ttn-ferry.toml", "base_topc", "base_topic", "2"] {
        assert!(said(&wrong).contains(words), "{words}: {}", said(&wrong));
    }
    ferry(&folder).arg("check").assert().code(78);
}

#[tokio::test]
async fn a_codec_that_is_not_there_stops_the_start_and_says_which() {
    let stage = Stage::set(|setup| setup.add_device("node", "codec = \"no/such\"")).await;
    let (status, said) = Process::ferry(&stage.configuration()).ended().await;
    assert!(said.contains("no/such"), "{said}");
    assert_eq!(status.code(), Some(78), "{said}");
}

#[test]
fn init_writes_a_configuration_that_check_takes() {
    let folder = TempDir::new().unwrap();
    let key = format!("NNSXS.{}.{}", "A".repeat(39), "B".repeat(52));
    // Named, for root's default is the system's own.
    let init = ["--config", "ttn-ferry.toml", "init", "--cluster", "eu1"];
    let written = ferry(&folder).args(init).write_stdin(format!("my-app\n{key}\n")).assert();
    let words = said(&written);
    written.code(0);
    assert!(words.contains("wrote ttn-ferry.toml") && !words.contains(&key), "{words}");
    let toml = std::fs::read_to_string(folder.path().join("ttn-ferry.toml")).unwrap();
    assert!(toml.contains("my-app") && !toml.contains(&key), "{toml}");
    ferry(&folder).arg("check").assert().code(0);
    ferry(&folder).args(init).write_stdin(format!("other\n{key}\n")).assert().failure();
    assert_eq!(std::fs::read_to_string(folder.path().join("ttn-ferry.toml")).unwrap(), toml, "nothing is overwritten");
}

#[test]
fn init_asks_nothing_of_a_program_that_tells_all_by_flags_files_and_the_environment() {
    let folder = TempDir::new().unwrap();
    let key = format!("NNSXS.{}.{}", "A".repeat(39), "B".repeat(52));
    let init = ["--config", "ttn-ferry.toml", "init", "--cluster", "eu1", "--application", "my-app"];
    let home = ["--home", "mqtt://broker.lan", "--home-username", "ferry"];
    let mut asked = ferry(&folder);
    asked.args(init).args(home).env("TTN_FERRY_API_KEY", &key).env("TTN_FERRY_HOME_PASSWORD", "hush-hush");
    let written = asked.assert();
    let words = said(&written);
    written.code(0);
    assert!(words.contains("mqtt://broker.lan, as ferry") && !words.contains("hush-hush"), "{words}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("home.password").trim(), "hush-hush");
    assert!(!read("ttn-ferry.toml").contains("hush-hush"));
    ferry(&folder).arg("check").assert().code(0);
    // As it was before there were questions about it.
    std::fs::remove_file(folder.path().join("home.password")).unwrap();
    let forced = ferry(&folder).args(init).args(["--force", "--api-key-stdin"]).write_stdin(key).assert();
    assert!(said(&forced).contains("mqtt://localhost:1883, without a user"), "{}", said(&forced));
    ferry(&folder).arg("check").assert().code(0);
}

#[tokio::test]
async fn check_connect_tries_every_leg() {
    let stage = Stage::set(|_| {}).await;
    let (status, said) = Process::ferry_that(&["check", "--connect"], &stage.configuration()).ended().await;
    assert_eq!(status.code(), Some(0), "{said}");
    for leg in ["app1", "read right", "write right", "login", "came back"] {
        assert!(said.contains(leg), "{leg}: {said}");
    }
}
