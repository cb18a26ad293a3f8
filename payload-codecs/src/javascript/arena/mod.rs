//! An engine whose whole memory can be put back to what it was, to the byte: the one place with `unsafe` code.
//!
//! # How
//! Every byte that QuickJS allocates, its runtime included, lies in one [`region::Region`] that never moves: the engine
//! gets its memory through rquickjs's `Allocator`, and the [`heap::Heap`] behind it keeps its own state in the region too.
//! So a copy of the region is a copy of the engine. One copy is taken when the engine is set up (the base); what a loaded
//! script adds is kept as the difference to it. Before each call both are written back: some 200 KiB, a matter of ten
//! microseconds, and nothing that an earlier call did is left, whatever it was.
//!
//! # Why this is sound
//! Going back invalidates every pointer into the region that is younger than the image. Those are:
//! - values of the engine (`Ctx`, `Value` …). They carry the lifetime of the closure that a [`Machine`] runs, so they
//!   cannot leave it; and what could carry them out regardless (`Persistent`, `Context`) is not `Send`, while closures and
//!   what they return must be. A machine is not `Sync`, so a closure cannot run another one on the same machine either.
//!   (A thread-local variable would be a way round; there is none.)
//! - what QuickJS holds itself: all in the region, and so as old as the image.
//! - what rquickjs holds outside of it: the runtime's and the context's address, and the interrupt handler. All are made
//!   before the base. Its tables of Rust classes and user data stay empty: we put no Rust object into the engine, which
//!   also means that no finalizer can free anything outside.
//! - statics of QuickJS: a list of waiters for `Atomics.wait`, which an engine that may not block never enters.
//!
//! The handles made before the base (the context and [`Machine::slots`]) stay valid, as base and differences hold what
//! they point to. They are dropped after a last return to the base. A machine stays on its thread.

#![allow(unsafe_code, reason = "the engine's memory is written behind its back; see above why it may be")]

mod heap;
mod region;

use std::rc::Rc;

use rquickjs::{Array, Context, Ctx, Persistent, Runtime};

use self::region::{Difference, Image, Region};
use crate::codec::Limits;

/// Fails to compile if a handle of the engine becomes `Send`, as it would with rquickjs's feature `parallel`.
const _: () = {
    trait Unclear<Which> {
        const PICK: () = ();
    }
    struct IsSend;
    impl<T> Unclear<()> for T {}
    impl<T: Send> Unclear<IsSend> for T {}
    let () = <Persistent<Array<'static>> as Unclear<_>>::PICK;
    let () = <Context as Unclear<_>>::PICK;
    let () = <Runtime as Unclear<_>>::PICK;
};

/// What the region holds beyond the limit: the heap's own headers, and gaps between its blocks.
const SLACK: usize = 1 << 20;

/// An engine, and the state it was in once it was set up. The order of the fields is the order they must be dropped in.
pub(super) struct Machine {
    slots: Persistent<Array<'static>>,
    context: Context,
    base: Image,
    region: Region,
}

impl Machine {
    /// Sets an engine up: `prepare` may change it, and returns the list that every later call gets.
    ///
    /// # Errors
    /// The engine's own, if the limits leave no room for it or `prepare` fails.
    pub fn new(
        limits: &Limits,
        is_over: impl FnMut() -> bool + 'static,
        prepare: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<Array<'js>> + Send,
    ) -> rquickjs::Result<Rc<Self>> {
        let region = Region::new(limits.memory.saturating_add(limits.memory / 4 + SLACK))?;
        // SAFETY: the region is dropped after the context, and thereby after the runtime, in every way out of here: it
        // is declared before them, and as a field it stands behind them.
        let runtime = Runtime::new_with_alloc(unsafe { region.allocator() })?;
        runtime.set_max_stack_size(limits.stack);
        // A call's garbage goes when its memory is put back; only a greedy one must collect on the way.
        runtime.set_gc_threshold(limits.memory / 2);
        runtime.set_interrupt_handler(Some(Box::new(is_over)));
        // Without a limit so far: QuickJS crashes when it frees a context that memory ran out for half-way. What it takes
        // always finds room in the slack.
        let context = Context::full(&runtime)?;
        let slots = context.with(|ctx| Ok::<_, rquickjs::Error>(Persistent::save(&ctx, prepare(&ctx)?)))?;
        if region.in_use() > limits.memory {
            return Err(rquickjs::Error::Allocation);
        }
        runtime.set_memory_limit(limits.memory);
        let base = region.image();
        Ok(Rc::new(Self { slots, context, base, region }))
    }

    /// Runs a job on the engine as it was set up, and keeps what it made of it.
    pub fn build<T: Send>(self: &Rc<Self>, job: impl for<'js> FnOnce(&Ctx<'js>, Array<'js>) -> T + Send) -> (T, State) {
        let outcome = self.run(None, job);
        let difference = self.region.difference(&self.base);
        (outcome, State { machine: Rc::clone(self), difference })
    }

    fn run<T: Send>(
        &self,
        difference: Option<&Difference>,
        job: impl for<'js> FnOnce(&Ctx<'js>, Array<'js>) -> T + Send,
    ) -> T {
        // SAFETY: of all that points into the region, only the context and the slots live longer than a job (see the
        // module's text), and those are older than every image. No job runs now: it would have had to borrow the
        // machine, which is not `Sync`.
        unsafe { self.region.restore(&self.base, difference) };
        self.context.with(|ctx| {
            let slots = self.slots.clone().restore(&ctx).expect("the list is of this runtime");
            job(&ctx, slots)
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: as in `run`. What is dropped next was made before the base.
        unsafe { self.region.restore(&self.base, None) };
    }
}

/// What a job made of an engine, to come back to.
pub(super) struct State {
    machine: Rc<Machine>,
    difference: Difference,
}

impl State {
    /// Runs a job on the engine in this state, and leaves the state as it is.
    pub fn run<T: Send>(&self, job: impl for<'js> FnOnce(&Ctx<'js>, Array<'js>) -> T + Send) -> T {
        self.machine.run(Some(&self.difference), job)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { time: std::time::Duration::from_secs(20), memory: 8 << 20, stack: 256 << 10 };

    fn machine() -> Rc<Machine> {
        Machine::new(&LIMITS, || false, |ctx| ctx.eval("globalThis.n = 0; [() => ++n]")).unwrap()
    }

    fn count(_: &Ctx<'_>, slots: Array<'_>) -> i32 {
        slots.get::<rquickjs::Function>(0).unwrap().call(()).unwrap()
    }

    #[test]
    fn a_state_is_the_same_however_often_it_runs() {
        let machine = machine();
        let (first, state) = machine.build(count);
        assert_eq!(first, 1);
        for _ in 0..100 {
            assert_eq!(state.run(count), 2);
        }
        assert_eq!(machine.build(count).0, 1);
    }

    #[test]
    fn memory_is_put_back_to_the_byte() {
        let machine = machine();
        let state = machine.build(count).1;
        state.run(|_, _| ());
        let before = machine.region.image();
        state.run(|ctx, _| ctx.eval::<(), _>("var kept = []; for (let i = 0; i < 9999; i++) kept.push({i})").unwrap());
        assert!(machine.region.difference(&before).size() > 100_000);
        // SAFETY: as in `run`.
        unsafe { machine.region.restore(&machine.base, Some(&state.difference)) };
        assert_eq!(machine.region.difference(&before).size(), 0);
    }

    /// Linux fills what was given back with zeros.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_greedy_job_touched_goes_back_to_the_system() {
        let machine = machine();
        let state = machine.build(count).1;
        state.run(|ctx, _| ctx.eval::<(), _>("var hoard = new Uint8Array(5e6).fill(1)").unwrap());
        assert!(machine.region.touched_beyond(2 << 20) > 2 << 20);
        state.run(|_, _| ());
        assert_eq!(machine.region.touched_beyond(2 << 20), 0);
    }

    #[test]
    fn two_machines_on_one_thread_do_not_disturb_each_other() {
        let (one, other) = (machine(), machine());
        let (state, others) = (one.build(count).1, other.build(|_, _| 0).1);
        for _ in 0..10 {
            assert_eq!((state.run(count), others.run(count)), (2, 1));
        }
        drop((one, state));
        assert_eq!(others.run(count), 1);
    }

    #[test]
    fn an_engine_that_does_not_fit_or_fails_to_start_is_an_error() {
        let limits = Limits { memory: 64 << 10, ..LIMITS };
        assert!(Machine::new(&limits, || false, |ctx| ctx.eval("[]")).is_err());
        assert!(Machine::new(&LIMITS, || false, |ctx| ctx.eval("throw 1")).is_err());
    }
}
