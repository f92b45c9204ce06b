//! The private directory of one run's sockets.
//!
//! Its name is short, because the path of a unix socket ends at 107 bytes however deep the state
//! directory lies, and unpredictable, because the temporary directory is everybody's.

use std::fs::{DirBuilder, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

#[cfg(test)]
mod tests;

/// How the name of every runtime directory begins.
const PREFIX: &str = "onitu-";
/// Random hexadecimal digits after [`PREFIX`]; at most 16.
const DIGITS: usize = 12;
/// Longest path of a runtime directory, in bytes: what is left of 107 is for the sockets' names.
pub const PATH_BYTES_MAX: usize = 60;

/// A runtime directory of this process, removed when it is dropped.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
    /// Locked, so that cleaners of temporary directories (systemd-tmpfiles) leave it alone.
    _lock: File,
}

impl RuntimeDir {
    /// Makes one in the first of `bases` in which that is possible.
    ///
    /// # Errors
    ///
    /// Names every base and why it didn't do.
    pub fn create(bases: &[PathBuf]) -> anyhow::Result<RuntimeDir> {
        let mut reasons = Vec::new();
        for base in bases {
            match create_in(base) {
                Ok(made) => return Ok(made),
                Err(error) => reasons.push(format!("`{}`: {error}", base.display())),
            }
        }
        anyhow::bail!("no private directory for sockets can be made: {}", reasons.join("; "))
    }

    /// `$XDG_RUNTIME_DIR`, the temporary directory, `/tmp`.
    pub fn bases() -> Vec<PathBuf> {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let own = own.filter(|base| base.is_absolute());
        own.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]).collect()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RuntimeDir {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Removes a runtime directory that an earlier run left behind. Touches nothing that doesn't look
/// exactly like one of this user's own. May be repeated.
pub fn remove(path: &Path) {
    if is_ours(path) {
        // What is left costs a few bytes of a temporary directory and harms nobody.
        let _ = std::fs::remove_dir_all(path);
    }
}

fn is_ours(path: &Path) -> bool {
    let digits = path.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX));
    let named = digits.is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|c| c.is_ascii_hexdigit())
    });
    let own = std::fs::symlink_metadata(path).is_ok_and(|meta| {
        meta.is_dir()
            && meta.uid() == rustix::process::geteuid().as_raw()
            && meta.mode() & 0o777 == 0o700
    });
    path.is_absolute() && named && own
}

fn create_in(base: &Path) -> std::io::Result<RuntimeDir> {
    let path = base.join(format!("{PREFIX}{}", random_digits()?));
    if path.as_os_str().as_bytes().len() > PATH_BYTES_MAX {
        return Err(std::io::Error::new(ErrorKind::InvalidFilename, "its path is too long"));
    }
    if !is_safe(&std::fs::metadata(base)?) {
        return Err(std::io::Error::new(
            ErrorKind::PermissionDenied,
            "others could put something else in its place",
        ));
    }
    // Fails if anything stands there, a symbolic link included.
    DirBuilder::new().mode(0o700).create(&path)?;
    let lock = File::open(&path)?;
    // A file system without locks only loses the protection from cleaners.
    let _ = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared);
    Ok(RuntimeDir { path, _lock: lock })
}

/// Whether nobody else can rename what this user makes in a directory.
fn is_safe(base: &Metadata) -> bool {
    const STICKY: u32 = 0o1000;
    let own = base.uid() == rustix::process::geteuid().as_raw();
    let sticky = base.mode() & STICKY != 0;
    (own && base.mode() & 0o022 == 0) || (sticky && (own || base.uid() == 0))
}

fn random_digits() -> std::io::Result<String> {
    let mut bytes = [0_u8; 8];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut digits = format!("{:016x}", u64::from_ne_bytes(bytes));
    digits.truncate(DIGITS);
    Ok(digits)
}
