//! Finding the server that runs, or starting it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::http::ask;

/// Looks at the address file until the server has written it.
const LOOKS_MAX: u32 = 1_200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The address of the server.
pub(crate) fn address() -> String {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(find).clone()
}

/// Cargo's target directory: that of the program that runs.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("who am I? {error}"));
    let in_target = |path: &&Path| path.ends_with("debug") || path.ends_with("release");
    let profile = program.ancestors().find(in_target);
    let target = profile.and_then(Path::parent).map(Path::to_owned);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target"))
}

fn find() -> String {
    let home = target().join("s3-server");
    fs::create_dir_all(&home).unwrap_or_else(|error| panic!("no `{}`: {error}", home.display()));
    // Tests of many processes come here at once; one of them does the work.
    let lock = File::create(home.join("lock")).unwrap_or_else(|error| panic!("no lock: {error}"));
    flock(&lock, FlockOperation::LockExclusive).unwrap_or_else(|error| panic!("lock: {error}"));
    let file = home.join("address");
    if let Some(address) = running(&file) {
        return address;
    }
    let python = environment(&home);
    let _ = fs::remove_file(&file);
    let log = File::create(home.join("log")).unwrap_or_else(|error| panic!("no log: {error}"));
    let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("server.py");
    // Not waited for: it serves other tests after this one, and ends by itself.
    #[expect(clippy::zombie_processes, reason = "it outlives this process")]
    let mut child = Command::new(python)
        .arg(server)
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("can't start the test server: {error}"));
    for _ in 0..LOOKS_MAX {
        if let Some(address) = running(&file) {
            return address;
        }
        if let Ok(Some(status)) = child.try_wait() {
            let said = fs::read_to_string(home.join("log")).unwrap_or_default();
            panic!("the test server ended ({status}): {said}");
        }
        std::thread::park_timeout(BETWEEN_LOOKS);
    }
    panic!("the test server didn't begin to serve");
}

fn running(file: &Path) -> Option<String> {
    let address = fs::read_to_string(file).ok()?;
    let answer = ask(&address, "GET", "/_gate/ping", b"").ok()?;
    (answer.1 == b"onitu").then_some(address)
}

/// The Python of an environment that has what the server needs, made if it isn't there.
fn environment(home: &Path) -> PathBuf {
    let needed = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements.txt");
    let wanted = fs::read_to_string(&needed).unwrap_or_else(|error| panic!("{error}"));
    let (venv, made) = (home.join("venv"), home.join("made"));
    let python = venv.join("bin/python");
    if fs::read_to_string(&made).is_ok_and(|it| it == wanted) {
        return python;
    }
    let _ = fs::remove_dir_all(&venv);
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    run(Command::new(&python).args(install).arg(&needed));
    fs::write(made, wanted).unwrap_or_else(|error| panic!("{error}"));
    python
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}: is python3 there?"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed (is python3-venv installed?): {said}");
}
