//! A WebDAV server for tests: WsgiDAV, written in Python, over a folder of this machine.
//!
//! Its user needs no WebDAV: what stands in the folder is what it serves. Each server is a process
//! of the test that started it and ends with it. Its Python environment is made once, below
//! cargo's target directory.

#![allow(clippy::missing_panics_doc, reason = "a test that can't have its server fails")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

/// Who may log in.
pub const USER: &str = "onitu";
/// Their password.
pub const PASSWORD: &str = "sesame";

/// Looks at the address file until the server has written it.
const LOOKS_MAX: u32 = 1_200;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// A server over a folder; gone when dropped.
#[derive(Debug)]
pub struct Dav {
    top: PathBuf,
    /// Holds the server's address, which it keeps when it is started again.
    address_file: PathBuf,
    flaw: Option<&'static str>,
    process: Mutex<Option<(Child, ChildStdin)>>,
}

impl Dav {
    /// Serves the folder `top`. What the server writes for itself goes to `beside`, a folder that
    /// isn't below it.
    pub fn start(top: &Path, beside: &Path) -> Self {
        Self::with_flaw(top, beside, None)
    }

    /// The same with a mistake: one of those that `server.py` lists.
    pub fn with_flaw(top: &Path, beside: &Path, flaw: Option<&'static str>) -> Self {
        let address_file = beside.join("webdav-address");
        let dav = Self { top: top.to_owned(), address_file, flaw, process: Mutex::new(None) };
        dav.reopen();
        dav
    }

    /// Where it is reached, as a driver takes it.
    pub fn endpoint(&self) -> String {
        let address = fs::read_to_string(&self.address_file);
        format!("http://{}", address.unwrap_or_else(|error| panic!("no address: {error}")))
    }

    /// Ends it at once, as a crash does.
    pub fn close(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((mut child, _)) = process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again where it was.
    pub fn reopen(&self) {
        self.close();
        let log_file = self.address_file.with_extension("log");
        let log = File::create(&log_file).unwrap_or_else(|error| panic!("no log: {error}"));
        let before = fs::metadata(&self.address_file).and_then(|it| it.modified()).ok();
        let mut child = Command::new(environment())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("server.py"))
            .args([&self.address_file, &self.top])
            .args(self.flaw)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("can't start the test server: {error}"));
        let input = child.stdin.take().unwrap_or_else(|| panic!("it was piped"));
        for _ in 0..LOOKS_MAX {
            let now = fs::metadata(&self.address_file).and_then(|it| it.modified()).ok();
            if now.is_some() && now != before {
                let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
                *process = Some((child, input));
                return;
            }
            if let Ok(Some(status)) = child.try_wait() {
                let said = fs::read_to_string(&log_file).unwrap_or_default();
                panic!("the test server ended ({status}): {said}");
            }
            std::thread::park_timeout(BETWEEN_LOOKS);
        }
        panic!("the test server didn't begin to serve");
    }
}

impl Drop for Dav {
    fn drop(&mut self) {
        self.close();
    }
}

/// Cargo's target directory: that of the program that runs.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("who am I? {error}"));
    let in_target = |path: &&Path| path.ends_with("debug") || path.ends_with("release");
    let profile = program.ancestors().find(in_target);
    let target = profile.and_then(Path::parent).map(Path::to_owned);
    target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target"))
}

/// The Python of an environment that has what the server needs, made if it isn't there.
fn environment() -> PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(make_environment).clone()
}

fn make_environment() -> PathBuf {
    let home = target().join("webdav-server");
    fs::create_dir_all(&home).unwrap_or_else(|error| panic!("no `{}`: {error}", home.display()));
    // Tests of many processes come here at once; one of them does the work.
    let lock = File::create(home.join("lock")).unwrap_or_else(|error| panic!("no lock: {error}"));
    flock(&lock, FlockOperation::LockExclusive).unwrap_or_else(|error| panic!("lock: {error}"));
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
