//! The order of the search, and what becomes of changed answers.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::model::DeviceId;

/// The user's folder and a clone of a device repository, made for the test.
struct Disk(TempDir);

impl Disk {
    fn with(files: &[&str]) -> (Self, Finder) {
        let disk = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|file| disk.script(file, file));
        let config = CodecsConfig {
            folder: Some(disk.path().join("codecs")),
            device_repository: Some(disk.path().join("clone")),
            ..CodecsConfig::default()
        };
        let finder = Finder::new(&config);
        (disk, finder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A script in the user's folder that differs from others by its mark.
    fn script(&self, file: &str, mark: &str) {
        self.write(
            &format!("codecs/{file}"),
            &format!("function decodeUplink() {{ return {{ data: {{ {mark:?}: 1 }} }} }}"),
        );
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

fn device(id: &str) -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("app").unwrap(), DeviceId::parse(id).unwrap())
}

fn attribute(name: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(ATTRIBUTE.to_string(), name.to_string())])
}

fn product(brand: &str, model: &str) -> VersionIds {
    VersionIds {
        brand_id: brand.into(),
        model_id: model.into(),
        firmware_version: "1.0".into(),
        band_id: "EU_863_870".into(),
        ..VersionIds::default()
    }
}

fn script(name: &str, script: &str) -> Source {
    Source::JavaScript { name: name.into(), script: script.into() }
}

fn told(chosen: Option<Chosen>) -> Option<(String, &'static str)> {
    chosen.map(|chosen| (chosen.codec.name.clone(), chosen.by))
}

/// Asks the library everything again, and takes what it says. Returns how much of it is news.
fn renew(finder: &mut Finder) -> usize {
    let (library, questions) = finder.questions();
    let answers = questions.into_iter().map(|lookup| (library.look_up(&lookup), lookup));
    let news: Vec<_> = answers.filter(|(answer, lookup)| finder.is_news(lookup, answer)).collect();
    let count = news.len();
    for (answer, lookup) in news {
        match answer {
            Ok(draft) => finder.accept(lookup, draft),
            Err(error) => drop(finder.refuse(lookup, None, with_causes(&error))),
        }
    }
    count
}

const ORDER: [(&str, &str); 8] = [
    ("mine", "configuration"),
    ("wished", "attribute ferry-codec"),
    ("node-1", "codec folder"),
    ("dragino/lht65n", "codec folder"),
    ("device-repository/dragino/the-codec", "device repository"),
    ("dragino/lht65n", "product"),
    ("default", "application"),
    ("ttn/app/node-1", LEARNED),
];

/// A device that could have all of the order but the first few, and its codec.
fn chosen_without(skipped: usize) -> (Finder, Option<Chosen>) {
    let there = |number| number >= skipped;
    let (disk, mut finder) = Disk::with(&["mine.js", "wished.js", "default.js"]);
    let (node, mut attributes, mut version) = (device("node-1"), BTreeMap::new(), product("acme", "probe"));
    if there(0) {
        finder.assign(node.clone(), "mine").unwrap();
    }
    if there(1) {
        attributes = attribute("wished");
    }
    if there(2) {
        disk.script("node-1.js", "own");
    }
    if there(3) {
        disk.script("dragino/lht65n/codec.js", "model");
    }
    if there(4) {
        disk.write(
            "clone/vendor/dragino/lht65n.yaml",
            "firmwareVersions: [{ version: '1.0', profiles: { EU863-870: { codec: the-codec } } }]",
        );
        disk.write("clone/vendor/dragino/the-codec.yaml", "uplinkDecoder: { fileName: it.js }");
        disk.write("clone/vendor/dragino/it.js", "function decodeUplink() {}");
    }
    if there(5) {
        version = product("dragino", "lht65n");
    }
    if there(6) {
        finder.assign_default(node.application.clone(), "default").unwrap();
    }
    if there(7) {
        finder.learn(&node, Some(Learned { name: "ttn/app/node-1".into(), source: script("its", "its own") }));
    }
    let chosen = finder.choose(&node, &Wishes { attributes: Some(&attributes), version_ids: Some(&version) });
    (finder, chosen)
}

#[test]
fn the_first_of_the_order_is_chosen_and_says_why() {
    for (skipped, (name, by)) in ORDER.into_iter().enumerate() {
        let (finder, chosen) = chosen_without(skipped);
        assert_eq!(told(chosen), Some((name.to_owned(), by)));
        assert_eq!(finder.lacks_codec(&device("node-1")), by == LEARNED, "{name}");
    }
    let (finder, chosen) = chosen_without(ORDER.len());
    assert!(chosen.is_none() && finder.lacks_codec(&device("node-1")));
}

#[test]
fn an_entry_is_a_file_or_a_folder_and_a_folder_says_what_its_fields_are() {
    let (disk, mut finder) = Disk::with(&["node-1.js", "node-2/codec.js"]);
    disk.write("codecs/node-2/device.toml", "fields = [{ name = 'level', unit = 'cm' }]");
    disk.write(
        "codecs/node-3/device.toml",
        "engine = 'cayenne-lpp'\ncommands = [{ field = 'a', value = { type = 'button' } }]",
    );
    let table = "[[uplink]]\nfields = [{ name = 'door', type = 'u8', unit = 'cm' }]";
    disk.write("codecs/node-4.toml", table);
    disk.write("codecs/node-5/codec.toml", table);
    let choose =
        |finder: &mut Finder, id: &str| finder.choose(&device(id), &Wishes::default()).map(|chosen| chosen.codec);
    assert!(choose(&mut finder, "node-1").unwrap().fields().is_empty());
    assert_eq!(choose(&mut finder, "node-2").unwrap().fields()[0].unit.as_deref(), Some("cm"));
    let lpp = choose(&mut finder, "node-3").unwrap();
    assert_eq!((lpp.source(), lpp.commands.len()), (&Source::CayenneLpp, 1));
    for id in ["node-4", "node-5"] {
        let table = choose(&mut finder, id).unwrap();
        assert!(matches!(table.source(), Source::Table { .. }) && table.fields()[0].name == "door", "{id}");
    }
    assert!(choose(&mut finder, "node-6").is_none());
    assert_eq!(finder.named("node-1.js").unwrap().name, "node-1.js");
}

#[test]
fn the_users_own_goes_before_a_shipped_one_of_the_same_name() {
    let (disk, mut finder) = Disk::with(&[]);
    assert!(!finder.named("dragino/lht65n").unwrap().fields().is_empty());
    disk.script("dragino/lht65n.js", "better");
    renew(&mut finder);
    assert!(finder.named("dragino/lht65n").unwrap().fields().is_empty());
}

#[test]
fn an_attribute_cannot_reach_outside_the_folder() {
    let (_disk, mut finder) = Disk::with(&["mine.js"]);
    let (notices, mut told) = tokio::sync::mpsc::channel(10);
    let notices = Notices::new(notices);
    finder.tell(notices.clone());
    for name in ["/etc/passwd", "../mine", "a/../../mine", ".hidden"] {
        let attributes = attribute(name);
        let wishes = Wishes { attributes: Some(&attributes), version_ids: None };
        for _ in 0..2 {
            assert!(finder.choose(&device("node-1"), &wishes).is_none(), "{name}");
        }
        let Ok(Notice::CodecBroken { codec, .. }) = told.try_recv() else { panic!("{name} is not told") };
        assert!(codec == name && told.try_recv().is_err(), "{name} is told once");
    }
}

#[test]
fn the_device_repository_is_not_left_and_one_script_a_direction_is_taken() {
    let (disk, mut finder) = Disk::with(&[]);
    let choose = |finder: &mut Finder, id: &str, brand: &str, model: &str| {
        let version = product(brand, model);
        finder.choose(&device(id), &Wishes { attributes: None, version_ids: Some(&version) })
    };
    let model = "firmwareVersions: [{ version: '1.0', profiles: { EU863-870: { codec: c } } }]";
    for name in ["probe", "linked"] {
        disk.write(&format!("clone/vendor/{name}/{name}.yaml"), model);
    }
    disk.write("secret.js", "secret");
    disk.write("clone/vendor/linked/c.yaml", "uplinkDecoder: { fileName: out.js }");
    std::os::unix::fs::symlink("../../../secret.js", disk.path().join("clone/vendor/linked/out.js")).unwrap();
    assert!(choose(&mut finder, "node-1", "linked", "linked").is_none());
    assert!(choose(&mut finder, "node-2", "..", "codecs").is_none());
    assert!(choose(&mut finder, "node-3", "probe/../linked", "linked").is_none());

    disk.write(
        "clone/vendor/probe/c.yaml",
        "{ uplinkDecoder: { fileName: up.js }, downlinkEncoder: { fileName: d/down.js } }",
    );
    disk.write("clone/vendor/probe/up.js", "up");
    disk.write("clone/vendor/probe/d/down.js", "down");
    let chosen = choose(&mut finder, "node-4", "probe", "probe").unwrap();
    let Source::ByDirection { uplink: Some(up), downlink: Some(down) } = chosen.codec.source() else { panic!() };
    let name = "device-repository/probe/c";
    assert_eq!([&**up, &**down], [&script(name, "up"), &script(name, "down")]);
}

#[test]
fn a_brand_that_the_clone_does_not_have_is_looked_for_where_it_would_come() {
    let (disk, mut finder) = Disk::with(&[]);
    disk.write("clone/vendor/other/x.yaml", "");
    let version = product("acme", "probe");
    assert!(finder.choose(&device("node-1"), &Wishes { attributes: None, version_ids: Some(&version) }).is_none());
    let watched =
        |finder: &Finder, folder: &str| finder.places().iter().any(|it| it.folder == disk.path().join(folder));
    assert!(watched(&finder, "clone/vendor") && !watched(&finder, "clone/vendor/acme"));
    disk.write("clone/vendor/acme/x.yaml", "");
    assert!(watched(&finder, "clone/vendor/acme"));
}

#[test]
fn an_unknown_codec_in_the_configuration_is_an_error() {
    let (_disk, mut finder) = Disk::with(&[]);
    assert!(matches!(finder.assign(device("node-1"), "nowhere"), Err(FindError::Nowhere(_))));
    assert!(matches!(finder.assign(device("node-1"), "/no/such/file.js"), Err(FindError::Unreadable { .. })));
    assert!(matches!(finder.assign(device("node-1"), "/dev/null"), Err(FindError::Unreadable { .. })));
}

#[test]
fn what_a_device_says_later_counts_and_what_it_does_not_say_stays() {
    let (_disk, mut finder) = Disk::with(&["mine.js"]);
    finder.assign_default(ApplicationName::parse("app").unwrap(), "mine").unwrap();
    let (lpp, none) = (attribute("cayenne-lpp"), BTreeMap::new());
    let mut name = |attributes| {
        let wishes = Wishes { attributes, version_ids: None };
        finder.choose(&device("node-1"), &wishes).unwrap().codec.name.clone()
    };
    let names = [None, Some(&lpp), None, Some(&none)].map(&mut name);
    assert_eq!(names, ["mine", "cayenne-lpp", "cayenne-lpp", "mine"]);
}

#[test]
fn what_is_found_twice_is_one_codec() {
    let (_disk, mut finder) = Disk::with(&["node-1.js"]);
    let named = finder.named("node-1").unwrap();
    let own = finder.choose(&device("node-1"), &Wishes::default()).unwrap();
    assert!(Arc::ptr_eq(&named, &own.codec));
    let mut learn = |id: &str, text: &str| {
        let learned = Learned { name: format!("ttn/app/{id}"), source: script(id, text) };
        finder.learn(&device(id), Some(learned)).unwrap().codec
    };
    let (two, three, four) = (learn("node-2", "same"), learn("node-3", "same"), learn("node-4", "other"));
    assert!(Arc::ptr_eq(&two, &three) && !Arc::ptr_eq(&two, &four));
    assert!(finder.learn(&device("node-4"), None).is_none());
}

#[test]
fn a_changed_file_is_a_new_codec_for_those_who_have_it_and_for_nobody_else() {
    let (disk, mut finder) = Disk::with(&["node-1.js", "node-2.js"]);
    let [one, two] = ["node-1", "node-2"].map(|id| finder.choose(&device(id), &Wishes::default()).unwrap());
    assert_eq!(renew(&mut finder), 0);
    disk.script("node-1.js", "changed");
    assert_eq!(renew(&mut finder), 1);
    let changed = finder.choose_again();
    let [(key, Some(new))] = &changed[..] else { panic!("{changed:?}") };
    assert_eq!((key, &new.codec.name), (&device("node-1"), &one.codec.name));
    assert_ne!(new.codec.id, one.codec.id);
    assert_eq!(finder.choose(&device("node-2"), &Wishes::default()), Some(two));
}

#[test]
fn files_that_come_and_go_change_choices() {
    let (disk, mut finder) = Disk::with(&[]);
    let node = device("node-1");
    assert!(finder.choose(&node, &Wishes::default()).is_none());
    disk.script("node-1.js", "new");
    assert_eq!(renew(&mut finder), 1);
    assert_eq!(told(finder.choose_again().remove(0).1), Some(("node-1".into(), "codec folder")));
    std::fs::remove_file(disk.path().join("codecs/node-1.js")).unwrap();
    assert_eq!(renew(&mut finder), 1);
    assert_eq!(finder.choose_again(), [(node, None)]);
}

#[test]
fn what_is_refused_is_told_once_and_the_old_one_goes_on() {
    let (disk, mut finder) = Disk::with(&["node-1.js"]);
    let before = finder.choose(&device("node-1"), &Wishes::default());
    finder.assign(device("node-2"), "node-1").unwrap();
    std::fs::remove_file(disk.path().join("codecs/node-1.js")).unwrap();
    disk.write("codecs/node-1/codec.js", "text");
    disk.write("codecs/node-1/device.toml", "nonsense = 1");
    assert_eq!([renew(&mut finder), renew(&mut finder)], [2, 0]);
    assert_eq!(finder.choose_again(), []);
    std::fs::remove_dir_all(disk.path().join("codecs/node-1")).unwrap();
    disk.script("node-1.js", "node-1.js");
    assert_eq!([renew(&mut finder), renew(&mut finder)], [2, 0]);
    assert_eq!(finder.choose(&device("node-1"), &Wishes::default()), before);
}
