//! Which codec a device has: the configuration, the device's own attribute, the user's folder, what we ship.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use payload_codecs::{Source, devices};

use super::{Chosen, Codec, CodecsConfig};
use crate::model::{ApplicationName, DeviceKey, VersionIds};

/// The attribute of a device, set in the network's console, that names its codec.
const ATTRIBUTE: &str = "ferry-codec";
/// The largest script read: the largest public one is 235 KB.
const MAX_SCRIPT: u64 = 1 << 20;

/// Finds codecs and remembers them: one [`Codec`] per name.
#[derive(Debug, Default)]
pub struct Finder {
    folder: Option<PathBuf>,
    by_device: HashMap<DeviceKey, String>,
    by_application: HashMap<ApplicationName, String>,
    /// What was looked for before, found or not. A name stays as it was found until the restart.
    known: HashMap<String, Option<Arc<Codec>>>,
    /// Each device's answer, so that the order below is walked once a device, and whether it was given in the knowledge
    /// of what the device itself says.
    chosen: HashMap<DeviceKey, (Chosen, bool)>,
}

/// What the device itself says, through the network.
#[derive(Debug, Default, Clone, Copy)]
pub struct Wishes<'a> {
    pub attributes: Option<&'a BTreeMap<String, String>>,
    pub version_ids: Option<&'a VersionIds>,
}

/// A codec that the configuration names and that is not there.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    #[error("codec `{0}` is neither shipped nor in the codec folder")]
    Nowhere(String),
    #[error("codec `{name}`: {path} cannot be read")]
    Unreadable {
        name: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("codec `{name}`: {path} is larger than {} KiB", MAX_SCRIPT / 1024)]
    TooLarge { name: String, path: PathBuf },
}

impl Wishes<'_> {
    /// Whether the device says anything at all. Its first messages, and stacks before 3.34, say nothing.
    fn are_known(&self) -> bool {
        self.attributes.is_some_and(|attributes| !attributes.is_empty()) || self.version_ids.is_some()
    }
}

impl Finder {
    pub fn new(config: &CodecsConfig) -> Self {
        Self { folder: config.folder.clone(), ..Self::default() }
    }

    /// The configuration's word for one device.
    pub fn assign(&mut self, device: DeviceKey, name: &str) -> Result<(), NotFound> {
        self.named(name)?;
        self.by_device.insert(device, name.into());
        Ok(())
    }

    /// The configuration's word for every device of an application that has no codec of its own.
    pub fn assign_default(&mut self, application: ApplicationName, name: &str) -> Result<(), NotFound> {
        self.named(name)?;
        self.by_application.insert(application, name.into());
        Ok(())
    }

    /// A device's codec: its configuration ▸ its attribute ▸ a file named after it ▸ its product ▸ its application's.
    pub fn choose(&mut self, device: &DeviceKey, wishes: &Wishes<'_>) -> Option<Chosen> {
        let informed = wishes.are_known();
        if let Some((chosen, _)) = self.chosen.get(device).filter(|(_, settled)| *settled || !informed) {
            return Some(chosen.clone());
        }
        let chosen = self.search(device, wishes)?;
        self.chosen.insert(device.clone(), (chosen.clone(), informed));
        Some(chosen)
    }

    /// The codec of this name: shipped, a path, or in the folder.
    pub fn named(&mut self, name: &str) -> Result<Arc<Codec>, NotFound> {
        if let Some(Some(known)) = self.known.get(name) {
            return Ok(known.clone());
        }
        let codec = Arc::new(Codec { id: self.known.len(), name: name.into(), source: self.load(name)? });
        self.known.insert(name.into(), Some(codec.clone()));
        Ok(codec)
    }

    fn search(&mut self, device: &DeviceKey, wishes: &Wishes<'_>) -> Option<Chosen> {
        let configured = self.by_device.get(device).cloned();
        let attribute = wishes.attributes.and_then(|all| all.get(ATTRIBUTE)).cloned();
        let product = wishes.version_ids.and_then(shipped_for);
        let default = self.by_application.get(&device.application).cloned();
        self.candidate(configured, "configuration")
            .or_else(|| self.candidate(attribute.filter(|name| is_plain(name)), "attribute ferry-codec"))
            .or_else(|| self.candidate(Some(device.device.to_string()), "codec folder"))
            .or_else(|| self.candidate(product, "product"))
            .or_else(|| self.candidate(default, "application"))
    }

    /// Asks the disk once per name and remembers the answer.
    fn candidate(&mut self, name: Option<String>, by: &'static str) -> Option<Chosen> {
        let name = name?;
        if let Some(None) = self.known.get(&name) {
            return None;
        }
        match self.named(&name) {
            Ok(codec) => Some(Chosen { codec, by }),
            Err(NotFound::Nowhere(_)) if by == "codec folder" => self.remember_absent(name),
            Err(error) => {
                tracing::warn!(codec = name, by, error = %error, "Codec cannot be used.");
                self.remember_absent(name)
            }
        }
    }

    fn remember_absent(&mut self, name: String) -> Option<Chosen> {
        self.known.insert(name, None);
        None
    }

    fn load(&self, name: &str) -> Result<Source, NotFound> {
        if let Some(device) = devices::find(name) {
            return Ok(device.source());
        }
        if name == "cayenne-lpp" {
            return Ok(Source::CayenneLpp);
        }
        let path = self.path_of(name).ok_or_else(|| NotFound::Nowhere(name.into()))?;
        let script = read_script(name, &path)?;
        Ok(Source::JavaScript { name: name.into(), script: script.into() })
    }

    /// A path is taken as it is; a plain name is looked up in the folder, as a file or as a folder of its own.
    fn path_of(&self, name: &str) -> Option<PathBuf> {
        if name.starts_with('/') {
            return Some(PathBuf::from(name));
        }
        let folder = self.folder.as_ref().filter(|_| is_plain(name))?;
        [folder.join(format!("{name}.js")), folder.join(name).join("codec.js"), folder.join(name)]
            .into_iter()
            .find(|path| path.is_file())
    }
}

/// A name that stays inside the folder: no absolute path, no `..`. Attributes are written by whoever may edit devices.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('/')
        && name.split('/').all(|level| !level.is_empty() && !level.starts_with('.'))
}

fn shipped_for(version: &VersionIds) -> Option<String> {
    devices::find_by_version_ids(&version.brand_id, &version.model_id).map(|device| device.id.to_string())
}

fn read_script(name: &str, path: &Path) -> Result<String, NotFound> {
    let unreadable = |source| NotFound::Unreadable { name: name.into(), path: path.into(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_SCRIPT {
        return Err(NotFound::TooLarge { name: name.into(), path: path.into() });
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceId;

    fn device(id: &str) -> DeviceKey {
        DeviceKey::new(&ApplicationName::parse("app").unwrap(), DeviceId::parse(id).unwrap())
    }

    fn finder_with(files: &[&str]) -> (tempfile::TempDir, Finder) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "function decodeUplink() { return { data: {} } }").unwrap();
        }
        let config = CodecsConfig { folder: Some(folder.path().into()), ..CodecsConfig::default() };
        let finder = Finder::new(&config);
        (folder, finder)
    }

    #[test]
    fn a_file_or_folder_named_after_the_device_is_its_codec() {
        let (_folder, mut finder) = finder_with(&["node-1.js", "node-2/codec.js"]);
        for id in ["node-1", "node-2"] {
            let chosen = finder.choose(&device(id), &Wishes::default()).unwrap();
            assert_eq!((chosen.codec.name.as_str(), chosen.by), (id, "codec folder"));
        }
        assert!(finder.choose(&device("node-3"), &Wishes::default()).is_none());
    }

    #[test]
    fn the_configuration_comes_before_everything_else() {
        let (_folder, mut finder) = finder_with(&["node-1.js", "mine.js"]);
        finder.assign(device("node-1"), "mine").unwrap();
        let attributes = BTreeMap::from([(ATTRIBUTE.to_string(), "cayenne-lpp".to_string())]);
        let wishes = Wishes { attributes: Some(&attributes), version_ids: None };
        assert_eq!(finder.choose(&device("node-1"), &wishes).unwrap().codec.name, "mine");
        assert_eq!(finder.choose(&device("node-9"), &wishes).unwrap().codec.name, "cayenne-lpp");
    }

    #[test]
    fn an_attribute_cannot_reach_outside_the_folder() {
        let (_folder, mut finder) = finder_with(&["mine.js"]);
        for name in ["/etc/passwd", "../mine", "a/../../mine", ".hidden"] {
            let attributes = BTreeMap::from([(ATTRIBUTE.to_string(), name.to_string())]);
            let wishes = Wishes { attributes: Some(&attributes), version_ids: None };
            assert!(finder.choose(&device("node-1"), &wishes).is_none(), "{name}");
        }
    }

    #[test]
    fn an_unknown_codec_in_the_configuration_is_an_error() {
        let (_folder, mut finder) = finder_with(&[]);
        assert!(matches!(finder.assign(device("node-1"), "nowhere"), Err(NotFound::Nowhere(_))));
        assert!(matches!(finder.assign(device("node-1"), "/no/such/file.js"), Err(NotFound::Unreadable { .. })));
    }

    #[test]
    fn a_choice_made_before_the_device_said_anything_gives_way_to_its_word() {
        let (_folder, mut finder) = finder_with(&["mine.js"]);
        finder.assign_default(ApplicationName::parse("app").unwrap(), "mine").unwrap();
        let before = finder.choose(&device("node-1"), &Wishes::default()).unwrap();
        let attributes = BTreeMap::from([(ATTRIBUTE.to_string(), "cayenne-lpp".to_string())]);
        let wishes = Wishes { attributes: Some(&attributes), version_ids: None };
        let told = finder.choose(&device("node-1"), &wishes).unwrap();
        let after = finder.choose(&device("node-1"), &Wishes::default()).unwrap();
        let names = [before, told, after].map(|chosen| chosen.codec.name.clone());
        assert_eq!(names, ["mine", "cayenne-lpp", "cayenne-lpp"]);
    }

    #[test]
    fn the_same_name_is_loaded_once() {
        let (_folder, mut finder) = finder_with(&["mine.js"]);
        assert!(Arc::ptr_eq(&finder.named("mine").unwrap(), &finder.named("mine").unwrap()));
    }
}
