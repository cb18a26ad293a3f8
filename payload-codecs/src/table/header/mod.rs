//! The device's side of a table: a header in C that packs its uplinks and parses its downlinks.
//!
//! Plain C99, and C++11 too: `static inline` functions, structs of raw numbers, nothing allocated, and no floats but for
//! fields that are floats on the air. A table is lowered to structs and steps of a cursor (`lower.rs`, `layout.rs`), from
//! which constants, structs and functions are written (`constants.rs`, `structs.rs`, `pack.rs`, `parse.rs`); `cursor.h`
//! holds the few functions that move bits.

mod code;
mod constants;
mod cursor;
mod layout;
mod lower;
mod names;
mod pack;
mod parse;
mod range;
mod structs;

use self::code::Code;
use self::constants::Constants;
use self::layout::Message;
use self::lower::Lowering;
use self::names::{Names, comment, macro_part};
use self::structs::Structs;
use super::model::{Field, Table};

/// The least width of the integers that the header computes with, and the greatest.
const WORDS: [u32; 2] = [32, 64];

/// Why a table has no header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A name without a letter or digit that C would take.
    #[error("`{0}` has no letter from a to z and no digit: C cannot call anything so")]
    NoIdentifier(String),
    /// Two names that become one in C.
    #[error("`{one}` and `{other}` would both be called `{identifier}` in C: rename one of them")]
    Taken {
        /// What both would be called.
        identifier: String,
        /// The name that came first.
        one: String,
        /// The name that came second.
        other: String,
    },
    /// Several messages in one direction, and one without a name.
    #[error("there are several {0} messages: in C each needs a `name`")]
    Unnamed(String),
}

/// The header of a table. Identifiers begin with the table's own name; with `name` if it has none.
///
/// # Errors
/// [`HeaderError`] says which names C cannot tell apart or take.
pub fn header(table: &Table, name: &str) -> Result<String, HeaderError> {
    let name = table.name.as_deref().unwrap_or(name);
    let prefix = names::prefix(name)?;
    let macros = macro_part(&prefix);
    let mut names = Names::default();
    for own in [format!("{macros}_H"), format!("{prefix}_bit_writer"), format!("{prefix}_bit_reader")] {
        names.take(&own, "the header's own")?;
    }
    let mut lowering = Lowering::new(table.endian, &prefix, &macros, &mut names);
    let uplinks = lowering.direction("uplink", &table.uplink, &table.downlink)?;
    let downlinks = lowering.direction("downlink", &table.downlink, &table.uplink)?;

    let mut types = Code::default();
    let mut constants = Constants { prefix: &prefix, names: &mut names };
    for message in uplinks.iter().chain(&downlinks) {
        declare(&mut types, &mut constants, message)?;
    }
    let functions = functions(&prefix, &uplinks, &downlinks);
    let cursor = cursor::functions(&prefix, functions.text(), width(table));
    Ok(format!("{}{}{cursor}{}#endif\n", opening(name, &macros), types.text(), functions.text()))
}

fn opening(name: &str, macros: &str) -> String {
    format!(
        "\
/*
 * The payloads of `{name}`: packs what the device sends, parses what it gets.
 * Made by `ttn-ferry codec header` from the table of its codec: change that, then make this anew.
 *
 * Structs hold raw numbers; the comments say what a step of them is worth. Plain C99 and C++11, nothing is allocated.
 */
#ifndef {macros}_H
#define {macros}_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

",
        name = comment(name)
    )
}

fn declare(code: &mut Code, constants: &mut Constants<'_>, message: &Message<'_>) -> Result<(), HeaderError> {
    constants.message(code, message)?;
    code.line("");
    let structs = Structs { prefix: constants.prefix };
    message.groups().into_iter().for_each(|group| structs.group(code, group));
    structs.message(code, message);
    Ok(())
}

fn functions(prefix: &str, uplinks: &[Message<'_>], downlinks: &[Message<'_>]) -> Code {
    let mut code = Code::default();
    for message in uplinks {
        message.groups().into_iter().for_each(|group| pack::group(&mut code, prefix, group));
        pack::message(&mut code, prefix, message);
    }
    for message in downlinks {
        message.groups().into_iter().for_each(|group| parse::group(&mut code, prefix, group));
        parse::message(&mut code, prefix, message);
    }
    code
}

/// How wide the integers must be that hold any number of the table: 64 bits only where needed.
fn width(table: &Table) -> u32 {
    fn wide(field: &Field) -> bool {
        let number = field.type_.filter(|type_| !matches!(type_, super::Type::Bytes(_) | super::Type::Text(_)));
        number.and_then(super::Type::bits).is_some_and(|bits| bits > 32) || field.fields.iter().any(wide)
    }
    let wide = table.uplink.iter().chain(&table.downlink).any(|message| {
        let mut parts = message.parts.iter().flat_map(|part| &part.fields);
        let tag = message.tag.and_then(super::Type::bits).is_some_and(|bits| bits > 32);
        tag || message.fields.iter().any(wide) || parts.any(wide)
    });
    WORDS[usize::from(wide)]
}
