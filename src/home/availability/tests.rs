//! One device before a network that is listened to, or not.

use super::*;
use crate::home::{AvailabilityConfig, HomeAssistantConfig, HomeConfig};
use crate::model::DeviceId;

pub const FACTOR: f64 = 3.0;
pub const FLOOR: u64 = 600;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A device, and everything that is told of it. Times are in seconds since the start.
pub struct World {
    all: Availability,
    settings: Settings,
}

impl World {
    pub fn new() -> Self {
        Self::with(DeviceConfig::default())
    }

    fn with(device: DeviceConfig) -> Self {
        let mut world = Self { all: Availability::default(), settings: settings(device) };
        world.connected(0, true);
        world
    }

    /// Goes on with what was saved, in another process whose time begins anew.
    fn restarted(mut self) -> Self {
        let saved = self.all.take_unsaved();
        let saved = saved.iter().find(|(of, _)| *of == key()).map(|(_, saved)| saved.as_str());
        let mut world = Self::with(DeviceConfig::default());
        world.all.restore(key(), saved, &world.settings);
        world.connected(0, true);
        world
    }

    fn connected(&mut self, second: u64, connected: bool) {
        self.all.listens(&key().application, connected, seconds(second), &self.settings);
    }

    pub fn up(&mut self, second: u64, session: u32, f_cnt: u32) {
        self.up_at(second, second as i64, session, f_cnt, false);
    }

    /// An uplink at another time by the network's clock.
    pub fn up_at(&mut self, second: u64, at: i64, session: u32, f_cnt: u32, backfilled: bool) {
        let session_key_id = Some(session.to_string());
        let uplink = Uplink { session_key_id, backfilled, ..*Uplink::sample("node", f_cnt, at) };
        self.all.hear(&uplink, seconds(second), &self.settings);
    }

    /// Uplinks every so many seconds, from then on; returns when the last one was.
    fn regular(&mut self, from: u64, every: u64, count: u32) -> u64 {
        let first = self.next_f_cnt();
        (0..count).for_each(|n| self.up(from + u64::from(n) * every, 0, first + n));
        from + u64::from(count - 1) * every
    }

    fn next_f_cnt(&self) -> u32 {
        self.all.devices.get(&key()).map_or(0, |device| device.rhythm.next_f_cnt())
    }

    /// Whether it still counts as there when so many seconds have gone by.
    pub fn is_online_until(&mut self, second: u64) -> bool {
        self.all.pass(seconds(second));
        self.all.devices.get(&key()).is_some_and(|device| device.online)
    }

    /// In seconds.
    pub fn patience(&self) -> u64 {
        self.all.devices[&key()].patience.expect("it is not configured to be online for ever").as_secs()
    }

    fn interval(&self) -> Option<u64> {
        self.all.interval(&key(), &self.settings).map(|interval| interval.as_secs())
    }

    fn attribute(&mut self, text: &str) {
        let attributes = BTreeMap::from([("ferry-interval".to_owned(), text.to_owned())]);
        self.all.attributes(&key(), &attributes, &self.settings);
    }

    fn told(&mut self) -> Option<Heard> {
        self.all.take_untold(&key())
    }
}

fn settings(device: DeviceConfig) -> Settings {
    let availability = AvailabilityConfig { factor: FACTOR, floor: seconds(FLOOR) };
    let (home, assistant) = (HomeConfig::default(), HomeAssistantConfig::default());
    Settings::new(&home, &assistant, availability, [(key(), &device)], 1).unwrap()
}

fn key() -> DeviceKey {
    DeviceKey::new(&ApplicationName::parse("app").unwrap(), DeviceId::parse("node").unwrap())
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn a_device_is_offline_until_it_is_heard_and_then_three_intervals_after_it_stops() {
    let mut world = World::new();
    world.all.meet(&key());
    assert_eq!(world.told(), Some(Heard { online: false, silent: None }));
    let last = world.regular(100, 1200, 10);
    assert_eq!(world.told(), Some(Heard { online: true, silent: None }), "its first uplink is no return");
    assert!(world.is_online_until(last + 3599) && !world.is_online_until(last + 3600));
    assert_eq!(world.told(), Some(Heard { online: false, silent: Some(seconds(3600)) }));
    world.up(last + 5000, 0, 10);
    assert_eq!(world.told(), Some(Heard { online: true, silent: Some(seconds(5000)) }));
    assert_eq!((world.told(), world.interval()), (None, Some(1200)));
}

#[test]
fn before_anything_is_known_a_day_is_not_too_long() {
    let mut world = World::new();
    let last = world.regular(0, 60, 3);
    assert_eq!(world.interval(), None);
    assert!(world.is_online_until(last + 25 * HOUR - 1) && !world.is_online_until(last + 25 * HOUR));
    let mut daily = World::new();
    assert!((0..10).all(|day| {
        let was_there = day == 0 || daily.is_online_until(day * DAY);
        daily.up(day * DAY, 0, day as u32);
        was_there
    }));
}

#[test]
fn a_button_pressed_five_times_does_not_make_two_seconds_the_interval() {
    let mut world = World::new();
    let mut last = 0;
    for n in 1..20 {
        world.regular(n * 1800, 2, 5);
        last = n * 1800 + 8;
    }
    let interval = world.interval().unwrap();
    assert!((1700..=1800).contains(&interval), "{interval}");
    assert!(world.is_online_until(last + 5000) && !world.is_online_until(last + 3 * 1800));
}

#[test]
fn a_device_without_a_rhythm_is_given_more_than_a_day() {
    let mut world = World::new();
    // A door that is opened by chance, once an hour on average.
    let (mut at, mut chance) = (0, 1_u64);
    for f_cnt in 0..60 {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        at += (-3600.0 * ((chance >> 11) as f64 / (1_u64 << 53) as f64).ln()) as u64;
        world.up(at, 0, f_cnt);
    }
    assert_eq!(world.interval(), None);
    assert!(world.is_online_until(at + DAY) && !world.is_online_until(at + 5 * DAY));
}

#[test]
fn on_a_bad_link_as_many_lost_frames_as_are_usual_there_make_nobody_offline() {
    let (mut world, mut flapped) = (World::new(), Vec::new());
    for n in 0..1000_u32 {
        // Four in a row are lost twice a day.
        if n % 72 >= 4 {
            let at = u64::from(n) * 600;
            if n > 4 && !world.is_online_until(at) {
                flapped.push(n / 144);
            }
            world.up(at, 0, n);
        }
    }
    assert!(!flapped.is_empty() && flapped.iter().all(|day| *day < 2), "{flapped:?}");
    assert_eq!(world.interval(), Some(600));
}

#[test]
fn a_device_that_is_told_to_report_more_rarely_is_understood_after_three_uplinks() {
    let (mut world, mut flapped) = (World::new(), 0);
    let mut at = world.regular(0, 600, 100);
    for f_cnt in 100..140 {
        at += 2 * HOUR;
        flapped += u32::from(!world.is_online_until(at));
        world.up(at, 0, f_cnt);
    }
    assert!(flapped <= 3, "{flapped} times");
    assert_eq!(world.interval(), Some(2 * HOUR));
}

#[test]
fn one_long_outage_is_no_habit() {
    let mut world = World::new();
    let at = world.regular(0, 600, 500);
    let last = world.regular(at + 7 * DAY, 600, 4);
    assert!(!world.is_online_until(last + 1801));
    assert_eq!(world.interval(), Some(600));
}

#[test]
fn no_silence_counts_while_nobody_listens_and_the_next_uplink_has_its_time() {
    let mut world = World::new();
    let last = world.regular(0, 1200, 10);
    world.connected(last + 3000, false);
    assert!(world.is_online_until(last + DAY));
    // Until it was lost 3000 of 3600 s had gone by; now two intervals are left.
    world.connected(last + DAY, true);
    assert!(world.is_online_until(last + DAY + 2399) && !world.is_online_until(last + DAY + 2400));
    let silent = world.told().unwrap().silent;
    assert_eq!(silent, Some(seconds(3000 + 2400)), "what was not listened to is no silence");
}

#[test]
fn of_an_application_that_was_never_connected_no_device_goes() {
    let mut world = World::new().restarted();
    world.connected(0, false);
    assert!(world.is_online_until(100 * DAY));
}

#[test]
fn what_was_learned_and_who_was_gone_outlives_the_process() {
    let mut world = World::new();
    world.regular(0, 1200, 10);
    let mut world = world.restarted();
    assert_eq!(world.told(), Some(Heard { online: true, silent: None }));
    assert!(world.is_online_until(3599) && !world.is_online_until(3600), "its silence began with this process");
    let mut world = world.restarted();
    assert_eq!(world.told(), Some(Heard { online: false, silent: None }));
    assert!(!world.is_online_until(10));
    world.up_at(20, 100_000, 0, 10, false);
    assert_eq!(world.told(), Some(Heard { online: true, silent: Some(seconds(100_000 - 9 * 1200)) }));
}

#[test]
fn a_device_of_which_only_the_state_was_saved_counts_as_there() {
    for saved in [None, Some("nonsense")] {
        let mut world = World::new();
        world.all.restore(key(), saved, &world.settings);
        assert!(world.is_online_until(25 * HOUR - 1) && !world.is_online_until(25 * HOUR), "{saved:?}");
    }
}

#[test]
fn what_was_fetched_says_nothing_about_now() {
    let mut world = World::new();
    (0..10).for_each(|n| world.up_at(0, i64::from(n) * 600, 0, n, true));
    assert!(!world.is_online_until(0));
    assert_eq!(world.interval(), Some(600), "but it is history to learn from");
    world.up(6000, 0, 10);
    (0..10).for_each(|n| world.up_at(6000, i64::from(n) * 600 + 7, 0, n, true));
    assert!(!world.is_online_until(6000 + 1800), "older ones teach nothing");
}

#[test]
fn a_clock_of_the_network_that_is_set_forward_and_back_does_no_harm() {
    let mut world = World::new();
    let year = 366 * DAY as i64;
    for n in 0..40_u32 {
        let second = u64::from(n) * 600;
        let wrong = if (10..15).contains(&n) { year } else { 0 };
        world.up_at(second, second as i64 + wrong, 0, n, false);
    }
    assert_eq!(world.interval(), Some(600));
    assert!(!world.is_online_until(39 * 600 + 1800));
}

#[test]
fn a_join_is_a_sign_of_life() {
    let mut world = World::new();
    let last = world.regular(0, 1200, 10);
    assert!(!world.is_online_until(last + DAY));
    world.all.sign_of_life(&key(), Timestamp::from_second((last + DAY) as i64).unwrap(), seconds(last + DAY));
    assert!(world.is_online_until(last + DAY));
}

#[test]
fn the_configuration_goes_before_the_attribute_and_that_before_what_was_learned() {
    let mut world = World::new();
    let last = world.regular(0, 1200, 10);
    world.attribute("1h");
    assert_eq!(world.interval(), Some(HOUR));
    assert!(world.is_online_until(last + 3 * HOUR - 1) && !world.is_online_until(last + 3 * HOUR));
    for wrong in ["soon", "0s", "2 years", "-1h"] {
        world.attribute(wrong);
        assert_eq!(world.interval(), Some(1200), "{wrong}");
    }
    let interval = Some(seconds(7200));
    world.settings = settings(DeviceConfig { interval, ..DeviceConfig::default() });
    world.attribute("1h");
    assert_eq!((world.interval(), world.patience()), (Some(7200), 3 * 7200));
}

#[test]
fn new_settings_bring_back_whom_the_old_ones_gave_up() {
    let mut world = World::new();
    let last = world.regular(0, 1200, 10);
    assert!(!world.is_online_until(last + 4000));
    for (offline_after, online) in [(5000, true), (1000, false), (0, true)] {
        let device = DeviceConfig { offline_after: Some(seconds(offline_after)), ..DeviceConfig::default() };
        world.settings = settings(device);
        world.all.reconsider(seconds(last + 4000), &world.settings);
        assert_eq!(world.is_online_until(last + 4000), online, "{offline_after} s");
    }
    assert!(world.is_online_until(last + 1000 * DAY), "never");
}

#[test]
fn a_broker_without_its_memory_is_told_everything_again_and_news_stays_news() {
    let mut world = World::new();
    let last = world.regular(0, 1200, 10);
    world.told();
    world.is_online_until(last + 3600);
    world.all.renew();
    assert_eq!(world.all.untold(), [key()]);
    assert_eq!(world.told(), Some(Heard { online: false, silent: Some(seconds(3600)) }));
    world.all.renew();
    assert_eq!(world.told(), Some(Heard { online: false, silent: None }));
}
