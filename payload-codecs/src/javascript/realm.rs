//! One codec's own engine: a runtime, a global state, the script compiled as a factory, and the limits that hold it.
//!
//! # How every message gets a fresh state at the price of a warm call
//! The script becomes the body of a sloppy function, compiled once; calling that factory evaluates the whole script anew,
//! so that its `var`, `let`, `const` and functions start over with each message. What a script adds to the global object
//! (an undeclared variable) is removed after the call. A realm that cannot be brought back that way, that has promise
//! callbacks waiting, or whose call ran out of time or memory, is thrown away and built anew before the next call.
//!
//! What this does not catch: a call that changes the language's own objects (`Object.assign = …`, a property added to
//! `Array.prototype`, to `console` or to a function), which the next call of the *same* codec then sees. Realms are never
//! shared between codecs, and the host itself uses none of the objects that a codec can replace.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use rquickjs::context::EvalOptions;
use rquickjs::function::This;
use rquickjs::{Array, Atom, Context, Ctx, Filter, Function, Persistent, Runtime, Value};

use super::fault::Fault;
use super::host::Host;
use crate::codec::Limits;
use crate::error::CodecError;

/// What stack traces call the script.
pub(super) const SCRIPT_NAME: &str = "codec.js";

/// Opens the factory on the script's first line, so that line numbers are the script's own.
const FACTORY_HEAD: &str = "(function(){";

/// Hands out what the script defined; `typeof` also finds `let` and `const`, which are not on the global object.
const FACTORY_TAIL: &str = "\n;return[\
    typeof decodeUplink==='function'?decodeUplink:void 0,\
    typeof encodeDownlink==='function'?encodeDownlink:void 0,\
    typeof decodeDownlink==='function'?decodeDownlink:void 0,\
    typeof normalizeUplink==='function'?normalizeUplink:void 0,\
    typeof Decoder==='function'?Decoder:void 0,\
    typeof Encoder==='function'?Encoder:void 0]})";

/// A function that a codec may define, by its place in what the factory returns.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    DecodeUplink = 0,
    EncodeDownlink = 1,
    DecodeDownlink = 2,
    NormalizeUplink = 3,
    LegacyDecoder = 4,
    LegacyEncoder = 5,
}

impl Entry {
    pub const ALL: [Self; 6] = [
        Self::DecodeUplink,
        Self::EncodeDownlink,
        Self::DecodeDownlink,
        Self::NormalizeUplink,
        Self::LegacyDecoder,
        Self::LegacyEncoder,
    ];
}

/// One evaluation of the script, ready for a call.
pub(super) struct Evaluation<'js> {
    pub ctx: Ctx<'js>,
    pub host: Host<'js>,
    entries: Array<'js>,
}

impl<'js> Evaluation<'js> {
    /// The function the script defined under this name, if it did.
    pub fn entry(&self, entry: Entry) -> Result<Option<Function<'js>>, Fault> {
        Ok(self.entries.get(entry as usize)?)
    }
}

/// A codec's engine. The order of the fields is the order they must be dropped in: values before their runtime.
pub(super) struct Realm {
    factory: Persistent<Function<'static>>,
    natives: Persistent<Array<'static>>,
    globals: usize,
    watch: Rc<Watch>,
    limits: Limits,
    context: Context,
}

impl Realm {
    /// Builds the engine and compiles the script, within the limits.
    pub fn new(script: &str, limits: &Limits) -> Result<Self, CodecError> {
        let watch = Rc::new(Watch::default());
        let runtime = Runtime::new().map_err(engine_failed)?;
        runtime.set_memory_limit(limits.memory);
        runtime.set_max_stack_size(limits.stack);
        let clock = Rc::clone(&watch);
        runtime.set_interrupt_handler(Some(Box::new(move || clock.is_over())));
        let context = Context::full(&runtime).map_err(engine_failed)?;

        watch.start(limits);
        let (factory, natives, globals) = context.with(|ctx| {
            let natives = Host::capture(&ctx).map_err(engine_failed)?;
            let host = Host::new(natives.clone()).map_err(engine_failed)?;
            let globals = count_globals(&ctx);
            let factory = compile(&ctx, script).map_err(|fault| watch.explain(fault, &ctx, &host, limits))?;
            Ok::<_, CodecError>((Persistent::save(&ctx, factory), Persistent::save(&ctx, natives), globals))
        })?;
        Ok(Self { factory, natives, globals, watch, limits: *limits, context })
    }

    /// Evaluates the script afresh and runs `job` on what it defined, all within one time limit.
    pub fn run<T>(&self, job: impl FnOnce(&Evaluation<'_>) -> Result<T, Fault>) -> Result<T, CodecError> {
        self.watch.start(&self.limits);
        self.context.with(|ctx| {
            let natives = self.natives.clone().restore(&ctx).map_err(engine_failed)?;
            let host = Host::new(natives).map_err(engine_failed)?;
            let factory = self.factory.clone().restore(&ctx).map_err(engine_failed)?;
            match evaluate(&ctx, &factory) {
                Ok(entries) => {
                    let evaluation = Evaluation { ctx: ctx.clone(), host, entries };
                    job(&evaluation).map_err(|fault| self.watch.explain(fault, &ctx, &evaluation.host, &self.limits))
                }
                Err(fault) => Err(self.watch.explain(fault, &ctx, &host, &self.limits)),
            }
        })
    }

    /// Takes away what the last call left on the global object; false if the realm is no longer as it was.
    pub fn sweep(&self) -> bool {
        if self.context.runtime().is_job_pending() {
            return false;
        }
        self.context.with(|ctx| count_globals(&ctx) == self.globals || remove_leaks(&ctx, self.globals))
    }
}

/// The time limit of the call that runs now.
#[derive(Default)]
struct Watch {
    deadline: Cell<Option<Instant>>,
    fired: Cell<bool>,
}

impl Watch {
    fn start(&self, limits: &Limits) {
        self.fired.set(false);
        self.deadline.set(Instant::now().checked_add(limits.time));
    }

    /// The engine asks now and then, and stops the script at the first yes.
    fn is_over(&self) -> bool {
        let over = self.deadline.get().is_some_and(|deadline| Instant::now() >= deadline);
        self.fired.set(self.fired.get() || over);
        over
    }

    fn explain<'js>(&self, fault: Fault, ctx: &Ctx<'js>, host: &Host<'js>, limits: &Limits) -> CodecError {
        let error = fault.explain(ctx, host, limits.memory);
        // Leaves no exception behind for a later call to trip over.
        drop(ctx.catch());
        // Asked last: to explain is to run the codec's own conversions to text, which may not end either.
        if self.fired.get() { CodecError::TimedOut { limit: limits.time } } else { error }
    }
}

fn compile<'js>(ctx: &Ctx<'js>, script: &str) -> Result<Function<'js>, Fault> {
    if script.contains('\0') {
        return Err(CodecError::Load { message: "the script holds a NUL character".to_owned(), line: None }.into());
    }
    let mut options = EvalOptions::default();
    // Codecs are sloppy scripts: one in seven assigns variables it never declared.
    options.strict = false;
    options.filename = Some(SCRIPT_NAME.to_owned());
    Ok(ctx.eval_with_options(format!("{FACTORY_HEAD}{script}{FACTORY_TAIL}"), options)?)
}

fn evaluate<'js>(ctx: &Ctx<'js>, factory: &Function<'js>) -> Result<Array<'js>, Fault> {
    let entries: Value = factory.call((This(ctx.globals()),))?;
    // Inside a factory a `return` at the script's top level is no syntax error, and skips our tail.
    let returned = || CodecError::Load { message: "the script returns at its top level".to_owned(), line: None };
    Ok(entries.into_array().ok_or_else(returned)?)
}

/// How many properties the global object has, symbols and hidden ones included.
fn count_globals(ctx: &Ctx<'_>) -> usize {
    ctx.globals().own_keys::<Atom>(Filter::new().string().symbol()).len()
}

/// The prelude hides the engine's own globals from enumeration, so what shows is the codec's.
fn remove_leaks(ctx: &Ctx<'_>, globals: usize) -> bool {
    let global = ctx.globals();
    for key in global.own_keys::<Atom>(Filter::new().string().enum_only()) {
        if key.and_then(|key| global.remove(key)).is_err() {
            drop(ctx.catch());
            return false;
        }
    }
    count_globals(ctx) == globals
}

fn engine_failed(cause: rquickjs::Error) -> CodecError {
    CodecError::Engine { reason: cause.to_string() }
}
