//! The second step: has this uplink been here before, and is one before it missing?

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use crate::model::{DeviceKey, Uplink};

/// Uplinks remembered per device. The network retries within seconds, so a few are enough.
const REMEMBERED: usize = 32;

/// Remembers what came, in memory, for as long as the process lives.
#[derive(Debug, Default)]
pub struct Record {
    devices: HashMap<DeviceKey, Seen>,
}

/// What is remembered of one device.
#[derive(Debug, Default)]
struct Seen {
    /// Fingerprints of the last uplinks' ids.
    recent: VecDeque<u64>,
    /// The session, the highest counter in it, and that uplink's time.
    last: Option<(String, u32, Timestamp)>,
}

/// What the memory says of an uplink.
#[derive(Debug, PartialEq, Eq)]
pub enum Memory {
    New,
    /// New, and so many frames of its session before it never came.
    NewAfterGap {
        missing: u32,
    },
    /// A copy of one that came before.
    Duplicate,
}

impl Record {
    /// Compares an uplink with what came before, and remembers it.
    pub fn note(&mut self, uplink: &Uplink) -> Memory {
        let seen = self.devices.entry(uplink.key.clone()).or_default();
        let id = fingerprint(uplink);
        if seen.recent.contains(&id) {
            return Memory::Duplicate;
        }
        if seen.recent.len() == REMEMBERED {
            seen.recent.pop_front();
        }
        seen.recent.push_back(id);
        match seen.count(uplink) {
            0 => Memory::New,
            missing => Memory::NewAfterGap { missing },
        }
    }
}

impl Seen {
    /// Frames missing between this uplink and the last one of the same session. A new session starts anew, and so does
    /// a counter that falls as time goes on: an ABP device whose battery was changed keeps its session.
    fn count(&mut self, uplink: &Uplink) -> u32 {
        let Some(session) = &uplink.session_key_id else { return 0 };
        match &mut self.last {
            Some((last, f_cnt, at)) if last == session && uplink.f_cnt > *f_cnt => {
                let missing = uplink.f_cnt - *f_cnt - 1;
                (*f_cnt, *at) = (uplink.f_cnt, uplink.at);
                missing
            }
            // One that was overtaken.
            Some((last, _, at)) if last == session && uplink.at <= *at => 0,
            last => {
                *last = Some((session.clone(), uplink.f_cnt, uplink.at));
                0
            }
        }
    }
}

/// 64 bits of the id and the time: enough to tell the last few uplinks of one device apart. A true copy was received at
/// the same time; the same counter at another time is a counter that started again within its session.
fn fingerprint(uplink: &Uplink) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one((&uplink.id, uplink.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_starts_again_within_its_session_is_neither_a_copy_nor_a_gap() {
        let mut record = Record::default();
        for (f_cnt, second) in [(0, 1), (1, 2), (0, 10), (1, 11)] {
            assert_eq!(record.note(&Uplink::sample("node", f_cnt, second)), Memory::New, "{f_cnt} at {second}");
        }
        assert_eq!(record.note(&Uplink::sample("node", 1, 11)), Memory::Duplicate);
        assert_eq!(record.note(&Uplink::sample("node", 4, 12)), Memory::NewAfterGap { missing: 2 });
    }

    fn note(record: &mut Record, device: &str, f_cnt: u32) -> Memory {
        record.note(&Uplink::sample(device, f_cnt, 0))
    }

    #[test]
    fn a_copy_is_known_even_if_others_came_between() {
        let mut record = Record::default();
        assert_eq!(note(&mut record, "node", 1), Memory::New);
        assert_eq!(note(&mut record, "node", 2), Memory::New);
        assert_eq!(note(&mut record, "node", 1), Memory::Duplicate);
        assert_eq!(note(&mut record, "other", 1), Memory::New, "another device's");
    }

    #[test]
    fn a_gap_is_counted_once_and_a_late_frame_is_none() {
        let mut record = Record::default();
        note(&mut record, "node", 1);
        assert_eq!(note(&mut record, "node", 5), Memory::NewAfterGap { missing: 3 });
        assert_eq!(note(&mut record, "node", 3), Memory::New, "it was only late");
        assert_eq!(note(&mut record, "node", 6), Memory::New);
        assert_eq!(note(&mut record, "node", u32::MAX), Memory::NewAfterGap { missing: u32::MAX - 7 });
        assert_eq!(note(&mut record, "node", 0), Memory::New);
    }

    #[test]
    fn a_new_session_and_simulated_traffic_have_no_gap() {
        let mut record = Record::default();
        note(&mut record, "node", 1);
        let mut joined = Uplink::sample("node", 40, 0);
        (joined.session_key_id, joined.id) = (Some("t".into()), "t/40".into());
        assert_eq!(record.note(&joined), Memory::New);
        let mut simulated = Uplink::sample("node", 90, 0);
        (simulated.session_key_id, simulated.id) = (None, "simulated".into());
        assert_eq!(record.note(&simulated), Memory::New);
    }

    #[test]
    fn no_more_is_remembered_of_a_device_than_needed() {
        let mut record = Record::default();
        for f_cnt in 0..=REMEMBERED as u32 {
            note(&mut record, "node", f_cnt);
        }
        assert_eq!(record.devices.values().map(|seen| seen.recent.len()).max(), Some(REMEMBERED));
        assert_eq!(note(&mut record, "node", 1), Memory::Duplicate);
        assert_eq!(note(&mut record, "node", 0), Memory::New, "forgotten");
    }
}
