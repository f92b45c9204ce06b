//! The real outside: `entries.toml` on this machine's disk, and the drivers installed here.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use onitu_core::drivers::{self, PROGRAM_PREFIX, Places};
use onitu_core::entries::{
    self, Disk, DriverProblem, Entries, ParseSetting, ServiceEntry, default_state_dir,
};
use onitu_core::manifest::Manifest;
use onitu_core::{AT, KEEPS_SYMLINKS, LIMIT};
use serde_json::Value;

use crate::configuration::{Configuration, Configured, Remembered, Sources};

/// Reads one configuration file, and finds drivers where the running program does.
pub struct Disked {
    config: PathBuf,
    state_dir: PathBuf,
    places: Places,
}

/// In the state directory: a directory for each service's driver.
const DRIVERS_DIR: &str = "drivers";
/// In the state directory: what was approved of removing.
const RULES_FILE: &str = "rules.json";

impl Disked {
    /// The configuration in the file `config`, what is to be remembered in `state_dir`, and the
    /// drivers in `places`.
    pub fn new(config: PathBuf, state_dir: PathBuf, places: Places) -> Self {
        Self { config, state_dir, places }
    }

    fn manifest(&self, driver: &str) -> Result<Manifest, DriverProblem> {
        let program = self.places.driver(driver).ok_or(DriverProblem::NotFound)?;
        drivers::manifest(driver, &program)
            .map_err(|error| DriverProblem::Failed(error.to_string()))
    }

    fn entries(&self) -> Result<Entries, String> {
        let shown = self.config.display();
        let text = std::fs::read_to_string(&self.config)
            .map_err(|error| format!("error: can't read `{shown}`: {error}"))?;
        let absolute = std::path::absolute(&self.config)
            .map_err(|error| format!("error: can't find the folder of `{shown}`: {error}"))?;
        let mode = std::fs::metadata(&self.config).map(|about| about.permissions().mode() & 0o777);
        let variable = |name: &str| std::env::var(name).ok();
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let home = path("HOME");
        let setting = ParseSetting {
            file: self.config.clone(),
            directory: absolute.parent().unwrap_or(&absolute).to_owned(),
            file_mode: mode.ok(),
            environment: &variable,
            default_state_dir: default_state_dir(
                path("XDG_STATE_HOME").as_deref(),
                home.as_deref(),
            ),
            home,
            drivers: &|name| self.manifest(name),
            known_drivers: self.places.drivers().into_keys().collect(),
            files: &Disk,
        };
        let checked = entries::parse(&text, &setting);
        checked.entries.ok_or_else(|| entries::render(&checked.problems, &text, false))
    }
}

impl Sources for Disked {
    fn configuration(&self) -> Result<Configuration, String> {
        let entries = self.entries()?;
        Ok(Configuration {
            services: entries.services.into_iter().map(|it| self.configured(it)).collect(),
            rules_place: entries.rules.as_ref().map(|it| (it.file.clone(), it.first_line)),
            rules: entries.rules.map(|rules| rules.text),
            keeps_junk: !entries.ignore_junk,
        })
    }

    fn program(&self, driver: &str) -> Result<PathBuf, String> {
        self.places.driver(driver).ok_or_else(|| {
            format!(
                "its driver `{driver}` is not installed: install `{PROGRAM_PREFIX}{driver}` \
                 beside `onitu` or on `PATH`, then run `onitu reload`"
            )
        })
    }

    fn remembered(&self) -> Result<Option<Remembered>, String> {
        let file = self.state_dir.join(RULES_FILE);
        let told = |error: &dyn std::fmt::Display| format!("`{}`: {error}", file.display());
        match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| told(&error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(&error)),
        }
    }

    fn remember(&self, remembered: &Remembered) -> Result<(), String> {
        let file = self.state_dir.join(RULES_FILE);
        let bytes = serde_json::to_vec_pretty(remembered).unwrap_or_default();
        replace(&file, &bytes).map_err(|error| format!("can't write `{}`: {error}", file.display()))
    }
}

/// Puts `bytes` in the place of `file`, durably and at once.
fn replace(file: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut written = File::create(&new)?;
    written.write_all(bytes)?;
    written.sync_all()?;
    std::fs::rename(&new, file)?;
    File::open(file.parent().unwrap_or(file))?.sync_all()
}

impl Disked {
    /// A service as the registry has it: with its driver's options stand those that every service
    /// may have and that the driver's runtime acts on.
    fn configured(&self, entry: ServiceEntry) -> Configured {
        let mut options = entry.options;
        let mut set = |name: &str, value: Option<Value>| {
            options.extend(value.map(|value| (name.to_owned(), value)));
        };
        let state_dir = self.state_dir.join(DRIVERS_DIR).join(&entry.name);
        set("state_dir", state_dir.to_str().map(Into::into));
        set("trash_days", Some(entry.trash_days.into()));
        set(AT, (!entry.at.is_root()).then(|| entry.at.as_str().into()));
        set(KEEPS_SYMLINKS, (!entry.keeps_symlinks).then_some(Value::Bool(false)));
        set("quota_bytes", entry.quota_bytes.map(Into::into));
        set("trash_size_bytes", entry.trash_size_bytes.map(Into::into));
        set("verify_s", entry.verify_s.map(Into::into));
        set("poll_s", entry.poll_s.map(Into::into));
        // These are always writable as a value.
        set(LIMIT, entry.limit.and_then(|limit| serde_json::to_value(limit).ok()));
        set("max_delete", entry.max_delete.and_then(|share| serde_json::to_value(share).ok()));
        set("max_change", entry.max_change.and_then(|share| serde_json::to_value(share).ok()));
        Configured { name: entry.name, driver: entry.driver, mode: entry.mode, options }
    }
}

#[cfg(test)]
mod tests;
