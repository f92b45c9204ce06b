//! What stands behind `make run`: shows two folders being kept in step.

mod demo;
mod onitu;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["demo"] {
        demo::complain("usage: xtask demo");
        return ExitCode::from(2);
    }
    match demo::run() {
        Ok(code) => code,
        Err(error) => {
            demo::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
