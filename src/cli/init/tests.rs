//! `init` against a folder of its own: what it writes loads again, what is wrong writes nothing.

use std::io::Cursor;
use std::path::Path;

use clap::Parser;

use super::*;
use crate::config::{Config, Process};

/// No variables, the real files.
struct NoVariables;

impl Environment for NoVariables {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }
    fn read(&self, path: &Path) -> io::Result<String> {
        Process.read(path)
    }
    fn exists(&self, path: &Path) -> bool {
        Process.exists(path)
    }
    fn readable_by_others(&self, path: &Path) -> bool {
        Process.readable_by_others(path)
    }
}

/// Standard output and error: nothing of a key may be written there.
struct NoKeyShown;

impl io::Write for NoKeyShown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("NNSXS") && !text.contains("AAAA") && !text.contains("hush"), "{text}");
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    init: Init,
}

fn key() -> String {
    format!("NNSXS.{}.{}", "A".repeat(39), "B".repeat(52))
}

fn init(folder: &Path, flags: &[&str], typed: &str) -> Result<Config, InitError> {
    let target = folder.join("ttn-ferry.toml");
    let mut terminal = Terminal::of(Cursor::new(typed.to_owned()), NoKeyShown, NoKeyShown);
    let line = Line::parse_from(["init"].iter().chain(flags));
    line.init.run(Some(target.clone()), &NoVariables, &mut terminal)?;
    Ok(Config::load(&target, &NoVariables)?)
}

#[test]
fn three_answers_make_a_configuration_that_loads() {
    let folder = tempfile::tempdir().unwrap();
    let config = init(folder.path(), &[], &format!("nam1\nmy-app\n{}\n", key())).unwrap();
    let application = &config.application[0];
    assert_eq!((application.id.as_str(), application.tenant.as_str()), ("my-app", "ttn"));
    assert_eq!(application.cluster.as_deref(), Some("nam1"));
    assert_eq!(application.api_key.as_ref().unwrap().expose_secret(), key());
    assert_eq!((config.home.url.as_str(), config.home.username), (DEFAULT_HOME, None));
    assert_eq!(config.warnings, []);
    let written = std::fs::read_to_string(folder.path().join("ttn-ferry.toml")).unwrap();
    assert!(!written.contains("NNSXS"), "{written}");
}

#[cfg(unix)]
#[test]
fn the_key_lies_in_a_file_that_only_its_owner_reads_even_when_forced_over_an_open_one() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ttn-ferry.key");
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    init(folder.path(), &["--force"], &format!("eu1\nmy-app\n{}\n", key())).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), key());
}

#[test]
fn a_pasted_console_address_answers_two_questions() {
    let folder = tempfile::tempdir().unwrap();
    let pasted = "https://acme.au1.cloud.thethings.industries/console/applications/my-app";
    let config = init(folder.path(), &["--cluster", pasted], &format!("{}\n", key())).unwrap();
    let application = &config.application[0];
    assert_eq!((application.id.as_str(), application.tenant.as_str()), ("my-app", "acme"));
    assert_eq!(application.cluster.as_deref(), Some("au1"));
}

#[test]
fn a_stack_of_ones_own_takes_its_addresses_and_any_key() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--mqtt-url",
        "mqtt://tts.lan",
        "--api-url",
        "http://tts.lan:1885",
        "--tenant",
        "",
        "--application",
        "my-app",
        "--api-key-stdin",
    ];
    let config = init(folder.path(), &flags, "my own key\n").unwrap();
    let application = &config.application[0];
    assert_eq!(application.mqtt_url.as_deref(), Some("mqtt://tts.lan"));
    assert_eq!(application.api_url.as_deref(), Some("http://tts.lan:1885"));
    assert_eq!(application.tenant, "");
}

#[test]
fn a_key_file_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my \"own\".key");
    std::fs::write(&file, key()).unwrap();
    let flags = ["--cluster", "eu1", "--application", "my-app@ttn", "--api-key-file", file.to_str().unwrap()];
    let config = init(folder.path(), &flags, "").unwrap();
    assert_eq!(config.application[0].api_key_file.as_deref(), Some(file.as_path()));
    assert!(!folder.path().join("ttn-ferry.key").exists());
}

#[test]
fn a_login_at_home_goes_into_the_configuration_and_its_password_into_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--home", "homeassistant.local", "--home-username", "my \"ferry\""];
    let config = init(folder.path(), &flags, &format!("eu1\nmy-app\n{}\nhush hush\n", key())).unwrap();
    assert_eq!((config.home.url.as_str(), config.home.username.as_deref()), (flags[1], Some(flags[3])));
    assert_eq!(config.home.password.unwrap().expose_secret(), "hush hush");
    assert_eq!(config.home.password_file, Some(folder.path().join("home.password")));
    assert_eq!(config.warnings, []);
    let written = std::fs::read_to_string(folder.path().join("ttn-ferry.toml")).unwrap();
    assert!(!written.contains("hush"), "{written}");
}

#[test]
fn a_password_file_stays_where_it_is_and_a_user_may_have_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("of the broker");
    std::fs::write(&file, "hush\n").unwrap();
    let user = ["--home-username", "ferry"];
    let named = [&user[..], &["--home-password-file", file.to_str().unwrap()]].concat();
    let typed = format!("eu1\nmy-app\n{}\n", key());
    let home = init(folder.path(), &named, &typed).unwrap().home;
    assert_eq!((home.password_file.as_deref(), home.password.unwrap().expose_secret()), (Some(&*file), "hush"));
    let home = init(folder.path(), &[&user[..], &["--force"]].concat(), &format!("{typed}\n")).unwrap().home;
    assert_eq!((home.username.as_deref(), home.password_file), (Some("ferry"), None));
    assert!(!folder.path().join("home.password").exists());
}

#[test]
fn a_login_in_the_home_address_is_refused_and_written_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let typed = format!("eu1\nmy-app\n{}\n", key());
    for home in ["mqtt://me:hush@host", "me:hush@host", "mqtt://me:1/hush@host", "https://me:hush@host"] {
        let error = init(folder.path(), &["--home", home], &typed).unwrap_err();
        assert!(!error.to_string().contains("hush") && error.exit() == Exit::Usage, "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{home}");
    }
}

#[test]
fn nothing_is_overwritten_unasked() {
    for existing in ["ttn-ferry.toml", "ttn-ferry.key", "home.password"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(existing);
        std::fs::write(&path, "mine").unwrap();
        let typed = format!("eu1\nmy-app\n{}\nhush\n", key());
        let error = init(folder.path(), &["--home-username", "ferry"], &typed).unwrap_err();
        assert!(matches!(error, InitError::Exists(ref at) if *at == path), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}

#[test]
fn wrong_answers_are_explained_and_write_nothing() {
    for (typed, told, exit) in [
        ("eu1\nMy App\nKEY\n", "is no application id", Exit::Configuration),
        ("eu1\nmy-app\nNNSXS.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", "id of an API key", Exit::Configuration),
        ("console.cloud.thethings.network\n", "page that chooses", Exit::Usage),
        ("eu1\n", "--application", Exit::Usage),
        ("eu1\nmy-app\n", "--api-key-file", Exit::Usage),
        ("eu1\n\n", "application id", Exit::Usage),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = init(folder.path(), &[], &typed.replace("KEY", &key())).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.exit(), exit, "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{typed}");
    }
}

#[test]
fn a_key_from_standard_input_is_never_taken_for_an_answer_and_shown() {
    for (flags, missing) in [
        (&["--api-key-stdin"][..], "--cluster"),
        (&["--api-key-stdin", "--cluster", "eu1"], "--application ID"),
        (&["--api-key-stdin", "--application", "my-app"], "--cluster"),
        (
            &["--api-key-stdin", "--cluster", "eu1", "--application", "my-app", "--home-username", "ferry"],
            "--home-password-file",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let error = init(folder.path(), flags, &format!("{}\n", key())).unwrap_err();
        assert!(error.to_string().contains(missing), "{flags:?}: {error}");
        assert!(!error.to_string().contains("AAAA"), "{error}");
        assert_eq!(error.exit(), Exit::Usage);
    }
}

#[test]
fn where_the_configuration_cannot_be_written_no_secret_is_left_in_the_way_of_the_next_try() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("ttn-ferry.toml");
    // Looked for it is not there, and yet nothing new can be.
    std::os::unix::fs::symlink("nowhere", &target).unwrap();
    let flags = ["--cluster", "eu1", "--application", "my-app", "--home-username", "ferry"];
    let typed = format!("{}\nhush\n", key());
    let refused = init(folder.path(), &flags, &typed).unwrap_err();
    assert!(matches!(&refused, InitError::Exists(path) if *path == target), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    std::fs::remove_file(&target).unwrap();
    init(folder.path(), &flags, &typed).unwrap();
}

#[test]
fn a_secret_that_cannot_take_its_place_by_force_is_left_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("home.password")).unwrap();
    let typed = format!("eu1\nmy-app\n{}\nhush\n", key());
    let error = init(folder.path(), &["--home-username", "ferry", "--force"], &typed).unwrap_err();
    assert!(matches!(error, InitError::Write { .. }), "{error}");
    assert!(!folder.path().join("home.new").exists());
}
