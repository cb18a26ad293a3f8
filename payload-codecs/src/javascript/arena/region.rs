//! One stretch of memory that never moves, and images of what is in it.

use std::cell::Cell;
use std::ptr::NonNull;
use std::slice;

use memmap2::{MmapMut, UncheckedAdvice};
use rquickjs::allocator::Allocator;

use super::heap::Heap;

/// Two states are compared in pieces of this many bytes: a cache line.
const PIECE: usize = 64;

/// What calls have touched above an image is kept for the next call up to so many bytes; more goes back to the system.
const KEPT: usize = 1 << 20;

/// The memory of one engine: every byte the engine allocates lies in here.
pub(super) struct Region {
    map: MmapMut,
    heap: Heap,
    /// What may be touched ends here.
    touched: Cell<usize>,
}

impl Region {
    /// A region of this many bytes; only what is touched costs memory.
    pub fn new(size: usize) -> std::io::Result<Self> {
        let mut map = MmapMut::map_anon(size)?;
        let start = NonNull::new(map.as_mut_ptr()).expect("a mapping is never at address 0");
        // SAFETY: the mapping is page aligned, readable and writable, and lives as long as `self`, which never makes a
        // reference to it while the heap runs; blocks outlive `self` only if the caller of `allocator` breaks its word.
        let heap = unsafe { Heap::new(start, size) };
        Ok(Self { map, heap, touched: Cell::new(0) })
    }

    /// The engine's way to this memory.
    ///
    /// # Safety
    /// The region must outlive the allocator and everything allocated through it.
    pub unsafe fn allocator(&self) -> InRegion {
        InRegion(self.heap)
    }

    /// How many bytes are in use, gaps included.
    pub fn in_use(&self) -> usize {
        self.heap.top()
    }

    /// A copy of everything in use.
    pub fn image(&self) -> Image {
        self.note_peak();
        Image { bytes: self.bytes().into() }
    }

    /// What is different now from a base image.
    pub fn difference(&self, base: &Image) -> Difference {
        self.note_peak();
        let now = self.bytes();
        let common = base.bytes.len().min(now.len());
        let mut difference = Difference { runs: Vec::new(), bytes: Vec::new() };
        for start in (0..common).step_by(PIECE) {
            let end = (start + PIECE).min(common);
            if now[start..end] != base.bytes[start..end] {
                difference.push(start, &now[start..end]);
            }
        }
        if now.len() > common {
            difference.push(common, &now[common..]);
        }
        difference.runs.shrink_to_fit();
        difference.bytes.shrink_to_fit();
        difference
    }

    /// Makes memory again what it was when the base image, and the difference to it, were taken.
    ///
    /// # Safety
    /// Whoever holds a pointer into the region that did not exist at that time must never use it again.
    pub unsafe fn restore(&self, base: &Image, difference: Option<&Difference>) {
        self.note_peak();
        // SAFETY: an image is no longer than the region it was taken of; the mapping is writable and nothing else runs.
        unsafe { self.write(0, &base.bytes) };
        for (start, bytes) in difference.into_iter().flat_map(Difference::iter) {
            // SAFETY: as above.
            unsafe { self.write(start, bytes) };
        }
        self.give_back();
    }

    /// Remembers how far the heap has been; what is kept of it must not tell of a peak that later calls never reach.
    fn note_peak(&self) {
        self.touched.set(self.touched.get().max(self.heap.peak()));
        self.heap.begin_peak();
    }

    unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= self.map.len());
        // SAFETY: the caller's.
        unsafe { self.heap.start().add(offset).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
    }

    /// Gives the system the pages back that a greedy call has touched.
    fn give_back(&self) {
        let keep = (self.heap.top() + KEPT).next_multiple_of(4096);
        let touched = self.touched.get();
        if touched > keep {
            // SAFETY: what lies above `top` means nothing, so it may as well be zero. If the system refuses, the pages
            // stay ours, which does no harm.
            let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, keep, touched - keep) };
            self.touched.set(keep);
        }
    }

    /// How many bytes are not zero from this offset on.
    #[cfg(test)]
    pub fn touched_beyond(&self, offset: usize) -> usize {
        // SAFETY: as in `bytes`, for the whole of the mapping.
        let all = unsafe { slice::from_raw_parts(self.heap.start().as_ptr(), self.map.len()) };
        all[offset..].iter().filter(|byte| **byte != 0).count()
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping began as zeros and holds what the engine wrote since; the engine does not run while the
        // slice lives, as that would need the caller, who holds it.
        unsafe { slice::from_raw_parts(self.heap.start().as_ptr(), self.heap.top()) }
    }
}

/// A state of a region, whole.
pub(super) struct Image {
    bytes: Box<[u8]>,
}

/// A state of a region, by what sets it apart from an image.
pub(super) struct Difference {
    runs: Vec<Run>,
    bytes: Vec<u8>,
}

struct Run {
    start: usize,
    length: usize,
}

impl Difference {
    fn push(&mut self, start: usize, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        match self.runs.last_mut() {
            Some(run) if run.start + run.length == start => run.length += bytes.len(),
            _ => self.runs.push(Run { start, length: bytes.len() }),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut rest = self.bytes.as_slice();
        self.runs.iter().map(move |run| {
            let (bytes, after) = rest.split_at(run.length);
            rest = after;
            (run.start, bytes)
        })
    }

    /// How many bytes it takes to keep.
    #[cfg(test)]
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of_val(self.runs.as_slice())
    }
}

/// QuickJS's allocator: all its state lies in the region.
pub(super) struct InRegion(Heap);

// SAFETY: blocks are aligned to 16 bytes and as large as asked or larger; `usable_size` reads what the heap wrote.
unsafe impl Allocator for InRegion {
    fn alloc(&mut self, size: usize) -> *mut u8 {
        pointer(self.0.allocate(size))
    }

    fn calloc(&mut self, count: usize, size: usize) -> *mut u8 {
        let Some(size) = count.checked_mul(size) else { return std::ptr::null_mut() };
        let block = self.0.allocate(size);
        if let Some(block) = block {
            // SAFETY: the block is ours and holds `size` bytes.
            unsafe { block.write_bytes(0, size) };
        }
        pointer(block)
    }

    unsafe fn dealloc(&mut self, ptr: *mut u8) {
        if let Some(block) = NonNull::new(ptr) {
            // SAFETY: the caller's.
            unsafe { self.0.release(block) };
        }
    }

    unsafe fn realloc(&mut self, ptr: *mut u8, new_size: usize) -> *mut u8 {
        match NonNull::new(ptr) {
            // SAFETY: the caller's.
            Some(block) => pointer(unsafe { self.0.resize(block, new_size) }),
            None => self.alloc(new_size),
        }
    }

    unsafe fn usable_size(ptr: *mut u8) -> usize {
        // SAFETY: the caller's.
        NonNull::new(ptr).map_or(0, |block| unsafe { Heap::usable(block) })
    }
}

fn pointer(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(std::ptr::null_mut(), NonNull::as_ptr)
}
