//! `onitu-driver-memory`: run by `onitu up` for a service with `driver = "memory"`.

fn main() -> std::process::ExitCode {
    onitu_plug::run::<onitu_driver_memory::Memory>()
}
