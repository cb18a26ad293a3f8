//! Hands out blocks of one region of memory, and keeps all its own state inside that region.
//!
//! Blocks lie side by side from the state at the region's start up to `top`; what lies above `top` was never written
//! since the region's last image, or is garbage. Free blocks are merged with their neighbours and listed by size; the
//! last one falls back into the open space above `top`. Positions are offsets, so that a copy of the bytes is a copy of
//! the whole heap. QuickJS carves its small objects out of 4 KiB blocks itself and asks here for the large ones only.

use std::ptr::NonNull;

/// A block's header: its size with the header, in bytes, and the offset of the block before it.
const HEADER: usize = 16;
/// Sizes and offsets are multiples of this, which leaves the lowest bits of a size for flags.
const STEP: usize = 16;
/// A free block holds its links behind the header.
const SMALLEST: usize = 32;
const FREE: usize = 1;

/// Four lists for each power of two, from 32 bytes up.
const LISTS: usize = 128;

/// Words of the state at the region's start; each list of free blocks has one more word behind them.
const TOP: usize = 0;
const PEAK: usize = 8;
const LAST: usize = 16;
const FIRST_LIST: usize = 24;
const STATE: usize = (FIRST_LIST + 8 * LISTS).next_multiple_of(STEP);

/// Offset 0 is the state's, so it stands for "no block".
const NONE: usize = 0;

/// A heap in a region that somebody else owns.
#[derive(Clone, Copy)]
pub(super) struct Heap {
    start: NonNull<u8>,
    size: usize,
}

impl Heap {
    /// Begins a heap in a region.
    ///
    /// # Safety
    /// `start` is aligned to 16 and valid for reads and writes of `size` bytes for as long as this value or a copy of it
    /// is used; nobody else touches the region's first `size` bytes, other than through the blocks handed out, while a
    /// method runs; and methods of copies never run at the same time (a `Heap` is not `Send`).
    pub unsafe fn new(start: NonNull<u8>, size: usize) -> Self {
        let heap = Self { start, size: size / STEP * STEP };
        assert!(heap.size > STATE + SMALLEST, "a region of {size} bytes holds no heap");
        for word in (0..STATE).step_by(8) {
            heap.write(word, 0);
        }
        heap.write(TOP, STATE);
        heap.write(PEAK, STATE);
        heap
    }

    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The end of what is in use: bytes from here on mean nothing.
    pub fn top(&self) -> usize {
        self.read(TOP)
    }

    /// The highest that `top` was since the last call of [`Heap::begin_peak`].
    pub fn peak(&self) -> usize {
        self.read(PEAK)
    }

    /// Lets the peak begin at the top.
    pub fn begin_peak(&self) {
        self.write(PEAK, self.top());
    }

    /// A block of at least `size` bytes, aligned to 16; none if there is no room.
    pub fn allocate(&self, size: usize) -> Option<NonNull<u8>> {
        let size = block_size(size)?;
        let block = match self.find(size) {
            Some(block) => {
                self.unlist(block);
                self.write(block, self.size_of(block));
                block
            }
            None => self.extend(size)?,
        };
        self.trim(block, size);
        Some(self.payload(block))
    }

    /// How many bytes the block behind this pointer holds.
    ///
    /// # Safety
    /// [`Heap::allocate`] or [`Heap::resize`] of some heap handed it out, and it was not given back.
    pub unsafe fn usable(pointer: NonNull<u8>) -> usize {
        // SAFETY: every block handed out has its header right before it.
        let size = unsafe { pointer.cast::<usize>().byte_sub(HEADER).read() };
        (size & !FREE) - HEADER
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// This heap handed it out, and it was not given back; nobody uses it from here on.
    pub unsafe fn release(&self, pointer: NonNull<u8>) {
        let mut block = self.block(pointer);
        if let Some(next) = self.next(block).filter(|next| self.is_free(*next)) {
            self.unlist(next);
            self.join(block, next);
        }
        let before = self.read(block + 8);
        if before != NONE && self.is_free(before) {
            self.unlist(before);
            self.join(before, block);
            block = before;
        }
        if self.next(block).is_some() {
            self.list(block);
        } else {
            self.write(LAST, self.read(block + 8));
            self.write(TOP, block);
        }
    }

    /// The same block with room for `size` bytes, moved if it must be; none if there is no room (then it stays).
    ///
    /// # Safety
    /// As for [`Heap::release`]; and if a block comes back, only that one may be used from here on.
    pub unsafe fn resize(&self, pointer: NonNull<u8>, size: usize) -> Option<NonNull<u8>> {
        let block = self.block(pointer);
        let wanted = block_size(size)?;
        if wanted <= self.size_of(block) || self.grow(block, wanted) {
            self.trim(block, wanted);
            return Some(pointer);
        }
        let moved = self.allocate(size)?;
        // SAFETY: both blocks are ours and live, so they do not overlap; the new one is the larger.
        unsafe {
            moved.copy_from_nonoverlapping(pointer, Self::usable(pointer).min(size));
            self.release(pointer);
        }
        Some(moved)
    }

    /// Makes a block larger where it lies, out of the free block or the open space behind it.
    fn grow(&self, block: usize, wanted: usize) -> bool {
        match self.next(block) {
            Some(next) if self.is_free(next) && self.size_of(block) + self.size_of(next) >= wanted => {
                self.unlist(next);
                self.join(block, next);
                true
            }
            None => self.raise_top(block, wanted),
            Some(_) => false,
        }
    }

    /// A new block at the top.
    fn extend(&self, size: usize) -> Option<usize> {
        let block = self.top();
        let last = self.read(LAST);
        if !self.raise_top(block, size) {
            return None;
        }
        self.write(block + 8, last);
        self.write(LAST, block);
        Some(block)
    }

    /// Gives the block at the top this size, if there is room.
    fn raise_top(&self, block: usize, size: usize) -> bool {
        let Some(top) = block.checked_add(size).filter(|top| *top <= self.size) else { return false };
        self.write(block, size);
        self.write(TOP, top);
        self.write(PEAK, self.peak().max(top));
        true
    }

    /// Cuts a block in use down to `size` and gives the rest back.
    fn trim(&self, block: usize, size: usize) {
        let rest = self.size_of(block) - size;
        if rest < SMALLEST {
            return;
        }
        let (next, tail) = (self.next(block), block + size);
        self.write(block, size);
        self.write(tail, rest);
        self.write(tail + 8, block);
        self.write(next.map_or(LAST, |next| next + 8), tail);
        // SAFETY: the tail is a block of its own now, and nobody has seen it.
        unsafe { self.release(self.payload(tail)) };
    }

    /// A free block of at least this size.
    fn find(&self, size: usize) -> Option<usize> {
        let own = list_of(size);
        let mut block = self.read(list_word(own));
        // In the list of its own size a block may be a little too small; in any longer one each will do.
        for _ in 0..16 {
            if block == NONE || self.size_of(block) >= size {
                break;
            }
            block = self.read(block + HEADER);
        }
        if block != NONE && self.size_of(block) >= size {
            return Some(block);
        }
        (own + 1..LISTS).map(|list| self.read(list_word(list))).find(|block| *block != NONE)
    }

    fn list(&self, block: usize) {
        let list = list_word(list_of(self.size_of(block)));
        let first = self.read(list);
        self.write(block, self.size_of(block) | FREE);
        self.write(block + HEADER, first);
        self.write(block + HEADER + 8, NONE);
        if first != NONE {
            self.write(first + HEADER + 8, block);
        }
        self.write(list, block);
    }

    fn unlist(&self, block: usize) {
        let (next, before) = (self.read(block + HEADER), self.read(block + HEADER + 8));
        let list = list_word(list_of(self.size_of(block)));
        self.write(if before == NONE { list } else { before + HEADER }, next);
        if next != NONE {
            self.write(next + HEADER + 8, before);
        }
    }

    /// Makes one block of two neighbours; it counts as in use.
    fn join(&self, block: usize, next: usize) {
        let after = self.next(next);
        self.write(block, self.size_of(block) + self.size_of(next));
        self.write(after.map_or(LAST, |after| after + 8), block);
    }

    fn next(&self, block: usize) -> Option<usize> {
        let next = block + self.size_of(block);
        (next < self.top()).then_some(next)
    }

    fn is_free(&self, block: usize) -> bool {
        self.read(block) & FREE != 0
    }

    fn size_of(&self, block: usize) -> usize {
        self.read(block) & !FREE
    }

    fn payload(&self, block: usize) -> NonNull<u8> {
        // SAFETY: a block lies inside the region, header and all.
        unsafe { self.start.add(block + HEADER) }
    }

    fn block(&self, pointer: NonNull<u8>) -> usize {
        pointer.addr().get() - self.start.addr().get() - HEADER
    }

    fn read(&self, offset: usize) -> usize {
        debug_assert!(offset + 8 <= self.size);
        // SAFETY: offsets are those of the state or of blocks, so inside the region and aligned; `new` wrote the state,
        // and whoever makes a block writes its header (and its links, while it is free).
        unsafe { self.start.add(offset).cast::<usize>().read() }
    }

    fn write(&self, offset: usize, word: usize) {
        debug_assert!(offset + 8 <= self.size);
        // SAFETY: as for `read`; and by the promise of `new` nobody else holds a reference to these bytes.
        unsafe { self.start.add(offset).cast::<usize>().write(word) }
    }
}

/// What a block must measure to hold so many bytes.
fn block_size(size: usize) -> Option<usize> {
    Some(size.checked_add(HEADER)?.checked_next_multiple_of(STEP)?.max(SMALLEST))
}

/// The list that free blocks of this size are in: by the two bits behind the highest one.
fn list_of(size: usize) -> usize {
    let power = size.ilog2() as usize;
    ((power - 5) * 4 + (size >> (power - 2) & 3)).min(LISTS - 1)
}

fn list_word(list: usize) -> usize {
    FIRST_LIST + 8 * list
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: usize = 64 << 10;

    /// Aligned as a region is; a `u128` is so on machines of 64 bits only.
    #[repr(align(16))]
    struct Region([u8; SIZE]);

    /// A heap in memory of its own.
    fn with_heap(test: impl FnOnce(Heap)) {
        let mut memory = Box::new(Region([0; SIZE]));
        let start = NonNull::new(memory.0.as_mut_ptr()).unwrap();
        // SAFETY: the memory is ours, aligned and lives past the heap.
        test(unsafe { Heap::new(start, SIZE) });
        drop(memory);
    }

    /// Walks all blocks: neighbours agree with each other, and no two free ones lie side by side.
    fn check(heap: &Heap) {
        let (mut block, mut before, mut was_free) = (STATE, NONE, false);
        while block < heap.top() {
            assert_eq!(heap.read(block + 8), before);
            assert!(!(was_free && heap.is_free(block)));
            (was_free, before) = (heap.is_free(block), block);
            block += heap.size_of(block);
        }
        assert_eq!((block, heap.read(LAST), was_free), (heap.top(), before, false));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Allocate(usize),
        Release(usize),
        Resize(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let size = || prop_oneof![0usize..600, 600usize..9000];
        prop_oneof![
            size().prop_map(Step::Allocate),
            any::<usize>().prop_map(Step::Release),
            (any::<usize>(), size()).prop_map(|(which, size)| Step::Resize(which, size)),
        ]
    }

    /// Blocks in use, each filled with a byte of its own.
    struct Blocks(Vec<(NonNull<u8>, usize, u8)>);

    impl Blocks {
        fn take(&mut self, heap: &Heap, step: Step, mark: u8) {
            match step {
                Step::Allocate(size) => self.keep(heap.allocate(size), size, mark),
                Step::Release(which) if !self.0.is_empty() => {
                    let block = self.0.swap_remove(which % self.0.len());
                    assert_filled(block);
                    // SAFETY: it was handed out, and is off our list now.
                    unsafe { heap.release(block.0) };
                }
                Step::Resize(which, size) if !self.0.is_empty() => {
                    let (pointer, old, filled) = self.0.swap_remove(which % self.0.len());
                    // SAFETY: as above.
                    match unsafe { heap.resize(pointer, size) } {
                        Some(moved) => {
                            assert_filled((moved, old.min(size), filled));
                            self.keep(Some(moved), size, mark);
                        }
                        None => self.0.push((pointer, old, filled)),
                    }
                }
                _ => {}
            }
        }

        fn keep(&mut self, pointer: Option<NonNull<u8>>, size: usize, mark: u8) {
            let Some(pointer) = pointer else { return };
            assert_eq!(pointer.addr().get() % 16, 0);
            // SAFETY: the heap says it is ours, for `size` bytes.
            unsafe {
                assert!(Heap::usable(pointer) >= size);
                pointer.write_bytes(mark, size);
            }
            self.0.push((pointer, size, mark));
        }
    }

    fn assert_filled((pointer, size, mark): (NonNull<u8>, usize, u8)) {
        // SAFETY: it was written in full when it was kept.
        let bytes = unsafe { std::slice::from_raw_parts(pointer.as_ptr(), size) };
        assert!(bytes.iter().all(|byte| *byte == mark), "{size} bytes of {mark}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: if cfg!(miri) { 4 } else { 256 }, ..Default::default() })]

        #[test]
        fn blocks_never_overlap_and_all_come_back(steps in prop::collection::vec(step(), 1..200)) {
            with_heap(|heap| {
                let mut blocks = Blocks(Vec::new());
                for (number, step) in steps.into_iter().enumerate() {
                    blocks.take(&heap, step, number as u8);
                    check(&heap);
                }
                for block in blocks.0 {
                    assert_filled(block);
                    // SAFETY: it was handed out and is used no more.
                    unsafe { heap.release(block.0) };
                }
                assert_eq!(heap.top(), STATE);
            });
        }
    }

    #[test]
    fn a_full_heap_says_so_and_goes_on() {
        with_heap(|heap| {
            assert!(heap.allocate(SIZE).is_none() && heap.allocate(usize::MAX).is_none());
            let all = heap.allocate(SIZE - STATE - HEADER).unwrap();
            assert!(heap.allocate(1).is_none());
            // SAFETY: it was handed out and is used no more.
            unsafe {
                assert!(heap.resize(all, SIZE).is_none());
                heap.release(all);
            }
            assert!(heap.allocate(1000).is_some());
        });
    }
}
