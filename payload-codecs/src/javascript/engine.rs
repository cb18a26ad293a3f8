//! The engine that all scripts of a thread share, one after the other: limits, clock, and what every call finds in it.
//!
//! # How every message gets a fresh state at the price of a warm call
//! A script is compiled and evaluated once, in an engine as good as new; what the engine's memory then is, is kept. Each
//! call begins by putting the memory back to that, to the byte ([`arena`](super::arena) says how, and why it may). So a
//! call finds what it would find had the script just been evaluated for it, with two differences: chance is the host's to
//! give, and what the script computed while it was evaluated (a `Date.now()` outside of any function, say) is of the time
//! it was loaded. Nothing is cleaned up, so nothing can be forgotten.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::{Array, Ctx, Function, Value};

use super::arena::{Machine, State};
use super::fault::Fault;
use super::host::{Host, SLOTS};
use super::prelude;
use crate::codec::Limits;
use crate::error::CodecError;

/// What stack traces call the script.
pub(super) const SCRIPT_NAME: &str = "codec.js";

/// Finds what the script defined. `typeof` also sees `let` and `const`, which are not on the global object.
const COLLECT: &str = "[\
    typeof decodeUplink==='function'?decodeUplink:void 0,\
    typeof encodeDownlink==='function'?encodeDownlink:void 0,\
    typeof decodeDownlink==='function'?decodeDownlink:void 0,\
    typeof normalizeUplink==='function'?normalizeUplink:void 0,\
    typeof Decoder==='function'?Decoder:void 0,\
    typeof Encoder==='function'?Encoder:void 0,\
    typeof getHaDeviceInfo==='function'?getHaDeviceInfo:void 0]";

/// A function that a codec may define, by its place in what is collected.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    DecodeUplink = 0,
    EncodeDownlink = 1,
    DecodeDownlink = 2,
    NormalizeUplink = 3,
    LegacyDecoder = 4,
    LegacyEncoder = 5,
    HaDeviceInfo = 6,
}

/// How many entries there are.
const ENTRIES: usize = 7;

/// One call under way.
pub(super) struct Call<'js> {
    pub ctx: Ctx<'js>,
    pub host: Host<'js>,
    slots: Array<'js>,
}

impl<'js> Call<'js> {
    /// The function the script defined under this name, if it did.
    pub fn entry(&self, entry: Entry) -> Result<Option<Function<'js>>, Fault> {
        Ok(self.slots.get(SLOTS + entry as usize)?)
    }

    /// A value from JSON text, by the engine's own parser: `JSON.parse` may have been replaced.
    pub fn parse(&self, json: &str) -> Result<Value<'js>, Fault> {
        Ok(self.ctx.json_parse(json)?)
    }
}

/// A script as it was right after its evaluation.
pub(super) struct Loaded {
    state: State,
    defined: [bool; ENTRIES],
}

impl Loaded {
    /// Whether the script defined this function.
    pub fn has(&self, entry: Entry) -> bool {
        self.defined[entry as usize]
    }
}

/// An engine with nothing of any codec in it.
pub(crate) struct Engine {
    machine: Rc<Machine>,
    watch: Rc<Watch>,
    limits: Limits,
}

impl Engine {
    pub fn new(limits: &Limits) -> Result<Self, CodecError> {
        let watch = Rc::new(Watch::default());
        let clock = Rc::clone(&watch);
        let machine = Machine::new(limits, move || clock.is_over(), prelude::install).map_err(engine_failed)?;
        Ok(Self { machine, watch, limits: *limits })
    }

    /// Evaluates a script, as a script: sloppy, and in the global scope. What it says goes to `console`.
    pub(super) fn load(&self, script: &str, console: &mut Vec<String>) -> Result<Loaded, CodecError> {
        let time = self.limits.loading();
        self.watch.start(time);
        let (defined, state) = self.machine.build(self.guarded(console, |call| evaluate(call, script)));
        self.watch.judge(defined, time).map(|defined| Loaded { state, defined })
    }

    /// Runs one call of a loaded script. What it says goes to `console`.
    pub(super) fn call<T: Send>(
        &self,
        loaded: &Loaded,
        console: &mut Vec<String>,
        job: impl for<'js> FnOnce(&Call<'js>) -> Result<T, Fault> + Send,
    ) -> Result<T, CodecError> {
        self.watch.start(self.limits.time);
        let outcome = loaded.state.run(self.guarded(console, job));
        self.watch.judge(outcome, self.limits.time)
    }

    /// A job for the machine: gives the call its chance, explains what goes wrong, and listens to the console.
    fn guarded<'a, T: Send>(
        &self,
        console: &'a mut Vec<String>,
        job: impl for<'js> FnOnce(&Call<'js>) -> Result<T, Fault> + Send + 'a,
    ) -> impl for<'js> FnOnce(&Ctx<'js>, Array<'js>) -> Result<T, CodecError> + Send + 'a {
        let memory = self.limits.memory;
        move |ctx, slots| {
            let host = Host::new(slots.clone()).map_err(engine_failed)?;
            host.give_chance(RandomState::new().hash_one(0)).map_err(engine_failed)?;
            let call = Call { ctx: ctx.clone(), host, slots };
            let outcome = job(&call).map_err(|fault| fault.explain(ctx, &call.host, memory));
            // The next look at the engine must not trip over what this call threw.
            drop(ctx.catch());
            call.host.take_console(console);
            outcome
        }
    }
}

/// The time limit of the call that runs now.
#[derive(Default)]
struct Watch {
    deadline: Cell<Option<Instant>>,
    fired: Cell<bool>,
}

impl Watch {
    fn start(&self, time: Duration) {
        self.fired.set(false);
        self.deadline.set(Instant::now().checked_add(time));
    }

    /// The engine asks now and then, and stops the script at the first yes.
    fn is_over(&self) -> bool {
        let over = self.deadline.get().is_some_and(|deadline| Instant::now() >= deadline);
        self.fired.set(self.fired.get() || over);
        over
    }

    /// Whatever else went wrong in a call that was stopped, went wrong because of that.
    fn judge<T>(&self, outcome: Result<T, CodecError>, time: Duration) -> Result<T, CodecError> {
        if self.fired.get() { Err(CodecError::TimedOut { limit: time }) } else { outcome }
    }
}

fn evaluate(call: &Call<'_>, script: &str) -> Result<[bool; ENTRIES], Fault> {
    if script.contains('\0') {
        return Err(CodecError::Load { message: "the script holds a NUL character".to_owned(), line: None }.into());
    }
    prelude::install_for(&call.ctx, script)?;
    let mut options = EvalOptions::default();
    // Codecs are sloppy scripts: one in seven assigns variables it never declared.
    options.strict = false;
    options.filename = Some(SCRIPT_NAME.to_owned());
    call.ctx.eval_with_options::<Value, _>(script.trim_start_matches('\u{FEFF}'), options)?;
    let entries: Array = call.ctx.eval(COLLECT)?;
    let mut defined = [false; ENTRIES];
    for (index, defined) in defined.iter_mut().enumerate() {
        let function: Value = entries.get(index)?;
        *defined = function.is_function();
        call.slots.set(SLOTS + index, function)?;
    }
    Ok(defined)
}

fn engine_failed(cause: rquickjs::Error) -> CodecError {
    CodecError::Engine { reason: cause.to_string() }
}
