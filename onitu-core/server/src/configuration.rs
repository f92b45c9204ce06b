//! What the Core is told from outside: the configuration and the installed drivers.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use onitu_core::plan::Remembered;
use onitu_core::store::Registry;
use onitu_core::{Mode, Service};

/// One `[services.NAME]`, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// Its name.
    pub name: String,
    /// Its driver's name.
    pub driver: String,
    /// Two-way, source or backup.
    pub mode: Mode,
    /// The driver's options, paths made absolute.
    pub options: BTreeMap<String, serde_json::Value>,
}

/// `entries.toml` as far as the Core acts on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    /// In the order of the file.
    pub services: Vec<Configured>,
    /// The rules' text; [`None`] means everything goes everywhere.
    pub rules: Option<String>,
    /// The file that text stands in, and the line with which it begins, from 1; [`None`] without
    /// rules, or where only the store told them.
    pub rules_place: Option<(PathBuf, usize)>,
    /// Whether junk is synchronized like anything else.
    pub keeps_junk: bool,
}

impl From<Registry> for Configuration {
    /// The configuration that led to `registry`.
    fn from(registry: Registry) -> Self {
        let configured = |service: Service| Configured {
            name: service.name,
            driver: service.driver,
            mode: service.mode,
            options: service.options,
        };
        let services = registry.services.into_iter().map(configured).collect();
        Self { services, rules: registry.rules, rules_place: None, keeps_junk: registry.keeps_junk }
    }
}

/// Where the Core learns what it should do. The calls may block for as long as a file is read or
/// a driver is asked for its manifest, and may be repeated.
pub trait Sources: Send + Sync + 'static {
    /// Reads the configuration; an error is every mistake of it, rendered for a person.
    fn configuration(&self) -> Result<Configuration, String>;
    /// The program that runs services of `driver`; an error says what to install.
    fn program(&self, driver: &str) -> Result<PathBuf, String>;
    /// What [`Sources::remember`] was told last; [`None`] if it never was. An error, which says why
    /// it can't be known, never means that it wasn't.
    fn remembered(&self) -> Result<Option<Remembered>, String>;
    /// Keeps this for good, whatever becomes of the store, before it answers.
    fn remember(&self, remembered: &Remembered) -> Result<(), String>;
}
