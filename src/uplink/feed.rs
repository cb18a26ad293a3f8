//! What is recorded and not yet on its way: strictly in the order of arrival, and never much of it in memory.
//!
//! ```text
//! push ──▶ waiting (memory) ──▶ next ──▶ in flight ── settled ──▶ gone
//!    └───▶ only on disk ──▶ read back ─▲
//! ```
//!
//! Beyond what memory may hold, messages stay on disk alone, and so does everything after them, until all of it has been
//! read back: nothing overtakes. Pure: the flow moves messages through it.

use std::collections::VecDeque;

/// Most messages parsed and waiting.
const MOST_WAITING: usize = 512;
/// Most messages on their way to the home: fed and not settled.
pub const MOST_IN_FLIGHT: usize = 1024;

/// The way from the record to the codecs. Every message has a number; a later one has a higher one.
#[derive(Debug)]
pub struct Feed<T> {
    waiting: VecDeque<(u64, T)>,
    /// Everything up to here waits, was fed or is settled; what was recorded beyond is only on disk.
    known: u64,
    recorded: u64,
    committed: u64,
    fed: u64,
    in_flight: usize,
    most_waiting: usize,
    most_in_flight: usize,
}

impl<T> Feed<T> {
    /// `next` is the number for the next message; those below may be on disk.
    pub fn new(next: u64) -> Self {
        Self::with_limits(next, MOST_WAITING, MOST_IN_FLIGHT)
    }

    fn with_limits(next: u64, most_waiting: usize, most_in_flight: usize) -> Self {
        let last = next - 1;
        let waiting = VecDeque::new();
        Self { waiting, known: 0, recorded: last, committed: last, fed: 0, in_flight: 0, most_waiting, most_in_flight }
    }

    /// The number for the next message.
    pub fn next_seq(&self) -> u64 {
        self.recorded + 1
    }

    /// A message was recorded as [`Self::next_seq`].
    pub fn push(&mut self, message: T) {
        let seq = self.next_seq();
        if !self.is_behind() && self.waiting.len() < self.most_waiting {
            self.waiting.push_back((seq, message));
            self.known = seq;
        }
        self.recorded = seq;
    }

    /// Everything up to this number is on disk.
    pub fn committed(&mut self, seq: u64) {
        self.committed = self.committed.max(seq);
    }

    /// What is to be read back now: messages after a number, and how many at most.
    pub fn wanted(&self) -> Option<(u64, usize)> {
        let room = self.most_waiting - self.waiting.len();
        (self.is_behind() && room * 2 >= self.most_waiting).then_some((self.known, room))
    }

    /// A message was read back; `None` if it turned out to be none that can be fed.
    pub fn read(&mut self, seq: u64, message: Option<T>) {
        // What was shed while it was being read stays gone.
        if seq > self.known {
            self.known = seq;
            self.waiting.extend(message.map(|message| (seq, message)));
        }
    }

    /// There was nothing after the number asked for, when this one was the last recorded.
    pub fn read_all(&mut self, recorded: u64) {
        self.known = self.known.max(recorded);
    }

    /// The number of the newest message recorded.
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    /// The number of the newest message fed.
    pub fn fed(&self) -> u64 {
        self.fed
    }

    /// How many were fed and are not settled.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn has_next(&self) -> bool {
        self.in_flight < self.most_in_flight && self.waiting.front().is_some_and(|(seq, _)| *seq <= self.committed)
    }

    /// The next message to send on its way, and its number.
    pub fn take_next(&mut self) -> Option<(u64, T)> {
        let (seq, message) = if self.has_next() { self.waiting.pop_front()? } else { return None };
        self.fed = seq;
        self.in_flight += 1;
        Some((seq, message))
    }

    /// One of those in flight is settled.
    pub fn settled(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// What was not fed was deleted from the disk, up to this number but without it.
    pub fn shed(&mut self, first_left: u64) {
        while self.waiting.pop_front_if(|(seq, _)| *seq < first_left).is_some() {}
        self.known = self.known.max(first_left - 1);
    }

    /// Nothing waits, here or on disk, and nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty() && !self.is_behind()
    }

    fn is_behind(&self) -> bool {
        self.known < self.recorded
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Move {
        Record(usize),
        Commit,
        /// Asks the disk, if anything is wanted.
        Ask,
        /// The disk answers with so many at most.
        Answer(usize),
        Feed(usize),
        Settle(usize),
        Shed(u64),
        Restart,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            6 => (1usize..6).prop_map(Move::Record),
            4 => Just(Move::Commit),
            4 => Just(Move::Ask),
            4 => (1usize..9).prop_map(Move::Answer),
            6 => (1usize..6).prop_map(Move::Feed),
            4 => (0usize..4).prop_map(Move::Settle),
            1 => (0u64..5).prop_map(Move::Shed),
            1 => Just(Move::Restart),
        ];
        proptest::collection::vec(one, 0..200)
    }

    /// The disk, the home, and what passes between them.
    struct World {
        feed: Feed<u64>,
        disk: BTreeSet<u64>,
        in_flight: Vec<u64>,
        settled: BTreeSet<u64>,
        shed: BTreeSet<u64>,
        /// A question under way: what it found, and what had been recorded then.
        asked: Option<(Vec<u64>, u64)>,
    }

    impl World {
        fn restarted(disk: BTreeSet<u64>) -> Self {
            let next = disk.last().map_or(1, |last| last + 1);
            let feed = Feed::with_limits(next, 8, 6);
            Self { feed, disk, in_flight: vec![], settled: BTreeSet::new(), shed: BTreeSet::new(), asked: None }
        }

        fn ask(&mut self) {
            let Some((after, most)) = self.feed.wanted().filter(|_| self.asked.is_none()) else { return };
            let found = self.disk.range(after + 1..).take(most).copied().collect();
            self.asked = Some((found, self.feed.recorded()));
        }

        fn answer(&mut self, most: usize) {
            let Some((found, recorded)) = self.asked.take() else { return };
            if found.is_empty() {
                self.feed.read_all(recorded);
            }
            // Every seventh cannot be understood any more.
            for seq in found.into_iter().take(most) {
                self.feed.read(seq, (seq % 7 != 0).then_some(seq));
                if seq % 7 == 0 {
                    self.settled.insert(seq);
                }
            }
        }

        fn feed(&mut self) {
            let before = self.feed.fed();
            let Some((seq, message)) = self.feed.take_next() else { return };
            assert!(seq == message && seq > before && self.disk.contains(&seq), "{seq} after {before}");
            assert!(!self.shed.contains(&seq));
            self.in_flight.push(seq);
        }

        fn settle(&mut self, at: usize) {
            if !self.in_flight.is_empty() {
                let seq = self.in_flight.remove(at % self.in_flight.len());
                self.feed.settled();
                self.disk.remove(&seq);
                assert!(self.settled.insert(seq), "{seq} twice");
            }
        }

        fn shed(&mut self, count: u64) {
            let gone: Vec<_> = self.disk.range(self.feed.fed() + 1..).take(count as usize).copied().collect();
            for seq in &gone {
                self.disk.remove(seq);
                self.shed.insert(*seq);
            }
            if let Some(last) = gone.last() {
                let first_left = self.disk.range(last + 1..).next().copied();
                self.feed.shed(first_left.unwrap_or(self.feed.recorded() + 1));
            }
        }

        fn make(&mut self, one: Move) {
            match one {
                Move::Record(count) => (0..count).for_each(|_| {
                    let seq = self.feed.next_seq();
                    self.disk.insert(seq);
                    self.feed.push(seq);
                }),
                Move::Commit => self.feed.committed(self.feed.recorded()),
                Move::Ask => self.ask(),
                Move::Answer(most) => self.answer(most),
                Move::Feed(count) => (0..count).for_each(|_| self.feed()),
                Move::Settle(at) => self.settle(at),
                Move::Shed(count) => self.shed(count),
                Move::Restart => *self = Self::restarted(std::mem::take(&mut self.disk)),
            }
            assert!(self.feed.waiting.len() <= 8 && self.in_flight.len() <= 6);
        }
    }

    proptest! {
        /// Whatever comes in between, each message is fed once and in order, unless it was shed before; memory holds no
        /// more than it may.
        #[test]
        fn nothing_is_lost_and_nothing_overtakes(moves in moves()) {
            let mut world = World::restarted(BTreeSet::new());
            for one in moves {
                world.make(one);
            }
            world.make(Move::Commit);
            for _ in 0..2000 {
                world.ask();
                world.answer(3);
                world.feed();
                world.settle(0);
            }
            prop_assert!(world.feed.is_idle());
            let unread: Vec<_> = world.disk.iter().filter(|seq| *seq % 7 != 0).collect();
            prop_assert!(unread.is_empty(), "{:?}", unread);
        }
    }

    #[test]
    fn what_is_not_on_disk_is_not_fed() {
        let mut feed = Feed::new(1);
        feed.push("a");
        assert_eq!(feed.take_next(), None);
        feed.committed(1);
        assert_eq!(feed.take_next(), Some((1, "a")));
        assert!(!feed.is_idle());
        feed.settled();
        assert!(feed.is_idle());
    }

    #[test]
    fn after_a_restart_what_is_on_disk_goes_before_what_arrives() {
        let mut feed = Feed::new(8);
        feed.push("new");
        assert_eq!(feed.wanted(), Some((0, MOST_WAITING)));
        feed.read(5, Some("old"));
        feed.read(8, Some("new"));
        feed.committed(8);
        assert_eq!((feed.take_next(), feed.take_next(), feed.wanted()), (Some((5, "old")), Some((8, "new")), None));
    }
}
