//! `ttn-ferry codec`: payload codecs by hand, run as the bridge runs them: same engines, same limits, under watch.

mod given;
mod header;
mod look_over;
mod once;
mod replay;
mod source;
mod test;
mod watched;

use std::time::Duration;

use clap::{Args, Subcommand};
use payload_codecs::Limits;

use super::moment::span;
use super::{Exit, Terminal, is_closed_pipe};
use header::Header;
use look_over::LookOver;
use once::{Decode, DecodeDownlink, Encode, Normalize};
use replay::Replay;
use test::Test;
use watched::Watched;

/// Test and try payload codecs
#[derive(Debug, Args)]
#[command(after_help = "\
A codec is a script (X.js), a table (X.toml), a folder with either as codec.js or codec.toml, the
*-codec.yaml of a device repository, or the name of a shipped one (mbed/led-and-sensors, cayenne-lpp).

Exit codes: 0 done, 1 an example failed or the codec reports errors, 2 could not run, 64 wrong command line")]
pub struct Codec {
    #[command(subcommand)]
    action: Action,
    /// Time for one call
    #[arg(long, global = true, value_name = "TIME", default_value = "100ms", value_parser = span)]
    time_limit: Duration,
}

#[derive(Debug, Subcommand)]
enum Action {
    Test(Test),
    Decode(Decode),
    Encode(Encode),
    DecodeDownlink(DecodeDownlink),
    Normalize(Normalize),
    #[command(name = "run")]
    Replay(Replay),
    #[command(name = "lint")]
    LookOver(LookOver),
    Header(Header),
}

impl Codec {
    /// Runs it. What keeps it from running at all has an exit code of its own here, so it is told here.
    pub fn run(self, terminal: &mut Terminal) -> Exit {
        let mut watched = Watched::new(Limits { time: self.time_limit, ..Limits::default() });
        let done = match self.action {
            Action::Test(test) => test.run(&mut watched, terminal),
            Action::Decode(decode) => decode.run(&mut watched, terminal),
            Action::Encode(encode) => encode.run(&mut watched, terminal),
            Action::DecodeDownlink(decode) => decode.run(&mut watched, terminal),
            Action::Normalize(normalize) => normalize.run(&mut watched, terminal),
            Action::Replay(replay) => replay.run(&mut watched, terminal),
            Action::LookOver(look_over) => look_over.run(&mut watched, terminal),
            Action::Header(header) => header.run(terminal),
        };
        done.unwrap_or_else(|error| {
            // Whoever read the output had enough: nothing to tell, and nobody to tell it to.
            if !is_closed_pipe(&error) {
                terminal.complain(&error);
            }
            Exit::CouldNotRun
        })
    }
}
