//! Which devices the network has no more: they were known, and its registry lists them no longer.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::home::Settings;
use crate::model::{ApplicationName, DeviceKey, Directory};

/// Compares one reading of a registry with what is known.
#[derive(Debug, Default)]
pub struct Roll {
    /// Listed since the last reading of its application ended.
    present: HashSet<DeviceKey>,
    /// When each application's registry was read last.
    read_at: HashMap<ApplicationName, Timestamp>,
}

impl Roll {
    /// The registry lists this device.
    pub fn list(&mut self, key: &DeviceKey) {
        self.present.insert(key.clone());
    }

    /// A registry was read to its end. Returns the devices that are gone: none that the user speaks of, or that was heard
    /// since the reading before, as one that has just been added. So nothing is gone at the first reading.
    pub fn end(
        &mut self,
        application: &ApplicationName,
        wholly: bool,
        now: Timestamp,
        (directory, settings): (&Directory, &Settings),
    ) -> Vec<DeviceKey> {
        let all = std::mem::take(&mut self.present);
        let (present, others): (HashSet<_>, _) = all.into_iter().partition(|key| key.application == *application);
        self.present = others;
        let before = self.read_at.insert(application.clone(), now).filter(|_| wholly);
        let Some(before) = before else { return Vec::new() };
        let known = directory.all().into_iter().filter(|device| device.key.application == *application);
        let silent = known.filter(|device| device.last_seen.is_none_or(|seen| seen < before));
        let keys = silent.map(|device| device.key.clone());
        keys.filter(|key| !present.contains(key) && settings.device(key).is_none()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::LiveSettings;
    use crate::model::{DeviceId, HomeName};

    #[test]
    fn who_is_listed_no_longer_is_gone_unless_it_was_heard_since() {
        let settings = LiveSettings::usual(1).now();
        let application = ApplicationName::parse("garden").unwrap();
        let key = |id: &str| DeviceKey::new(&application, DeviceId::parse(id).unwrap());
        let mut directory = Directory::default();
        for id in ["listed", "deleted", "silent", "added"] {
            directory.add(key(id), HomeName::parse(id).unwrap());
        }
        let at = |second| Timestamp::from_second(second).unwrap();
        directory.find_mut(&key("silent")).unwrap().last_seen = Some(at(9));
        directory.find_mut(&key("added")).unwrap().last_seen = Some(at(15));
        let mut roll = Roll::default();
        let mut read = |ids: &[&str], wholly, second| {
            ids.iter().for_each(|id| roll.list(&key(id)));
            roll.end(&application, wholly, at(second), (&directory, &settings))
        };
        assert!(read(&["listed"], true, 10).is_empty(), "the first reading");
        assert!(read(&[], false, 12).is_empty(), "the key may not list devices");
        let gone: HashSet<_> = read(&["listed"], true, 20).into_iter().collect();
        assert_eq!(gone, HashSet::from([key("deleted"), key("silent")]));
    }
}
