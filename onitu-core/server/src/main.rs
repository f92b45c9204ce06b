//! The program `onitu-core`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    onitu_core_server::main()
}
