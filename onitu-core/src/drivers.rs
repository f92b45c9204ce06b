//! Which programs are installed, and what each driver says of itself.
//!
//! A driver is found as `onitu-driver-NAME` beside the running program or on `PATH`, like cargo's
//! subcommands, so a third party installs a binary and nothing here changes. `onitu-driver-NAME
//! manifest` prints its [`Manifest`]. This module never runs a driver for anything else.
//!
//! It is synchronous: an asynchronous caller uses `spawn_blocking`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::manifest::Manifest;
use crate::message;

#[cfg(test)]
mod tests;

/// A directory that is searched for programs before any other; for tests and for packagers who
/// keep the programs apart from `onitu`.
pub const BIN_DIR_VARIABLE: &str = "ONITU_BIN_DIR";
/// How the program of a driver begins.
pub const PROGRAM_PREFIX: &str = "onitu-driver-";
/// How long a driver may take to print its manifest.
pub const MANIFEST_LIMIT: Duration = Duration::from_secs(5);
/// Most bytes of a manifest, and of what is kept of a failing driver's complaint.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// The directories in which programs are looked for, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    directories: Vec<PathBuf>,
}

/// Why a driver's manifest can't be had. Says everything a person needs, without the driver's
/// name.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It can't be started.
    #[error("`{}` can't be started: {source}", program.display())]
    Start {
        /// The driver's program.
        program: PathBuf,
        /// As the system says.
        source: std::io::Error,
    },
    /// It printed no complete manifest in time.
    #[error("`{} manifest` gave no answer within {} s", program.display(), limit.as_secs())]
    Silent {
        /// The driver's program.
        program: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It ended without a manifest.
    #[error("`{} manifest` failed ({status}){}", program.display(), after_colon(complaint))]
    Failed {
        /// The driver's program.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last line it wrote to stderr.
        complaint: String,
    },
    /// What it printed is no manifest.
    #[error("what `{} manifest` prints is no manifest: {source}", program.display())]
    Malformed {
        /// The driver's program.
        program: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// The manifest is another driver's.
    #[error("`{}` calls itself `{says}`", program.display())]
    OtherName {
        /// The driver's program.
        program: PathBuf,
        /// The name in its manifest.
        says: String,
    },
    /// It speaks another version of the protocol.
    #[error(
        "`{}` speaks version {says} of the protocol, this Onitu speaks {}: install the driver of \
         the same release",
        program.display(),
        message::VERSION
    )]
    OtherProtocol {
        /// The driver's program.
        program: PathBuf,
        /// The version in its manifest.
        says: u8,
    },
}

/// A driver found by [`Places::installed`].
#[derive(Debug)]
pub struct Installed {
    /// As in `driver = "NAME"`.
    pub name: String,
    /// Its program.
    pub program: PathBuf,
    /// What it says of itself.
    pub manifest: Result<Manifest, ManifestError>,
}

impl Places {
    /// Exactly these directories, in this order.
    pub fn new(directories: Vec<PathBuf>) -> Places {
        Places { directories }
    }

    /// Those of the running program: [`BIN_DIR_VARIABLE`] if it is set, the directory of the
    /// running program, then `PATH`.
    pub fn of_this_process() -> Places {
        let first = std::env::var_os(BIN_DIR_VARIABLE).filter(|text| !text.is_empty());
        let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = first.map(PathBuf::from).into_iter().collect();
        directories.extend(beside);
        // An empty or relative element means the working directory, in which a stranger may have
        // put a program.
        directories.extend(std::env::split_paths(&path).filter(|place| place.is_absolute()));
        Places { directories }
    }

    /// The first program of this name, if any.
    pub fn program(&self, name: impl AsRef<OsStr>) -> Option<PathBuf> {
        let name = Path::new(name.as_ref());
        self.directories.iter().map(|place| place.join(name)).find(|file| is_program(file))
    }

    /// The program of the driver of this name, if it is installed.
    pub fn driver(&self, name: &str) -> Option<PathBuf> {
        if is_driver_name(name) { self.program(format!("{PROGRAM_PREFIX}{name}")) } else { None }
    }

    /// Every driver's name and program; the first program found for a name is the one. Runs
    /// nothing.
    pub fn drivers(&self) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        for place in &self.directories {
            let Ok(listing) = std::fs::read_dir(place) else { continue };
            for entry in listing.flatten() {
                let file = entry.file_name();
                let name = file.to_str().and_then(|file| file.strip_prefix(PROGRAM_PREFIX));
                let Some(name) = name.filter(|name| is_driver_name(name)) else { continue };
                if !found.contains_key(name) && is_program(&entry.path()) {
                    found.insert(name.to_owned(), entry.path());
                }
            }
        }
        found
    }

    /// Every driver with its manifest, in order of names. They are asked at the same time, so
    /// this takes at most about [`MANIFEST_LIMIT`], however many are broken.
    pub fn installed(&self) -> Vec<Installed> {
        std::thread::scope(|scope| {
            let (answers, answered) = channel();
            for (name, program) in self.drivers() {
                let answers = answers.clone();
                scope.spawn(move || {
                    let manifest = manifest(&name, &program);
                    // The receiver waits for every answer.
                    let _ = answers.send(Installed { name, program, manifest });
                });
            }
            drop(answers);
            let mut installed: Vec<Installed> = answered.iter().collect();
            installed.sort_by(|one, other| one.name.cmp(&other.name));
            installed
        })
    }
}

/// Asks the driver `name` at `program` for its manifest, for at most [`MANIFEST_LIMIT`]. May be
/// repeated: it changes nothing.
///
/// # Errors
///
/// As [`ManifestError`] lists.
pub fn manifest(name: &str, program: &Path) -> Result<Manifest, ManifestError> {
    manifest_within(name, program, MANIFEST_LIMIT)
}

fn manifest_within(name: &str, program: &Path, limit: Duration) -> Result<Manifest, ManifestError> {
    let text = ask(program, limit)?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|source| ManifestError::Malformed { program: program.to_owned(), source })?;
    if manifest.name != name {
        return Err(ManifestError::OtherName { program: program.to_owned(), says: manifest.name });
    }
    if manifest.protocol != message::VERSION {
        let says = manifest.protocol;
        return Err(ManifestError::OtherProtocol { program: program.to_owned(), says });
    }
    Ok(manifest)
}

/// What `PROGRAM manifest` prints on stdout.
fn ask(program: &Path, limit: Duration) -> Result<Vec<u8>, ManifestError> {
    let mut child = Command::new(program)
        .arg("manifest")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| ManifestError::Start { program: program.to_owned(), source })?;
    let said = read_aside(child.stdout.take());
    let complained = read_aside(child.stderr.take());
    let said = said.recv_timeout(limit);
    // It has said everything, or its time is over; a driver that lingers isn't waited for. One
    // that is already on its way out keeps its own exit code.
    let complaint = match said {
        Ok(_) => complained.recv_timeout(limit / 5).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let status = end(&mut child);
    match (said, status) {
        (Err(_), _) => Err(ManifestError::Silent { program: program.to_owned(), limit }),
        (Ok(text), Ok(status)) if !status.success() && text.trim_ascii().is_empty() => {
            let complaint = last_line(&complaint);
            Err(ManifestError::Failed { program: program.to_owned(), status, complaint })
        }
        (Ok(text), _) => Ok(text),
    }
}

fn end(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    let _ = child.kill();
    child.wait()
}

/// Reads a pipe to its end (or its bound) on a thread of its own.
fn read_aside(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(pipe) = pipe {
            let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut text);
        }
        let _ = sender.send(text);
    });
    receiver
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Whether this can be a driver's name: ASCII letters, digits, `-` and `_`, so that it is one
/// component of a path and never an option.
fn is_driver_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.len() <= 64 && name.chars().all(fits)
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
