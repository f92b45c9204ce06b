//! `onitu-driver-sftp`: run by `onitu up` for a service with `driver = "sftp"`.

fn main() -> std::process::ExitCode {
    onitu_plug::run::<onitu_driver_sftp::Sftp>()
}
