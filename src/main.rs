//! The `ttn-ferry` binary: everything is in the library.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    ttn_ferry::cli::run(std::env::args_os()).await
}
