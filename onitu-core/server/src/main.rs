//! The Core process: catalogue of services and answers to the command line.

fn main() {}
