//! What a check needs to know of the outside, given by its caller.

use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::Manifest;

/// The outside of a configuration.
#[derive(Clone)]
pub struct ParseSetting<'a> {
    /// The file, as messages shall show it.
    pub file: PathBuf,
    /// The absolute path of the directory that holds the file: relative paths begin there.
    pub directory: PathBuf,
    /// The file's permissions, if they are known: secrets in a file for everybody are warned of.
    pub file_mode: Option<u32>,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// A variable's value, [`None`] if it isn't set.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Where the state goes when the file doesn't say ([`super::default_state_dir`]).
    pub default_state_dir: Option<PathBuf>,
    /// What the driver of this name says of itself. Asked once for each name.
    pub drivers: &'a dyn Fn(&str) -> Result<Manifest, DriverProblem>,
    /// Names of the installed drivers, for hints.
    pub known_drivers: Vec<String>,
    /// The files the configuration names.
    pub files: &'a dyn Files,
}

impl ParseSetting<'_> {
    /// The absolute path of the file.
    pub(super) fn path(&self) -> PathBuf {
        self.file.file_name().map_or(self.directory.clone(), |name| self.directory.join(name))
    }
}

/// Why a driver can't be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverProblem {
    /// There is no program `onitu-driver-NAME`.
    #[error("the program was not found")]
    NotFound,
    /// It was started and told nothing of use: how it ended, what it wrote.
    #[error("{0}")]
    Failed(String),
}

/// The files a configuration names, and nothing else.
pub trait Files {
    /// The whole text of a file: rules, or a secret.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The absolute path without symbolic links; [`None`] if it can't be known.
    fn canonical(&self, path: &Path) -> Option<PathBuf>;
    /// Whether it is a folder; [`None`] if nothing is there.
    fn is_folder(&self, path: &Path) -> Option<bool>;
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        std::fs::canonicalize(path).ok()
    }

    fn is_folder(&self, path: &Path) -> Option<bool> {
        match std::fs::metadata(path) {
            Ok(about) => Some(about.is_dir()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // Whatever else is wrong with it, the driver will say so.
            Err(_) => Some(true),
        }
    }
}
