//! The `atmos` binary.

fn main() {}
