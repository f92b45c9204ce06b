//! Finding the server that runs, or starting it.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use onitu_test_python::{python, target};
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
    let needed = Path::new(env!("CARGO_MANIFEST_DIR")).join("requirements.txt");
    let python = python("s3-server", &needed);
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
