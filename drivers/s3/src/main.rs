//! `onitu-driver-s3`: run by `onitu up` for a service with `driver = "s3"`.

fn main() -> std::process::ExitCode {
    onitu_plug::run::<onitu_driver_s3::S3>()
}
