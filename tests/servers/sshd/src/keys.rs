//! Keys, and an agent that holds one.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Makes a pair of keys: `file`, and `file.pub`.
pub(crate) fn make(file: &Path) {
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file));
}

/// The fingerprint of a key, as people compare it.
pub(crate) fn fingerprint(file: &Path) -> String {
    let told = run(Command::new("ssh-keygen").arg("-lf").arg(file.with_extension("pub")));
    told.split_whitespace().nth(1).expect("a fingerprint").to_owned()
}

/// Runs a program of OpenSSH's, and tells what it said.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.expect("no ssh-keygen: install the package openssh-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An ssh-agent that holds one key; ends when dropped.
pub struct Agent {
    dir: TempDir,
    process: Child,
}

impl Agent {
    /// Starts one with the key in `file`.
    ///
    /// # Panics
    /// When it can't be started, which fails the test.
    pub fn start(file: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("agent-").tempdir().expect("a folder");
        let socket = dir.path().join("socket");
        let mut process = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("no ssh-agent: install the package openssh-client");
        // It says where its socket is when it is there.
        let mut said = [0];
        let output = process.stdout.as_mut().expect("its output");
        std::io::Read::read_exact(output, &mut said).expect("the agent to begin");
        let agent = Self { dir, process };
        agent.add(file);
        agent
    }

    /// Gives it one more key, behind those it has.
    ///
    /// # Panics
    /// When it doesn't take it, which fails the test.
    pub fn add(&self, file: &Path) {
        run(Command::new("ssh-add").arg("-q").arg(file).env("SSH_AUTH_SOCK", self.socket()));
    }

    /// Its socket, for the variable `SSH_AUTH_SOCK`.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
