//! The newest frames, by their numbers, and what one who reads them at his own pace gets. Pure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::filter::Filter;
use super::frame::Frame;

/// Frames kept at most.
pub const MOST_FRAMES: usize = 2_000;
/// What they take at most, in bytes; one is kept in any case.
pub const MOST_BYTES: usize = 4 << 20;

/// The newest frames. Their numbers rise by one.
#[derive(Debug)]
pub struct Ring {
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
    /// The number of the frame to come.
    next: u64,
}

/// What somebody who listens gets.
#[derive(Debug, Clone)]
pub enum Piece {
    Frame(Arc<Frame>),
    /// What was told from the first to the last of these numbers will not come any more.
    Missed {
        from: u64,
        to: u64,
    },
}

impl Ring {
    /// One whose first frame will have this number.
    pub fn starting_at(first: u64) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, next: first.max(1) }
    }

    /// Takes the frame that is made for the next number. The oldest ones give way.
    pub fn push(&mut self, make: impl FnOnce(u64) -> Frame) -> u64 {
        let (number, frame) = (self.next, make(self.next));
        self.next += 1;
        self.bytes += frame.weight();
        self.frames.push_back(Arc::new(frame));
        while self.frames.len() > MOST_FRAMES || (self.bytes > MOST_BYTES && self.frames.len() > 1) {
            self.bytes -= self.frames.pop_front().map_or(0, |frame| frame.weight());
        }
        number
    }

    /// The number of the last frame told.
    pub fn newest(&self) -> u64 {
        self.next - 1
    }

    /// The number of the oldest frame that can be had; of the next one to come, if there is none.
    pub fn oldest(&self) -> u64 {
        self.next - self.frames.len() as u64
    }

    /// All frames, oldest first.
    pub fn frames(&self) -> impl DoubleEndedIterator<Item = &Arc<Frame>> {
        self.frames.iter()
    }

    /// The first wanted piece at or after `cursor`, which moves behind it. One whose frames are gone, or who has been
    /// with another bridge, is told so, and goes on from now.
    pub fn read(&self, cursor: &mut u64, filter: &Filter) -> Option<Piece> {
        let newest = self.newest();
        if !(self.oldest()..=self.next).contains(cursor) {
            let from = std::mem::replace(cursor, self.next).min(newest);
            return Some(Piece::Missed { from, to: newest });
        }
        let told = (*cursor - self.oldest()) as usize;
        let wanted = self.frames.range(told..).find(|frame| filter.lets_pass(frame));
        *cursor = wanted.map_or(self.next, |frame| frame.number + 1);
        wanted.cloned().map(Piece::Frame)
    }
}
