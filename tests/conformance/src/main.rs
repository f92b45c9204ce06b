//! `onitu-conformance`: started by `onitu driver test`.

fn main() -> std::process::ExitCode {
    onitu_conformance::program::main()
}
