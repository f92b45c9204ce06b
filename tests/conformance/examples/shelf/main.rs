//! The example of `docs/writing-a-driver.md`: a driver for a service that keeps keys and bytes.

mod client;
mod plug;

fn main() -> std::process::ExitCode {
    onitu_plug::run::<plug::Shelf>()
}
