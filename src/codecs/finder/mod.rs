//! Which codec a device has, and why: the order of the search, and what was found.

mod considered;
mod renewal;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use payload_codecs::{Source, devices};
use tokio::sync::Notify;

use super::library::{Draft, FindError, Library, Lookup, Origin, is_plain};
use super::{Chosen, Codec, CodecsConfig, Learned};
use crate::model::{ApplicationName, DeviceKey, VersionIds};
use crate::telemetry::{Notice, Notices, WeakNotices, with_causes};

pub use considered::Considered;
pub use renewal::News;

/// The attribute of a device, set in the network's console, that names its codec.
const ATTRIBUTE: &str = "ferry-codec";
const OUTSIDE: &str = "the attribute ferry-codec takes a name and no path; paths are for the configuration";
/// Why a device has the codec that was learned for it.
const LEARNED: &str = "network's formatter";

/// Finds codecs and remembers what it found: a codec that is there twice is one.
#[derive(Debug, Default)]
pub struct Finder {
    library: Library,
    by_device: HashMap<DeviceKey, String>,
    by_application: HashMap<ApplicationName, String>,
    learned: HashMap<DeviceKey, Arc<Codec>>,
    /// Every question asked of the library so far. The answers hold until they are renewed.
    found: HashMap<Lookup, Found>,
    /// Each device's answer, so that the search is made once a device.
    devices: HashMap<DeviceKey, Known>,
    /// Weak: codecs are watched for as long as there is anything to do, also when nobody listens any more.
    notices: Option<WeakNotices>,
    /// Rung when the library is asked about a place for the first time.
    asked: Arc<Notify>,
    next_id: usize,
}

/// What the device itself says, through the network. What is not given is not known, and what was known of it holds.
#[derive(Debug, Default, Clone, Copy)]
pub struct Wishes<'a> {
    pub attributes: Option<&'a BTreeMap<String, String>>,
    pub version_ids: Option<&'a VersionIds>,
}

/// An answer of the library.
#[derive(Debug, Default)]
struct Found {
    codec: Option<Arc<Codec>>,
    /// What is there now and cannot be used.
    refused: Option<Refused>,
}

#[derive(Debug, PartialEq)]
struct Refused {
    /// What did not load; `None` if it cannot even be read.
    draft: Option<Draft>,
    error: String,
}

/// What a device said last, and what came of it.
#[derive(Debug, Default)]
struct Known {
    wish: Option<String>,
    product: Option<VersionIds>,
    chosen: Option<Chosen>,
}

impl Known {
    /// Takes in what the device says. Returns whether that is news.
    fn hear(&mut self, wishes: &Wishes<'_>) -> bool {
        let wish = wishes.attributes.map(|all| all.get(ATTRIBUTE)).filter(|wish| *wish != self.wish.as_ref());
        let product = wishes.version_ids.filter(|product| Some(*product) != self.product.as_ref());
        if let Some(wish) = wish {
            self.wish = wish.cloned();
        }
        if let Some(product) = product {
            self.product = Some(product.clone());
        }
        wish.is_some() || product.is_some()
    }
}

impl Finder {
    pub fn new(config: &CodecsConfig) -> Self {
        Self { library: Library::new(config), ..Self::default() }
    }

    /// Codecs that devices ask for and that cannot be used are told there.
    pub fn tell(&mut self, notices: Notices) {
        self.notices = Some(notices.downgrade());
    }

    /// The configuration's word for one device.
    pub fn assign(&mut self, device: DeviceKey, name: &str) -> Result<(), FindError> {
        self.named(name)?;
        self.by_device.insert(device, name.into());
        Ok(())
    }

    /// The configuration's word for every device of an application that has no codec of its own.
    pub fn assign_default(&mut self, application: ApplicationName, name: &str) -> Result<(), FindError> {
        self.named(name)?;
        self.by_application.insert(application, name.into());
        Ok(())
    }

    /// What the configuration says is replaced as a whole. Returns the devices whose codec, or the reason for it, is
    /// another one now.
    pub fn reassign(
        &mut self,
        of_devices: HashMap<DeviceKey, String>,
        of_applications: HashMap<ApplicationName, String>,
    ) -> Vec<(DeviceKey, Option<Chosen>)> {
        (self.by_device, self.by_application) = (of_devices, of_applications);
        self.choose_again()
    }

    /// What the network's own formatter for a device was found to be, or that it has none. Returns the device's codec.
    pub fn learn(&mut self, device: &DeviceKey, learned: Option<Learned>) -> Option<Chosen> {
        match learned {
            Some(Learned { name, source }) => {
                let same = self.learned.values().find(|codec| is_same(&codec.source, &source)).cloned();
                let codec = same.unwrap_or_else(|| self.make(Draft::bare(&name, Origin::Network, source)));
                self.learned.insert(device.clone(), codec);
            }
            None => drop(self.learned.remove(device)),
        }
        self.settle(device)
    }

    /// Whether a device that was heard of has nothing better than its network's formatter.
    pub fn lacks_codec(&self, device: &DeviceKey) -> bool {
        let chosen = self.devices.get(device).and_then(|known| known.chosen.as_ref());
        chosen.is_none_or(|chosen| chosen.by == LEARNED)
    }

    /// A device's codec.
    pub fn choose(&mut self, device: &DeviceKey, wishes: &Wishes<'_>) -> Option<Chosen> {
        match self.devices.get_mut(device) {
            Some(known) => {
                if !known.hear(wishes) {
                    return known.chosen.clone();
                }
            }
            None => {
                let mut known = Known::default();
                known.hear(wishes);
                self.devices.insert(device.clone(), known);
            }
        }
        if let Some(wish) = wishes.attributes.and_then(|all| all.get(ATTRIBUTE)).filter(|wish| !is_plain(wish)) {
            self.broken(&Lookup::Named(wish.clone()), OUTSIDE, None);
        }
        self.settle(device)
    }

    /// The codec of this name: a path, in the folder, or shipped.
    pub fn named(&mut self, name: &str) -> Result<Arc<Codec>, FindError> {
        let lookup = Lookup::Named(name.into());
        if let Some(Found { codec: Some(codec), .. }) = self.found.get(&lookup) {
            return Ok(codec.clone());
        }
        let draft = self.library.look_up(&lookup)?.ok_or_else(|| FindError::Nowhere(name.into()))?;
        let codec = self.intern(draft);
        self.remember(lookup, Found { codec: Some(codec.clone()), refused: None });
        Ok(codec)
    }

    fn settle(&mut self, device: &DeviceKey) -> Option<Chosen> {
        let known = self.devices.get(device);
        let (wish, product) = known.map(|known| (known.wish.clone(), known.product.clone())).unwrap_or_default();
        let chosen = self.search(device, wish, product);
        if let Some(known) = self.devices.get_mut(device) {
            known.chosen.clone_from(&chosen);
        }
        chosen
    }

    /// The order.
    fn search(&mut self, device: &DeviceKey, wish: Option<String>, product: Option<VersionIds>) -> Option<Chosen> {
        self.candidates(device, wish, product)
            .into_iter()
            .find_map(|(lookup, by)| self.find(lookup).map(|codec| Chosen { codec, by }))
            .or_else(|| self.learned.get(device).map(|codec| Chosen { codec: codec.clone(), by: LEARNED }))
    }

    /// Where a codec is looked for, and why there: the first that is there is it.
    fn candidates(
        &self,
        device: &DeviceKey,
        wish: Option<String>,
        product: Option<VersionIds>,
    ) -> Vec<(Lookup, &'static str)> {
        let model = product.as_ref().map(|product| format!("{}/{}", product.brand_id, product.model_id));
        let candidates = [
            (self.by_device.get(device).cloned().map(Lookup::Named), "configuration"),
            (wish.filter(|name| is_plain(name)).map(Lookup::Named), "attribute ferry-codec"),
            (Some(Lookup::Entry(device.device.to_string())), "codec folder"),
            (model.map(Lookup::Entry), "codec folder"),
            (product.clone().map(Lookup::Product), "device repository"),
            (product.as_ref().and_then(shipped_for).map(Lookup::Named), "product"),
            (self.by_application.get(&device.application).cloned().map(Lookup::Named), "application"),
        ];
        candidates.into_iter().filter_map(|(lookup, by)| Some((lookup?, by))).collect()
    }

    /// Asks the library once and remembers the answer.
    fn find(&mut self, lookup: Lookup) -> Option<Arc<Codec>> {
        if let Some(found) = self.found.get(&lookup) {
            return found.codec.clone();
        }
        let found = match self.library.look_up(&lookup) {
            Ok(draft) => Found { codec: draft.map(|draft| self.intern(draft)), refused: None },
            Err(error) => {
                let refused = Refused { draft: None, error: with_causes(&error) };
                self.broken(&lookup, &refused.error, error.line());
                Found { codec: None, refused: Some(refused) }
            }
        };
        let codec = found.codec.clone();
        self.remember(lookup, found);
        codec
    }

    fn remember(&mut self, lookup: Lookup, found: Found) {
        self.found.insert(lookup, found);
        self.asked.notify_one();
    }

    /// The codec made of this, which may be there already.
    fn intern(&mut self, draft: Draft) -> Arc<Codec> {
        let mut known = self.found.values().filter_map(|found| found.codec.as_ref());
        match known.find(|codec| codec.is_made_of(&draft)) {
            Some(codec) => codec.clone(),
            None => self.make(draft),
        }
    }

    fn make(&mut self, Draft { name, origin, source, fields, commands }: Draft) -> Arc<Codec> {
        self.next_id += 1;
        Arc::new(Codec { id: self.next_id, name, origin, source, fields, commands, described: OnceLock::new() })
    }

    fn broken(&self, lookup: &Lookup, error: &str, line: Option<u32>) {
        if let Some(notices) = &self.notices {
            notices.tell(Notice::CodecBroken { codec: lookup.to_string(), error: error.into(), line });
        }
    }
}

/// Whether two sources do the same, whatever they are called.
fn is_same(one: &Source, other: &Source) -> bool {
    let both = |one: &Option<Arc<Source>>, other: &Option<Arc<Source>>| match (one, other) {
        (Some(one), Some(other)) => is_same(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    match (one, other) {
        (Source::JavaScript { script, .. }, Source::JavaScript { script: other, .. }) => script == other,
        (Source::ByDirection { uplink, downlink }, Source::ByDirection { uplink: up, downlink: down }) => {
            both(uplink, up) && both(downlink, down)
        }
        _ => one == other,
    }
}

fn shipped_for(version: &VersionIds) -> Option<String> {
    devices::find_by_version_ids(&version.brand_id, &version.model_id).map(|device| device.id.to_string())
}

#[cfg(test)]
mod tests;
