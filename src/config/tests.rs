//! Whole configurations: every file below `tests/fixtures/config`, and where secrets come from.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use super::*;

/// An environment of its own: nothing of the machine comes through but the fixtures.
#[derive(Default)]
pub(super) struct Fake {
    variables: HashMap<String, String>,
    files: HashMap<PathBuf, String>,
    forbidden: Vec<PathBuf>,
    pub open_to_all: Vec<PathBuf>,
}

impl Fake {
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    pub fn file(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }
}

impl Environment for Fake {
    fn var(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        if self.forbidden.iter().any(|forbidden| forbidden == path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }

    fn readable_by_others(&self, path: &Path) -> bool {
        self.open_to_all.iter().any(|open| open == path)
    }
}

fn key(letter: char) -> String {
    format!("NNSXS.{}.{}", "A".repeat(39), letter.to_string().repeat(52))
}

/// Every fixture sees the keys of its applications, unless it is about a missing one.
pub(super) fn environment() -> Fake {
    Fake::default()
        .with("TTN_FERRY_API_KEY_MY_APP", key('B'))
        .with("TTN_FERRY_API_KEY_GARDEN", key('C'))
        .file("CONFIG/empty.pem", "no certificate in here")
        .file("CONFIG/short.key", "00112233")
}

pub(super) fn load(text: &str, environment: &Fake) -> Result<Config, ConfigError> {
    Config::from_text(text, Path::new("CONFIG/ttn-ferry.toml"), environment)
}

fn fixtures(kind: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config").join(kind);
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_bad_configuration_is_explained_with_line_key_and_hint() {
    let all = fixtures("invalid");
    assert!(all.len() >= 12, "only {} fixtures", all.len());
    let surprises: Vec<_> = all.iter().filter_map(|(path, text)| surprise(text).map(|told| (path, told))).collect();
    assert!(surprises.is_empty(), "{surprises:#?}");
}

/// What differs from a fixture's own `# expect: <in the message> | <in the hint>` lines.
fn surprise(text: &str) -> Option<Vec<String>> {
    let Err(error) = load(text, &environment()) else { return Some(vec!["it loads".into()]) };
    let expected: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# expect: ")).collect();
    let all_met = error.problems().iter().zip(&expected).all(|(problem, expected)| {
        let (message, hint) = expected.split_once(" | ").unwrap();
        problem.to_string().contains(message) && problem.hint.contains(hint)
    });
    let told = error.to_string();
    let leaks = told.contains(&"B".repeat(20)) || told.contains("secret@");
    let good =
        all_met && !leaks && expected.len() == error.problems().len() && told.contains("CONFIG/ttn-ferry.toml: line ");
    (!good).then(|| told.lines().map(str::to_owned).collect())
}

#[test]
fn every_good_configuration_loads() {
    let all = fixtures("valid");
    assert!(all.len() >= 3, "only {} fixtures", all.len());
    for (path, text) in all {
        load(&text, &environment()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn the_example_in_the_repository_loads_without_a_warning() {
    let text = include_str!("../../config/ttn-ferry.toml");
    let config = load(text, &Fake::default().file("CONFIG/ttn-ferry.key", key('D'))).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.application[0].api_key.as_ref().unwrap().expose_secret(), key('D'));
}

#[test]
fn every_key_the_example_has_commented_out_is_a_real_one() {
    let text: String = include_str!("../../config/ttn-ferry.toml")
        .lines()
        .map(|line| {
            line.strip_prefix("# ").filter(|rest| rest.contains(" = ") || rest.starts_with('[')).unwrap_or(line)
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let config: Config = parse::parse(&text).unwrap_or_else(|problem| panic!("{problem}"));
    assert_eq!(config.device[0].friendly_name.as_deref(), Some("garden/soil"));
    assert_eq!(config.application[0].tenant, "acme");
}

#[test]
fn a_secret_is_taken_from_the_first_place_that_has_it() {
    let text = |own: &str| format!("[[application]]\nid = 'my-app'\nname = 'a-b'\ncluster = 'eu1'\n{own}");
    let all = || {
        Fake::default()
            .file("CONFIG/key", format!(" {}\n", key('F')))
            .with("TTN_FERRY_API_KEY_A_B", key('G'))
            .with("TTN_FERRY_API_KEY", key('H'))
            .with("CREDENTIALS_DIRECTORY", "/run/credentials")
            .file("/run/credentials/api-key-a-b", key('I'))
            .file("/run/credentials/api-key", key('J'))
    };
    let without = |variables: &[&str], files: &[&str]| {
        let mut fake = all();
        variables.iter().for_each(|name| drop(fake.variables.remove(*name)));
        files.iter().for_each(|path| drop(fake.files.remove(Path::new(path))));
        fake
    };
    let (named, general) = ("TTN_FERRY_API_KEY_A_B", "TTN_FERRY_API_KEY");
    for (own, environment, expected) in [
        (format!("api_key = '{}'\napi_key_file = 'key'", key('E')), all(), 'E'),
        ("api_key_file = 'key'".into(), all(), 'F'),
        (String::new(), all(), 'G'),
        (String::new(), without(&[named], &[]), 'H'),
        (String::new(), without(&[named, general], &[]), 'I'),
        (String::new(), without(&[named, general], &["/run/credentials/api-key-a-b"]), 'J'),
    ] {
        let config = load(&text(&own), &environment).unwrap();
        assert_eq!(config.application[0].api_key.as_ref().unwrap().expose_secret(), key(expected));
        assert!(!format!("{config:?}").contains("NNSXS"), "a secret in Debug");
    }
}

#[test]
fn keys_of_encrypted_devices_are_found_where_other_secrets_are_and_never_shown() {
    let text = |kek: &str, device: &str| {
        format!(
            "[[application]]\nid = 'my-app'\ncluster = 'eu1'\nkek = [{{ label = 'as/my kek'{kek} }}]\n\
             [[device]]\nid = 'node-1'\n{device}"
        )
    };
    let (kek, own) = ("0123456789abcdef".repeat(2), "fedcba9876543210".repeat(2));
    let in_files = environment().file("CONFIG/kek", format!("{kek}\n")).file("CONFIG/own", own.clone());
    let in_variables = environment().with("TTN_FERRY_KEK_AS_MY_KEK", &*kek).with("TTN_FERRY_APP_S_KEY_NODE_1", &*own);
    let in_credentials = environment()
        .with("CREDENTIALS_DIRECTORY", "/run")
        .file("/run/kek-as-my-kek", kek.clone())
        .file("/run/app-s-key-node-1", own.clone());
    for (text, environment) in [
        (text(", key_file = 'kek'", "app_s_key_file = 'own'"), in_files),
        (text("", ""), in_variables),
        (text("", ""), in_credentials),
    ] {
        let config = load(&text, &environment).unwrap();
        assert_eq!(config.application[0].kek[0].key.as_ref().unwrap().expose_secret(), kek);
        assert_eq!(config.device[0].app_s_key.as_ref().unwrap().expose_secret(), own);
        let shown = format!("{config:?} {}", config.public());
        assert!(!shown.contains(&kek) && !shown.contains(&own), "{shown}");
    }
}

#[test]
fn a_key_file_that_the_service_may_not_read_gives_way_to_its_systemd_credential() {
    let mut environment =
        Fake::default().with("CREDENTIALS_DIRECTORY", "/run/credentials").file("/run/credentials/api-key", key('B'));
    environment.forbidden.push("CONFIG/ttn-ferry.key".into());
    let text = "[[application]]\nid = 'my-app'\ncluster = 'eu1'\napi_key_file = 'ttn-ferry.key'\n";
    let config = load(text, &environment).unwrap();
    assert_eq!(config.warnings, []);
    let missing = load(text, &Fake { forbidden: vec![], ..environment }).unwrap();
    assert!(missing.warnings[0].message.contains("not used: file CONFIG/ttn-ferry.key"), "{:?}", missing.warnings);
}

#[test]
fn a_password_that_only_the_service_manager_hands_over_is_not_used_without_a_user() {
    let environment =
        environment().with("CREDENTIALS_DIRECTORY", "/run/credentials").file("/run/credentials/home-password", "old");
    let text = "[[application]]\nid = 'my-app'\ncluster = 'eu1'\n[home]\n";
    let config = load(text, &environment).unwrap();
    assert!(config.home.password.is_none());
    assert!(config.warnings[0].message.contains("credential home-password: not used"), "{:?}", config.warnings);
    let config = load(&format!("{text}username = 'ferry'\n"), &environment).unwrap();
    assert_eq!(config.home.password.unwrap().expose_secret(), "old");
    assert!(load(&format!("{text}password = 'mine'\n"), &environment).is_err());
}

#[test]
fn a_secret_that_everyone_can_read_gives_a_warning() {
    let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\napi_key = '{}'\n", key('B'));
    let environment = Fake { open_to_all: vec!["CONFIG/ttn-ferry.toml".into()], ..Fake::default() };
    let config = load(&text, &environment).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert_eq!((config.warnings[0].line, config.warnings[0].hint.as_str()), (4, "chmod 600 CONFIG/ttn-ferry.toml"));
}

#[test]
fn what_is_only_unusual_is_a_warning() {
    let own = "[[application]]\nid = 'my-app'\ntenant = ''\nmqtt_url = 'mqtt://tts.lan'\napi_url = 'http://tts.lan'\n\
               api_key = 'my own'\n";
    let config = load(own, &Fake::default()).unwrap();
    assert!(config.warnings[0].message.contains("white space"), "{:?}", config.warnings);
    let plain = "[[application]]\nid = 'my-app'\nmqtt_url = 'mqtt://broker.lan'\n";
    let config = load(plain, &Fake::default()).unwrap();
    assert!(config.warnings[0].message.contains("without a password"), "{:?}", config.warnings);
    let cluster = load("[[application]]\nid = 'my-app'\ncluster = 'eu2'\n", &environment()).unwrap();
    assert!(cluster.warnings[0].message.contains("eu2"), "{:?}", cluster.warnings);
    let codecs = "[[application]]\nid = 'my-app'\ncluster = 'eu1'\n[codecs]\nfolder = 'a'\ndevice_repository = 'b'\n";
    let warnings = load(codecs, &environment()).unwrap().warnings;
    let told: Vec<_> = warnings.iter().map(|it| (it.line, it.message.as_str())).collect();
    let [(5, "CONFIG/a is not there"), (6, clone)] = told[..] else { panic!("{told:?}") };
    assert!(clone.starts_with("CONFIG/b is no clone"), "{clone}");
}

#[test]
fn relative_paths_start_at_the_file() {
    let text =
        "[[application]]\nid = 'my-app'\ncluster = 'eu1'\n[codecs]\nfolder = 'own'\ndevice_repository = '../clone'\n";
    let config = load(text, &environment()).unwrap();
    assert_eq!(config.codecs.folder.as_deref(), Some(Path::new("CONFIG/own")));
    assert_eq!(config.codecs.device_repository.as_deref(), Some(Path::new("CONFIG/../clone")));
}

#[test]
fn the_codec_folder_is_beside_the_file_if_it_is_there_and_nobody_says_otherwise() {
    let folder = |own: &str, environment: Fake| {
        let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\n{own}");
        load(&text, &environment).unwrap().codecs.folder
    };
    let there = || environment().file("CONFIG/codecs", "");
    assert_eq!(folder("", environment()), None);
    assert_eq!(folder("", there()), Some("CONFIG/codecs".into()));
    assert_eq!(folder("[codecs]\nfolder = 'own'", there()), Some("CONFIG/own".into()));
}

#[test]
fn the_store_lies_where_the_configuration_or_systemd_or_the_user_has_its_state() {
    let folder = |own: &str, variables: &[(&str, &str)]| {
        let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\n{own}");
        let config = load(&text, &environment()).unwrap();
        let fake = variables.iter().fold(Fake::default(), |fake, (name, value)| fake.with(name, *value));
        store_folder(&config, &fake).map(|folder| folder.to_string_lossy().into_owned())
    };
    let (service, xdg) = (("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("XDG_STATE_HOME", "/xdg"));
    let (home, relative) = (("HOME", "/home/me"), ("XDG_STATE_HOME", "xdg"));
    let own = "[store]\npath = 'state'\n";
    for (own, variables, expected) in [
        (own, vec![service, xdg, home], "CONFIG/state"),
        ("", vec![service, xdg, home], "/var/lib/a"),
        ("", vec![("STATE_DIRECTORY", ""), xdg, home], "/xdg/ttn-ferry"),
        ("", vec![relative, home], "/home/me/.local/state/ttn-ferry"),
    ] {
        assert_eq!(folder(own, &variables).unwrap(), expected);
    }
    let error = folder("", &[]).unwrap_err();
    assert!(error.to_string().contains("STATE_DIRECTORY") && error.hint().contains("[store] path"), "{error}");
}

#[test]
fn who_is_not_the_bridge_needs_no_secrets_and_finds_the_folder_of_the_service() {
    let folder = |own: &str, path: &str, environment: Fake| {
        let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\napi_key_file = 'gone'\n{own}");
        assert!(Config::from_text(&text, Path::new(path), &environment).is_err());
        let config = Config::from_outside(&text, Path::new(path), Some(""), &environment).unwrap();
        let overlay = config.sources.overlay.unwrap();
        overlay.parent().unwrap().to_string_lossy().into_owned()
    };
    let home = || Fake::default().with("HOME", "/root");
    let installed = || home().file("/var/lib/ttn-ferry", "");
    let told = installed().with("STATE_DIRECTORY", "/srv/ferry");
    assert_eq!(folder("", SYSTEM_PATH, installed()), "/var/lib/ttn-ferry");
    assert_eq!(folder("", "mine/ttn-ferry.toml", installed()), "/root/.local/state/ttn-ferry");
    assert_eq!(folder("", SYSTEM_PATH, home()), "/root/.local/state/ttn-ferry");
    assert_eq!(folder("", SYSTEM_PATH, told), "/srv/ferry");
    assert_eq!(folder("[store]\npath = '/srv/own'", SYSTEM_PATH, installed()), "/srv/own");
}

#[test]
fn a_file_that_is_not_there_says_what_to_do() {
    let error = Config::load(Path::new("nowhere.toml"), &Fake::default()).unwrap_err();
    assert!(error.to_string().starts_with("nowhere.toml: cannot be read"), "{error}");
    assert!(error.to_string().contains("hint: `ttn-ferry init`"), "{error}");
}

#[test]
fn the_file_in_the_current_folder_wins_over_the_systems() {
    assert_eq!(default_path(&Fake::default()), Path::new(SYSTEM_PATH));
    assert_eq!(default_path(&Fake::default().file(LOCAL_PATH, "")), Path::new(LOCAL_PATH));
}

const OVERLAY: &str = "/var/lib/ferry/devices.toml";
const NODES: &str = "[[application]]\nid = 'my-app'\ncluster = 'eu1'\n[store]\npath = '/var/lib/ferry'\n\
                     [[device]]\nid = 'node-1'\nfriendly_name = 'garden'\nqos = 2\n\
                     [device.home_assistant.t]\nname = 'T'\nicon = 'x'\n";

#[test]
fn what_was_said_of_devices_counts_over_the_file_key_by_key() {
    let overlay = "[[device]]\nid = 'node-1'\nqos = 0\nhome_assistant.t.name = 'U'\n\
                   [[device]]\nid = 'node-2'\napplication = 'my-app'\nfriendly_name = 'shed'\n";
    let config = load(NODES, &environment().file(OVERLAY, overlay)).unwrap();
    let [one, two] = &config.device[..] else { panic!("{:?}", config.device) };
    assert_eq!((one.friendly_name.as_deref(), one.qos.map(u8_of)), (Some("garden"), Some(0)));
    let told = serde_json::to_value(&one.home_assistant).unwrap();
    assert_eq!(told, serde_json::json!({"t": {"name": "U", "icon": "x"}}));
    assert_eq!(two.friendly_name.as_deref(), Some("shed"));
    assert_eq!((config.warnings.len(), config.sources.overlay_in_use()), (0, Some(Path::new(OVERLAY))));
    let from = |key: &str| config.shown().into_iter().find(|shown| shown.key == key).unwrap().from;
    for (key, place) in [
        ("device[0].friendly_name", "line 8"),
        ("device[0].qos", "devices.toml line 3"),
        ("device[1].friendly_name", "devices.toml line 8"),
        ("home.qos", "default"),
        ("application[0].api_key", "environment TTN_FERRY_API_KEY_MY_APP"),
    ] {
        assert_eq!(from(key), place, "{key}");
    }
}

fn u8_of(qos: crate::mqtt::Qos) -> u8 {
    qos as u8
}

#[test]
fn what_is_wrong_in_it_is_told_with_its_own_file_and_line() {
    for (overlay, told) in [
        ("[[device]]\nid = 'node-1'\nqso = 0\n", "devices.toml: line 3: device[0].qso: unknown key `qso`"),
        (
            "[[device]]\nid = 'node-2'\nfriendly_name = 'garden'\n",
            "devices.toml: line 3: device[1].friendly_name: `node-2` and `node-1`",
        ),
        ("[[device]]\nid = 'node-1'\ninterval = '0s'\n", "devices.toml: line 3: device[0].interval: 0ns is out"),
    ] {
        let error = load(NODES, &environment().file(OVERLAY, overlay)).unwrap_err().to_string();
        assert!(error.contains(&format!("/var/lib/ferry/{told}")), "{error}");
    }
    let mut environment = environment().file(OVERLAY, "");
    environment.forbidden.push(OVERLAY.into());
    let error = load(NODES, &environment).unwrap_err().to_string();
    assert!(error.contains("/var/lib/ferry/devices.toml: line 1: cannot be read"), "{error}");
}

#[test]
fn devices_of_an_application_that_is_gone_are_passed_over_with_a_warning() {
    let overlay = "[[device]]\nid = 'node-9'\napplication = 'gone'\nqos = 0\n";
    let config = load(NODES, &environment().file(OVERLAY, overlay)).unwrap();
    assert_eq!(config.device.len(), 1);
    assert!(config.warnings[0].message.contains("1 devices in /var/lib/ferry/devices.toml"), "{:?}", config.warnings);
}

#[test]
fn two_configurations_differ_by_keys_with_names_and_some_need_a_restart() {
    let config = |text: &str| load(text, &environment()).unwrap();
    let old = config(NODES);
    let other = "[[application]]\nid = 'my-app'\ncluster = 'nam1'\ncodec = 'c'\n[store]\npath = '/var/lib/ferry'\n\
                 [log]\nlevel = 'debug'\n[home]\nretain = false\nbase_topic = 'x'\npassword = 'p'\nusername = 'u'\n\
                 [[device]]\nid = 'node-0'\ninterval = '1h'\n\
                 [[device]]\nid = 'node-1'\nfriendly_name = 'garden'\nqos = 1\n";
    let changes = old.changes_to(&config(other));
    let all = [
        "application[my-app].cluster",
        "application[my-app].codec",
        "device[my-app/node-0].id",
        "device[my-app/node-0].interval",
        "device[my-app/node-1].home_assistant.t.icon",
        "device[my-app/node-1].home_assistant.t.name",
        "device[my-app/node-1].qos",
        "home.base_topic",
        "home.password",
        "home.retain",
        "home.username",
        "log.level",
    ];
    assert_eq!(changes.0, all);
    let restart = ["application[my-app].cluster", "home.base_topic", "home.password", "home.username"];
    assert_eq!(changes.needing_restart(), restart);
    assert!(old.changes_to(&old).is_empty());
    let another_key = load(NODES, &environment().with("TTN_FERRY_API_KEY_MY_APP", key('D'))).unwrap();
    assert_eq!(old.changes_to(&another_key).needing_restart(), ["application[my-app].api_key"]);
}

#[test]
fn what_is_shown_has_no_secret_and_what_the_home_sees_no_way_to_one() {
    let text = format!(
        "[[application]]\nid = 'my-app'\ncluster = 'eu1'\napi_key = '{}'\nkek = [{{ label = 'k', key_file = 'kek' }}]\n\
         [home]\nurl = 'mqtts://b.lan'\nusername = 'me'\npassword = 'hush'\nqos = 2\n\
         [[device]]\nid = 'node-1'\napp_s_key_file = 'own'\nfriendly_name = 'x'\n",
        key('B')
    );
    let (kek, own) = ("0123456789abcdef".repeat(2), "fedcba9876543210".repeat(2));
    let config = load(&text, &environment().file("CONFIG/kek", &*kek).file("CONFIG/own", &*own)).unwrap();
    let shown: String = config.shown().iter().map(|value| format!("{value}\n")).collect();
    for set in [
        "application[0].api_key = (set)  # line 4",
        "home.password = (set)",
        "device[0].app_s_key = (set)  # file CONFIG/own",
    ] {
        assert!(shown.contains(set), "{set} is not in\n{shown}");
    }
    let public = config.public().to_string();
    for secret in [&key('B'), "hush", &kek, &own] {
        assert!(!shown.contains(secret) && !public.contains(secret) && !format!("{config:?}").contains(secret));
    }
    assert!(public.contains("\"qos\":2") && public.contains("\"cluster\":\"eu1\""), "{public}");
    for private in ["\"own\"", "kek", "\"me\"", "_file", "node-1"] {
        assert!(!public.contains(private), "{private} is in {public}");
    }
}

#[test]
fn a_certificate_with_something_else_in_its_file_counts_after_a_restart() {
    let text = "[[application]]\nid = 'my-app'\nmqtt_url = 'mqtts://b.lan'\nca_file = 'ttn.pem'\n\
                [home]\nurl = 'mqtts://b.lan'\nca_file = 'ca.pem'\nclient_cert_file = 'own.pem'\nclient_key_file = 'own.key'\n";
    let made = || {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["b.lan".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    };
    let (one, other) = (made(), made());
    let load = |ttn: &str, ca: &str, (own, key): &(String, String)| {
        let files = [("ttn.pem", ttn), ("ca.pem", ca), ("own.pem", own.as_str()), ("own.key", key.as_str())];
        let environment =
            files.into_iter().fold(environment(), |it, (name, pem)| it.file(&format!("CONFIG/{name}"), pem));
        load(text, &environment).unwrap()
    };
    let (mine, theirs) = (&one.0, &other.0);
    let old = load(mine, mine, &one);
    let differs = |new: Config| old.changes_to(&new).needing_restart();
    assert_eq!(differs(load(mine, mine, &one)), [""; 0]);
    assert_eq!(differs(load(theirs, mine, &one)), ["application[my-app].ca_file"]);
    assert_eq!(differs(load(mine, theirs, &one)), ["home.ca_file"]);
    assert_eq!(differs(load(mine, mine, &other)), ["home.client_cert_file", "home.client_key_file"]);
    let shown: String = old.shown().iter().map(|value| format!("{value}\n")).collect();
    assert!(shown.contains("home.ca_file = \"CONFIG/ca.pem\"  #"), "{shown}");
}

#[test]
fn a_text_without_a_file_can_be_read_again_and_shows_no_secret() {
    let text = format!("[[application]]\nid = 'my-app'\ncluster = 'eu1'\napi_key = '{}'", key('B'));
    let config = load(&text, &environment()).unwrap();
    assert_eq!(config.sources.text(&environment()).unwrap(), text);
    assert_eq!(config.sources.look(&environment()), config.sources.print);
    assert!(!format!("{:?}", config.sources).contains(&key('B')));
}
