//! `onitu-driver-local`: run by `onitu up` for a service with `driver = "local"`.

fn main() -> std::process::ExitCode {
    onitu_plug::run::<onitu_driver_local::Local>()
}
