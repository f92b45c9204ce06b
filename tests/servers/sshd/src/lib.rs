//! OpenSSH's own server for tests: with keys and a configuration of its own, on a free port of
//! loopback, as the user who runs the test.
//!
//! The port is this process's. For each connection that it accepts it starts `sshd -i`, which
//! serves that one and ends. So no port is guessed, nothing is left when the test ends, and a
//! connection is cut by ending a process that was started here.

#![allow(clippy::missing_panics_doc, reason = "every function here panics to fail the test")]

mod keys;

use std::fs;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Value, json};
use tempfile::TempDir;

pub use keys::Agent;

/// Where systems keep the program; it wants to be called by its whole path.
const SSHD: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];
/// The program that speaks SFTP; without one, sshd does by itself.
const SFTP_SERVER: [&str; 3] = [
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
];

/// The number of the user who has no rights, on every system.
const NOBODY: u32 = 65_534;

/// A server; gone when dropped.
pub struct Sshd {
    dir: TempDir,
    address: SocketAddr,
    user: String,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    connections: Mutex<Vec<(Child, TcpStream)>>,
    /// Whether nobody is let in.
    is_closed: AtomicBool,
    has_ended: AtomicBool,
}

impl Sshd {
    /// Starts one.
    ///
    /// # Panics
    /// When it can't be started, which fails the test.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one with further lines in its configuration, before the usual ones: OpenSSH takes the
    /// first that it finds.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_with(lines: &[&str]) -> Self {
        let program = find(&SSHD).expect("no sshd: install the package openssh-server");
        let dir = tempfile::Builder::new().prefix("sshd-").tempdir().expect("a temporary folder");
        keys::make(&dir.path().join("host_key"));
        keys::make(&dir.path().join("user_key"));
        fs::copy(dir.path().join("user_key.pub"), dir.path().join("authorized_keys"))
            .expect("a file");
        fs::write(dir.path().join("config"), configuration(dir.path(), lines)).expect("a file");
        make_separation_directory();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the port");
        let shared = Arc::new(Shared::default());
        let (config, log) = (dir.path().join("config"), dir.path().join("log"));
        let server = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if server.has_ended.load(Ordering::SeqCst) {
                    return;
                }
                if !server.is_closed.load(Ordering::SeqCst) {
                    server.serve(connection, &program, &config, &log);
                }
            }
        });
        let accepting = Some(accepting);
        let sshd = Self { dir, address, user: user(), shared, accepting };
        sshd.trust_host_key();
        sshd
    }

    /// Starts one whose files are reached as a user with no rights to speak of, for tests of what is
    /// denied: root is denied nothing.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_unprivileged() -> Self {
        if user() != "root" {
            return Self::start();
        }
        let as_nobody = format!("setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups");
        Self::start_with(&[&format!("Subsystem sftp {as_nobody} {}", sftp_server())])
    }

    /// Gives a folder, and what is in it, to the user of [`Self::start_unprivileged`].
    ///
    /// # Panics
    /// When it can't be given, which fails the test.
    pub fn give(folder: &Path) {
        if user() == "root" {
            own(folder);
        }
    }

    /// The port it listens at, on `127.0.0.1`.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Who may log in: the user who runs the test.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The file of the key that lets the user in.
    pub fn private_key(&self) -> PathBuf {
        self.dir.path().join("user_key")
    }

    /// The file of the server's own key.
    pub fn host_key(&self) -> PathBuf {
        self.dir.path().join("host_key")
    }

    /// A file that knows the server's host key.
    pub fn known_hosts(&self) -> PathBuf {
        self.dir.path().join("known_hosts")
    }

    /// What the server said, for a test that fails.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The options of an SFTP service with this root.
    pub fn options(&self, root: &Path) -> Value {
        json!({
            "host": "127.0.0.1",
            "port": self.port(),
            "user": self.user,
            "root": root,
            "private_key": self.private_key(),
            "known_hosts": self.known_hosts(),
        })
    }

    /// Gives the server another host key, which nobody knows; tells its fingerprint.
    pub fn change_host_key(&self) -> String {
        let key = self.dir.path().join("host_key");
        for file in [key.clone(), key.with_extension("pub")] {
            fs::remove_file(file).expect("the old key");
        }
        keys::make(&key);
        keys::fingerprint(&key)
    }

    /// Has [`Self::known_hosts`] know the host key that the server has now.
    pub fn trust_host_key(&self) {
        let key = fs::read_to_string(self.dir.path().join("host_key.pub")).expect("the host key");
        let line = format!("[127.0.0.1]:{} {key}", self.port());
        fs::write(self.known_hosts(), line).expect("a file");
    }

    /// The fingerprint of the host key.
    pub fn fingerprint(&self) -> String {
        keys::fingerprint(&self.dir.path().join("host_key"))
    }

    /// Ends all connections at once, as a crash of the server does.
    pub fn cut(&self) {
        let mut connections =
            self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner);
        for (mut child, stream) in connections.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Cuts all connections and lets nobody in.
    pub fn close(&self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.cut();
    }

    /// Lets users in again.
    pub fn reopen(&self) {
        self.shared.is_closed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        self.cut();
        // So that it sees that.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        self.cut();
    }
}

impl Shared {
    fn serve(&self, connection: TcpStream, program: &Path, config: &Path, log: &Path) {
        let ours = connection.try_clone();
        let output = connection.try_clone();
        let (Ok(ours), Ok(output)) = (ours, output) else { return };
        let started = Command::new(program)
            .args(["-i", "-f"])
            .arg(config)
            .arg("-E")
            .arg(log)
            .stdin(Stdio::from(OwnedFd::from(connection)))
            .stdout(Stdio::from(OwnedFd::from(output)))
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else { return };
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain_mut(|(child, _)| !matches!(child.try_wait(), Ok(Some(_))));
        connections.push((child, ours));
    }
}

fn own(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("given away");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("a folder").flatten() {
            own(&entry.path());
        }
    }
}

/// What speaks SFTP, for a line `Subsystem sftp …` with options of its own.
pub fn sftp_server() -> String {
    find(&SFTP_SERVER).map_or("internal-sftp".to_owned(), |it| it.display().to_string())
}

fn configuration(dir: &Path, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        text += line;
        text += "\n";
    }
    // Said twice, it is an error.
    if !lines.iter().any(|line| line.starts_with("Subsystem")) {
        text += "Subsystem sftp ";
        text += &sftp_server();
        text += "\n";
    }
    let dir = dir.display();
    text + &format!(
        "HostKey {dir}/host_key\n\
         AuthorizedKeysFile {dir}/authorized_keys\n\
         StrictModes no\n\
         UsePAM no\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         PermitRootLogin yes\n\
         UseDNS no\n\
         PidFile none\n"
    )
}

/// Run as root, sshd wants an empty directory that is made when the system starts.
fn make_separation_directory() {
    if user() == "root" {
        let _ = fs::create_dir_all("/run/sshd");
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("the program `id`");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn find(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}
