//! Set-up, tests and demonstrations behind make.

fn main() {}
