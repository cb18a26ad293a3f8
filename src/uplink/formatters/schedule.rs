//! Which device's formatter is asked for next, and when. Decides only: time is an argument.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Wanted;
use crate::model::{DeviceId, VersionIds};

/// The devices of one application that have no better codec.
#[derive(Debug, Default)]
pub struct Schedule {
    devices: HashMap<DeviceId, Entry>,
    /// Nothing is asked before.
    resumes: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    version_ids: Option<VersionIds>,
    due: Instant,
}

impl Schedule {
    /// A device has no better codec: it is due, unless it was asked for before and is still what it was.
    pub fn want(&mut self, wanted: Wanted, now: Instant) {
        let Wanted { device, version_ids } = wanted;
        match self.devices.get_mut(&device) {
            // Its first messages may not say what it is.
            Some(known) if version_ids.is_none() || known.version_ids == version_ids => {}
            Some(known) => *known = Entry { version_ids, due: now },
            None => drop(self.devices.insert(device, Entry { version_ids, due: now })),
        }
    }

    /// When the next device may be asked for.
    pub fn next_time(&self) -> Option<Instant> {
        let first = self.devices.values().map(|entry| entry.due).min()?;
        Some(self.resumes.map_or(first, |resumes| first.max(resumes)))
    }

    /// The device that has been due for longest.
    pub fn next(&self, now: Instant) -> Option<Wanted> {
        self.next_time().filter(|at| *at <= now)?;
        let (device, entry) = self.devices.iter().min_by_key(|(device, entry)| (entry.due, *device))?;
        Some(Wanted { device: device.clone(), version_ids: entry.version_ids.clone() })
    }

    /// It was asked for: not again before `due`, unless it turns out to be something else than what was `asked`.
    pub fn asked(&mut self, asked: &Wanted, due: Instant) {
        if let Some(entry) = self.devices.get_mut(&asked.device).filter(|it| it.version_ids == asked.version_ids) {
            entry.due = due;
        }
    }

    /// It has a better codec now.
    pub fn forget(&mut self, device: &DeviceId) {
        self.devices.remove(device);
    }

    /// Nothing is asked for so long.
    pub fn pause(&mut self, now: Instant, pause: Duration) {
        self.resumes = Some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(device: &str, model: Option<&str>) -> Wanted {
        let version_ids = model.map(|model| VersionIds { model_id: model.into(), ..VersionIds::default() });
        Wanted { device: DeviceId::parse(device).unwrap(), version_ids }
    }

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_device_is_asked_for_once_and_again_when_it_is_due() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert_eq!(schedule.next_time(), None);
        schedule.want(wanted("node", None), now);
        let asked = schedule.next(now).unwrap();
        schedule.asked(&asked, now + DAY);
        schedule.want(wanted("node", None), now + DAY / 2);
        assert_eq!((schedule.next(now + DAY / 2), schedule.next_time()), (None, Some(now + DAY)));
        assert_eq!(schedule.next(now + DAY), Some(asked));
        schedule.forget(&wanted("node", None).device);
        assert_eq!(schedule.next(now + DAY), None);
    }

    #[test]
    fn a_device_that_is_something_else_than_it_was_is_due_at_once() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.want(wanted("node", None), now);
        let asked = schedule.next(now).unwrap();
        schedule.want(wanted("node", Some("thermo")), now);
        schedule.asked(&asked, now + DAY);
        assert_eq!(schedule.next(now), Some(wanted("node", Some("thermo"))), "what it is came while it was asked for");
        schedule.asked(&wanted("node", Some("thermo")), now + DAY);
        schedule.want(wanted("node", None), now);
        assert_eq!(schedule.next(now), None, "a message without it says nothing new");
    }

    #[test]
    fn the_one_due_for_longest_is_next_and_a_pause_is_for_all() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        let second = Duration::from_secs(1);
        schedule.want(wanted("late", None), now + second);
        schedule.want(wanted("early", None), now);
        schedule.pause(now, second * 10);
        assert_eq!((schedule.next(now + second), schedule.next_time()), (None, Some(now + second * 10)));
        assert_eq!(schedule.next(now + second * 10), Some(wanted("early", None)));
    }
}
