//! The house: supervisor and command line.

fn main() {}
