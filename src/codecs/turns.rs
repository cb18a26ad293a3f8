//! Uplinks of one device keep their order, although another codec may take them to another lane.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::DeviceKey;

/// Devices remembered before those with nothing under way are forgotten.
const MOST: usize = 1024;

/// Which lane a device's uplinks take: its codec's, but not before those under way in another have come back.
#[derive(Debug, Default)]
pub struct Turns(HashMap<DeviceKey, Held>);

/// Held by an uplink until it is back from its lane.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "it counts by being there")] Arc<()>);

#[derive(Debug)]
struct Held {
    lane: usize,
    under_way: Arc<()>,
}

impl Turns {
    /// The lane for the next uplink of a device whose codec has its home in the lane `wanted`.
    pub fn take(&mut self, device: &DeviceKey, wanted: usize) -> (usize, Turn) {
        if !self.0.contains_key(device) {
            if self.0.len() >= MOST {
                self.0.retain(|_, held| !held.is_free());
            }
            self.0.insert(device.clone(), Held { lane: wanted, under_way: Arc::default() });
        }
        let held = self.0.get_mut(device).expect("it was put there if it was missing");
        if held.is_free() {
            held.lane = wanted;
        }
        (held.lane, Turn(held.under_way.clone()))
    }
}

impl Held {
    /// Whether nothing is under way. Exclusive access also orders what follows behind the last one's return.
    fn is_free(&mut self) -> bool {
        Arc::get_mut(&mut self.under_way).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Uplink;

    #[test]
    fn a_device_changes_its_lane_when_nothing_is_under_way() {
        let (mut turns, key) = (Turns::default(), Uplink::sample("node", 1, 0).key);
        let (lane, first) = turns.take(&key, 1);
        let (same, second) = turns.take(&key, 2);
        assert_eq!((lane, same), (1, 1));
        drop(first);
        assert_eq!(turns.take(&key, 2).0, 1, "the second is still there");
        drop(second);
        assert_eq!(turns.take(&key, 2).0, 2);
    }

    #[test]
    fn devices_with_nothing_under_way_are_forgotten() {
        let mut turns = Turns::default();
        let key = |number: usize| Uplink::sample(&format!("node-{number}"), 1, 0).key;
        let (_, turn) = turns.take(&key(0), 3);
        (1..=2 * MOST).for_each(|number| drop(turns.take(&key(number), 1)));
        assert!(turns.0.len() <= MOST);
        assert_eq!(turns.take(&key(0), 1).0, 3);
        drop(turn);
    }
}
