//! Shows in the directory of devices which codec each has, and why.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::{Chosen, Codec};
use crate::model::{CodecChoice, DeviceKey, Directory};

const NETWORK: &str = "network";
const NONE: &str = "none";
const HINT: &str = "name one in the configuration or in the device's attribute ferry-codec, put <device id>.js into the \
                    codec folder, or set a payload formatter at the network";

/// The directory, and who wants to know that it reads differently. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shown {
    directory: Arc<Mutex<Directory>>,
    changed: watch::Sender<()>,
}

impl Shown {
    pub fn new(directory: Arc<Mutex<Directory>>, changed: watch::Sender<()>) -> Self {
        Self { directory, changed }
    }

    /// A device has this codec, or none any more.
    pub fn now(&self, device: &DeviceKey, chosen: Option<&Chosen>) {
        match chosen {
            Some(chosen) => self.chosen(device, chosen),
            None => self.forgotten(device),
        }
    }

    /// A device has this codec.
    pub fn chosen(&self, device: &DeviceKey, chosen: &Chosen) {
        self.change(device, |shown| {
            let same = shown.is_some_and(|shown| {
                shown.name == chosen.codec.name
                    && shown.chosen_by == chosen.by
                    && Arc::ptr_eq(&shown.fields, chosen.codec.fields())
                    && Arc::ptr_eq(&shown.commands, &chosen.codec.commands)
            });
            (!same).then(|| Some(describe(chosen)))
        });
    }

    /// A device's codec says what its fields are.
    pub fn described(&self, device: &DeviceKey, codec: &Codec) {
        self.change(device, |shown| {
            let shown =
                shown.filter(|shown| shown.name == codec.name && !Arc::ptr_eq(&shown.fields, codec.fields()))?;
            Some(Some(CodecChoice { fields: codec.fields().clone(), ..shown.clone() }))
        });
    }

    /// A device has no codec any more; what becomes of its payloads will be seen.
    pub fn forgotten(&self, device: &DeviceKey) {
        self.change(device, |shown| shown.filter(|shown| ![NETWORK, NONE].contains(&shown.chosen_by)).map(|_| None));
    }

    /// A device without a codec sent something that its network decoded, or nobody. Once the network did, it stays the
    /// network that does: not every port needs to have something to decode.
    pub fn undecoded(&self, device: &DeviceKey, by_network: bool) {
        self.change(device, |shown| match shown.map(|shown| shown.chosen_by) {
            None | Some(NONE) if by_network => Some(Some(bare(NETWORK, None))),
            None => Some(Some(bare(NONE, Some(HINT)))),
            Some(_) => None,
        });
    }

    /// Devices that are not in the directory yet are shown with their next uplink.
    fn change(&self, device: &DeviceKey, other: impl FnOnce(Option<&CodecChoice>) -> Option<Option<CodecChoice>>) {
        let mut directory = Directory::lock(&self.directory);
        let Some(known) = directory.find_mut(device) else { return };
        if let Some(choice) = other(known.codec.as_ref()) {
            known.codec = choice;
            directory.touch(device);
            self.changed.send_replace(());
        }
    }
}

fn describe(chosen: &Chosen) -> CodecChoice {
    let codec = &chosen.codec;
    let (fields, commands) = (codec.fields().clone(), codec.commands.clone());
    CodecChoice { name: codec.name.clone(), chosen_by: chosen.by, hint: None, fields, commands }
}

fn bare(what: &'static str, hint: Option<&'static str>) -> CodecChoice {
    CodecChoice { name: what.into(), chosen_by: what, hint, fields: Arc::default(), commands: Arc::default() }
}
