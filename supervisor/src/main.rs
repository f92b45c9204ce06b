//! The program `onitu`; everything is in the library.

fn main() -> std::process::ExitCode {
    onitu_house::main()
}
