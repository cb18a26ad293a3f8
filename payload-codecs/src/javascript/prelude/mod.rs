//! What the host puts into an engine before a script runs there, and what it keeps of it for itself.

use rquickjs::{Array, Ctx, Function};

const NATIVES: &str = include_str!("natives.js");

/// What every script gets; each a function of the host's slots.
const ALWAYS: [&str; 3] = [include_str!("date.js"), include_str!("chance.js"), include_str!("console.js")];

const TEXT: &str = include_str!("text.js");
const BUFFER: &str = include_str!("buffer.js");

/// Prepares a fresh engine, and returns the host's slots.
pub(super) fn install<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Array<'js>> {
    let slots: Array = ctx.eval(NATIVES)?;
    for part in ALWAYS {
        ctx.eval::<Function, _>(part)?.call::<_, ()>((slots.clone(),))?;
    }
    Ok(slots)
}

/// Adds what takes too long to give everyone, if the script names it.
pub(super) fn install_for(ctx: &Ctx<'_>, script: &str) -> rquickjs::Result<()> {
    let buffer = names(script, "Buffer");
    if buffer || names(script, "TextDecoder") || names(script, "TextEncoder") {
        ctx.eval::<(), _>(format!("{TEXT}()"))?;
    }
    if buffer { ctx.eval(format!("{BUFFER}()")) } else { Ok(()) }
}

/// Whether a text holds this name, other than as a part of a longer one (`ArrayBuffer`).
fn names(script: &str, name: &str) -> bool {
    let part_of_name = |character: char| character.is_alphanumeric() || character == '_' || character == '$';
    script
        .match_indices(name)
        .any(|(at, _)| !script[..at].ends_with(part_of_name) && !script[at + name.len()..].starts_with(part_of_name))
}
