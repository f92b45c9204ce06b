//! A directory with a configuration and fake programs, and the instance that runs there.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::Duration;

use onitu_core::control::{FromCore, FromSupervisor, Instance, ToCore, ToSupervisor, Wanted};
use onitu_core::drivers::{BIN_DIR_VARIABLE, PROGRAM_PREFIX};
use onitu_core::status::ProcessStatus;
use rustix::process::{Pid, Signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A program that does nothing until SIGTERM. It notes that in `ended` beside the programs.
pub const IDLES: &str = r#"
trap 'echo "${0##*/}" >> "${0%/*}/ended"; exit 0' TERM
echo started
while :; do sleep 0.05; done
"#;
/// A program that SIGTERM doesn't end.
pub const HANGS: &str = "trap '' TERM\nwhile :; do sleep 0.05; done\n";

const MANIFEST: &str = r#"{"name":"local","description":"A folder of this machine","version":"1.0",
"protocol":PROTOCOL,"options":[{"name":"root","kind":"folder","required":true,"help":"The folder."}],
"abilities":{"rename":true,"mtime":true,"executable":true,"directories":true,"symlinks":true,
"tag_survives_rename":true,"exact_names":true,"trash":true}}"#;

/// Waits until `found` finds something; fails after about `limit`.
pub fn eventually<T>(what: &str, limit: Duration, mut found: impl FnMut() -> Option<T>) -> T {
    const EVERY: Duration = Duration::from_millis(10);
    for _ in 0..limit.as_millis() / EVERY.as_millis() {
        if let Some(found) = found() {
            return found;
        }
        std::thread::park_timeout(EVERY);
    }
    panic!("{what}: not within {limit:?}");
}

/// As [`eventually`], within ten seconds.
pub fn soon<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    eventually(what, Duration::from_secs(10), found)
}

/// Whether a process runs; one that ended and that nobody asked about doesn't.
pub fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A temporary directory with `entries.toml` (two services), `bin` and `state`.
pub struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        let place = Place { directory: tempfile::tempdir().unwrap() };
        for name in ["bin", "home", "laptop", "nas", "run"] {
            std::fs::create_dir(place.path().join(name)).unwrap();
        }
        place.write(
            "entries.toml",
            "[onitu]\nstate_dir = \"./state\"\n\n\
             [services.laptop]\ndriver = \"local\"\nroot = \"./laptop\"\n\n\
             [services.nas]\ndriver = \"local\"\nroot = \"./nas\"\n",
        );
        place.program("onitu-core", IDLES);
        place.program("onitu-referee", IDLES);
        let manifest = MANIFEST.replace("PROTOCOL", &onitu_core::message::VERSION.to_string());
        let driver = format!(
            "if [ \"$1\" = manifest ]; then cat <<'END'\n{manifest}\nEND\nexit; fi\n{IDLES}"
        );
        place.program(&format!("{PROGRAM_PREFIX}local"), &driver);
        place
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    /// Makes a shell script in `bin`.
    pub fn program(&self, name: &str, body: &str) -> PathBuf {
        let file = self.path().join("bin").join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    /// `onitu` with these arguments, in this directory and nothing else of the environment.
    pub fn onitu(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onitu"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin")
            .env("HOME", self.path().join("home"))
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .env(BIN_DIR_VARIABLE, self.path().join("bin"));
        command
    }

    /// What a command answers: exit code, stdout and stderr, with this directory as `[place]`.
    pub fn answer(&self, arguments: &[&str]) -> String {
        self.shown(&self.onitu(arguments).output().unwrap())
    }

    pub fn shown(&self, output: &Output) -> String {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code().unwrap();
        let shown = format!(
            "exit code: {code}\n----- stdout -----\n{}----- stderr -----\n{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        shown.replace(&self.path().display().to_string(), "[place]")
    }

    /// Starts `onitu up`.
    pub fn up(&self) -> Up<'_> {
        let file = |name: &str| File::create(self.path().join(name)).unwrap();
        let child =
            self.onitu(&["up"]).stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Up { place: self, child }
    }
}

/// A running `onitu up`, killed at the end if it still runs.
pub struct Up<'a> {
    place: &'a Place,
    child: Child,
}

impl Up<'_> {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The instance, once it is announced.
    pub fn instance(&self) -> Instance {
        let file = self.place.state().join("instance.json");
        soon("instance.json", || {
            let instance: Instance = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
            (instance.pid == self.pid()).then_some(instance)
        })
    }

    /// Asks the supervisor.
    pub fn ask(&self, question: &ToSupervisor) -> FromSupervisor {
        let socket = self.instance().runtime_dir.join("supervisor.sock");
        let mut stream = UnixStream::connect(socket).unwrap();
        say(&mut stream, question);
        hear(&mut BufReader::new(stream)).unwrap()
    }

    pub fn processes(&self) -> Vec<ProcessStatus> {
        match self.ask(&ToSupervisor::List) {
            FromSupervisor::Processes(processes) => processes,
            other => panic!("{other:?}"),
        }
    }

    /// The process of this name, once it runs.
    pub fn process(&self, name: &str) -> u32 {
        soon(name, || self.processes().into_iter().find(|it| it.name == name)?.pid)
    }

    /// Waits until the Core and the Referee run, and returns the metadata server's, the Core's
    /// and the Referee's process.
    pub fn own(&self) -> [u32; 3] {
        ["redis", "core", "referee"].map(|name| self.process(name))
    }

    /// Asks for exactly these drivers, all of them the script `program`.
    pub fn run(&self, names: &[&str], program: &Path) {
        let wanted = names
            .iter()
            .map(|name| Wanted {
                name: format!("driver-{name}"),
                program: program.to_owned(),
                arguments: vec![(*name).to_owned()],
            })
            .collect();
        assert_eq!(self.ask(&ToSupervisor::Run(wanted)), FromSupervisor::Done);
    }

    pub fn end(&mut self, signalled: Signal) -> ExitStatus {
        signal(self.pid(), signalled);
        self.ended()
    }

    pub fn ended(&mut self) -> ExitStatus {
        eventually("end", Duration::from_secs(15), || self.child.try_wait().unwrap())
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("stderr of onitu up:\n{}", self.place.read("stderr"));
            eprintln!("log:\n{}", self.place.read("state/log/onitu.log"));
        }
    }
}

/// Plays the Core: answers every question on its socket until the test ends.
pub fn play_core(up: &Up<'_>, answer: impl Fn(ToCore) -> FromCore + Send + 'static) {
    let listener = UnixListener::bind(up.instance().runtime_dir.join("core.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut questions = BufReader::new(stream.try_clone().unwrap());
            while let Some(question) = hear(&mut questions) {
                say(&mut stream, &answer(question));
            }
        }
    });
}

fn say(stream: &mut UnixStream, what: &impl Serialize) {
    let mut line = serde_json::to_vec(what).unwrap();
    line.push(b'\n');
    stream.write_all(&line).unwrap();
}

fn hear<T: DeserializeOwned>(stream: &mut impl BufRead) -> Option<T> {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    serde_json::from_str(&line).ok()
}
