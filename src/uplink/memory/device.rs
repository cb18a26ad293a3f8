//! The runs of one device, in the order of session, epoch and counter.

use std::ops::Range;

use jiff::{SignedDuration, Timestamp};

use super::{Known, What};
use crate::model::{DeviceKey, Uplink};
use crate::network::{MissingFrames, Span};
use crate::store::{Run, RunChange};

/// Runs kept of one device. Beyond that the oldest is forgotten, and what is as old as it counts as received.
const MOST_RUNS: usize = 64;
/// How much older than the frame before it a frame may look: gateways' clocks and roads differ.
const MOST_EARLY: SignedDuration = SignedDuration::from_secs(30);
/// How much younger than the frame after it. Short: a device that began again looks just like that.
const MOST_LATE: SignedDuration = SignedDuration::from_secs(2);
/// Two frames of one counter and session within this time are one: a device must listen for a second or more before it
/// may send again (LoRaWAN 1.0.3, 3.3). A copy from the network's storage may have lost the gateways' times, or digits of
/// them.
const SAME_TRANSMISSION: SignedDuration = SignedDuration::from_millis(900);
/// Stands for "no session": simulated traffic.
const NO_SESSION: &str = "";

/// What was received of one device.
#[derive(Debug, Default)]
pub struct Device {
    runs: Vec<Run>,
    /// Runs that ended by then were forgotten.
    forgotten: Option<Timestamp>,
    /// Frames missing between runs of which one was forgotten.
    lost_before: u64,
}

/// What tells one uplink of a device from its others.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    session: &'a str,
    counter: u32,
    at: Timestamp,
    received_at: Timestamp,
}

/// Where a frame belongs.
enum Place {
    /// Into this run: it was received.
    Inside(usize),
    /// Before the run with this index, in this epoch.
    Fits { before: usize, epoch: u32 },
    /// Into no epoch there is.
    Nowhere,
}

impl<'a> Frame<'a> {
    /// A simulated uplink has no session, and may name any time of reception: what is its own is when the application
    /// server had it.
    pub fn of(uplink: &'a Uplink) -> Self {
        let session = uplink.session_key_id.as_deref().filter(|_| !uplink.simulated).unwrap_or(NO_SESSION);
        let at = if session == NO_SESSION { uplink.received_at } else { uplink.at };
        Self { session, counter: uplink.f_cnt, at, received_at: uplink.received_at }
    }

    fn run(&self, epoch: u32) -> Run {
        let Self { session, counter, at, received_at } = *self;
        Run { session: session.into(), epoch, first: counter, last: counter, first_at: at, last_at: at, received_at }
    }
}

impl Device {
    /// Takes a stored run; [`Self::restored`] follows the last one.
    pub fn restore(&mut self, run: Run) {
        self.runs.push(run);
    }

    pub fn restored(&mut self) {
        self.runs.sort_by(|a, b| (&a.session, a.epoch, a.first).cmp(&(&b.session, b.epoch, b.first)));
        if self.runs.len() >= MOST_RUNS {
            self.forgotten = self.runs.iter().map(|run| run.last_at).min();
        }
    }

    pub fn note(&mut self, key: &DeviceKey, frame: &Frame<'_>, changes: &mut Vec<RunChange>) -> What {
        match self.place(frame) {
            Place::Inside(_) => What::Duplicate,
            _ if self.forgotten.is_some_and(|until| frame.at <= until) => What::Duplicate,
            Place::Fits { before, epoch } => {
                let missing_before = self.missing_below(before, frame, epoch);
                self.insert(key, before, frame, epoch, changes);
                What::New { missing_before }
            }
            Place::Nowhere => {
                self.begin(key, frame, changes);
                What::New { missing_before: 0 }
            }
        }
    }

    pub fn look(&self, frame: &Frame<'_>) -> Known {
        let Place::Inside(index) = self.place(frame) else { return Known::default() };
        let run = &self.runs[index];
        let before = self.run_before(index).filter(|_| run.first == frame.counter);
        let missing = before.map_or(0, |before| run.first - before.last - 1);
        Known { began_again: run.epoch > 0 && frame.session != NO_SESSION, missing_before: missing }
    }

    /// When the network had the last frame before the hole that lies before this one.
    pub fn hole_begins(&self, frame: &Frame<'_>) -> Option<Timestamp> {
        let Place::Inside(index) = self.place(frame) else { return None };
        self.run_before(index).map(|before| before.received_at)
    }

    fn run_before(&self, index: usize) -> Option<&Run> {
        let before = &self.runs[index.checked_sub(1)?];
        same_epoch(before, &self.runs[index]).then_some(before)
    }

    pub fn missing(&self, key: &DeviceKey, span: Span) -> impl Iterator<Item = MissingFrames> {
        let holes = self.runs.windows(2).filter(move |pair| {
            same_epoch(&pair[0], &pair[1]) && pair[0].last_at < span.before && pair[1].first_at > span.after
        });
        holes.map(|pair| MissingFrames {
            key: key.clone(),
            session_key_id: pair[0].session.clone(),
            first: pair[0].last + 1,
            last: pair[1].first - 1,
            after: pair[0].last_at,
            before: pair[1].first_at,
        })
    }

    /// Frames that are missing between those that were received, in every session that is remembered.
    pub fn lost(&self) -> u64 {
        let holes = self.runs.windows(2).filter(|pair| same_epoch(&pair[0], &pair[1]));
        self.lost_before + holes.map(|pair| u64::from(pair[1].first - pair[0].last - 1)).sum::<u64>()
    }

    pub fn heard_until(&self) -> Option<Timestamp> {
        self.runs.iter().map(|run| run.received_at).max()
    }

    /// Where a frame belongs; of several epochs it fits into, the one whose neighbouring frames are nearest in time.
    fn place(&self, frame: &Frame<'_>) -> Place {
        let (mut place, mut nearest, mut start) = (Place::Nowhere, SignedDuration::MAX, 0);
        for epoch in self.runs.chunk_by(same_epoch) {
            let range = start..start + epoch.len();
            start = range.end;
            if epoch[0].session != frame.session {
                continue;
            }
            let at = range.start + epoch.partition_point(|run| run.first <= frame.counter);
            if let Some(inside) = at.checked_sub(1).filter(|index| range.contains(index) && self.holds(*index, frame)) {
                return Place::Inside(inside);
            }
            if let Some(distance) = self.distance(range, at, frame).filter(|distance| *distance < nearest) {
                (place, nearest) = (Place::Fits { before: at, epoch: epoch[0].epoch }, distance);
            }
        }
        place
    }

    fn holds(&self, index: usize, frame: &Frame<'_>) -> bool {
        let run = &self.runs[index];
        let may = |is_edge: bool| {
            if is_edge && frame.session != NO_SESSION { SAME_TRANSMISSION } else { SignedDuration::ZERO }
        };
        let early = run.first_at.duration_since(frame.at) <= may(frame.counter == run.first);
        let late = frame.at.duration_since(run.last_at) <= may(frame.counter == run.last);
        frame.counter <= run.last && early && late
    }

    /// How far in time the frames before and after it are, if it fits between them. Simulated traffic has no order.
    fn distance(&self, epoch: Range<usize>, at: usize, frame: &Frame<'_>) -> Option<SignedDuration> {
        if frame.session == NO_SESSION {
            return None;
        }
        let before = at.checked_sub(1).filter(|index| epoch.contains(index)).map(|index| &self.runs[index]);
        let after = Some(at).filter(|index| epoch.contains(index)).map(|index| &self.runs[index]);
        let since = before.map(|run| frame.at.duration_since(run.last_at));
        let until = after.map(|run| run.first_at.duration_since(frame.at));
        let fits = before.is_none_or(|run| run.last < frame.counter)
            && since.is_none_or(|since| since >= -MOST_EARLY)
            && until.is_none_or(|until| until >= -MOST_LATE);
        since.into_iter().chain(until).map(|distance| distance.abs()).min().filter(|_| fits)
    }

    /// Frames between this one, if it is the newest of its epoch, and the one before it.
    fn missing_below(&self, at: usize, frame: &Frame<'_>, epoch: u32) -> u32 {
        let of_epoch = |run: &&Run| run.epoch == epoch && run.session == frame.session;
        let before = at.checked_sub(1).map(|index| &self.runs[index]).filter(of_epoch);
        let is_newest = self.runs.get(at).filter(of_epoch).is_none();
        before.filter(|_| is_newest).map_or(0, |before| frame.counter - before.last - 1)
    }

    /// Puts a frame right before the run with the index `at`, and joins it to the runs it touches.
    fn insert(&mut self, key: &DeviceKey, at: usize, frame: &Frame<'_>, epoch: u32, changes: &mut Vec<RunChange>) {
        let new = frame.run(epoch);
        let below = at.checked_sub(1).filter(|index| touches(&self.runs[*index], &new));
        let above = self.runs.get(at).is_some_and(|run| touches(&new, run));
        match (below, above) {
            (Some(below), _) => {
                self.runs[below].absorb(&new);
                if above {
                    let upper = self.runs.remove(at);
                    self.runs[below].absorb(&upper);
                    changes.push(removal(key, &upper));
                }
                changes.push(RunChange::Put(key.clone(), self.runs[below].clone()));
            }
            (None, true) => {
                changes.push(removal(key, &self.runs[at]));
                self.runs[at].absorb(&new);
                changes.push(RunChange::Put(key.clone(), self.runs[at].clone()));
            }
            (None, false) => self.add(key, at, new, changes),
        }
    }

    /// Opens a new epoch of the frame's session.
    fn begin(&mut self, key: &DeviceKey, frame: &Frame<'_>, changes: &mut Vec<RunChange>) {
        let at = self.runs.partition_point(|run| run.session.as_str() <= frame.session);
        let last = at.checked_sub(1).map(|index| &self.runs[index]).filter(|run| run.session == frame.session);
        let epoch = last.map_or(0, |run| run.epoch.saturating_add(1));
        self.add(key, at, frame.run(epoch), changes);
    }

    fn add(&mut self, key: &DeviceKey, at: usize, run: Run, changes: &mut Vec<RunChange>) {
        changes.push(RunChange::Put(key.clone(), run.clone()));
        self.runs.insert(at, run);
        if self.runs.len() > MOST_RUNS {
            self.forget_oldest(key, changes);
        }
    }

    fn forget_oldest(&mut self, key: &DeviceKey, changes: &mut Vec<RunChange>) {
        let oldest = self.runs.iter().enumerate().min_by_key(|(_, run)| run.last_at).map(|(index, _)| index);
        if let Some(oldest) = oldest {
            let lost = self.lost();
            let run = self.runs.remove(oldest);
            self.lost_before += lost.saturating_sub(self.lost());
            self.forgotten = self.forgotten.max(Some(run.last_at));
            changes.push(removal(key, &run));
        }
    }

    #[cfg(test)]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }
}

impl Run {
    /// Takes in a neighbour.
    fn absorb(&mut self, other: &Self) {
        (self.first, self.last) = (self.first.min(other.first), self.last.max(other.last));
        (self.first_at, self.last_at) = (self.first_at.min(other.first_at), self.last_at.max(other.last_at));
        self.received_at = self.received_at.max(other.received_at);
    }
}

fn same_epoch(a: &Run, b: &Run) -> bool {
    a.epoch == b.epoch && a.session == b.session
}

/// Whether `b` goes on where `a` ends.
fn touches(a: &Run, b: &Run) -> bool {
    same_epoch(a, b) && a.last.checked_add(1) == Some(b.first)
}

fn removal(key: &DeviceKey, run: &Run) -> RunChange {
    RunChange::Remove(key.clone(), run.session.clone(), run.epoch, run.first)
}
