//! The `ttn-ferry` binary.
fn main() {}
