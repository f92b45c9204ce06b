//! Python with the packages that a test needs: servers, other people's clients, a driver.
//!
//! Each user has an environment of its own (`python3 -m venv`), made once below the target directory
//! with exactly the versions its list names, and made anew when the list changes. It knows nothing of
//! Onitu, and runs nothing but the installation.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The Python of the environment `name`, with everything that the file `requirements` lists. Made
/// by whoever comes first, while others wait, of this process or another. May be repeated.
///
/// # Panics
/// Where there is no Python, or the packages can't be had.
pub fn python(name: &str, requirements: &Path) -> PathBuf {
    let home = target().join(name);
    must(&format!("`{}`", home.display()), fs::create_dir_all(&home));
    let lock = must("a lock", File::create(home.join("venv.lock")));
    must("its turn", lock.lock());
    let wanted = must(&requirements.display().to_string(), fs::read_to_string(requirements));
    let (venv, made) = (home.join("venv"), home.join("made"));
    let python = venv.join("bin/python");
    if fs::read_to_string(&made).is_ok_and(|it| it == wanted) {
        return python;
    }
    let _ = fs::remove_dir_all(&venv);
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(install).arg(requirements));
    must("a note of what is installed", fs::write(made, wanted));
    python
}

/// Cargo's target directory: that of the program that runs.
pub fn target() -> PathBuf {
    let program = must("the own program", std::env::current_exe());
    let in_target = |path: &&Path| path.ends_with("debug") || path.ends_with("release");
    let profile = program.ancestors().find(in_target);
    let target = profile.and_then(Path::parent).map(Path::to_owned);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target"))
}

fn run(command: &mut Command) {
    let output = must(&format!("{command:?}"), command.stdin(Stdio::null()).output());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed (is python3-venv installed?): {said}");
}

#[track_caller]
fn must<T>(what: &str, result: std::io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{what} can't be had: {error}"))
}
