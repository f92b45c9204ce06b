//! `onitu-driver-opendal`: run by `onitu up` for a service with `driver = "opendal"`.

fn main() -> std::process::ExitCode {
    onitu_plug::run::<onitu_driver_opendal::Opendal>()
}
