//! `onitu-driver-dropbox`: run by `onitu up` for a service with `driver = "dropbox"`, and by
//! `onitu auth dropbox`.

fn main() -> std::process::ExitCode {
    if std::env::args_os().nth(1).is_some_and(|command| command == "auth") {
        return onitu_driver_dropbox::auth();
    }
    onitu_plug::run::<onitu_driver_dropbox::Dropbox>()
}
