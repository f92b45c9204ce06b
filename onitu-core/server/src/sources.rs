//! The real outside: `entries.toml` on this machine's disk, and the drivers installed here.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use onitu_core::AT;
use onitu_core::drivers::{self, PROGRAM_PREFIX, Places};
use onitu_core::entries::{
    self, Disk, DriverProblem, Entries, ParseSetting, ServiceEntry, default_state_dir,
};
use onitu_core::manifest::Manifest;

use crate::configuration::{Configuration, Configured, Sources};

/// Reads one configuration file, and finds drivers where the running program does.
pub struct Disked {
    config: PathBuf,
    places: Places,
}

impl Disked {
    /// The configuration in the file `config`, and the drivers in `places`.
    pub fn new(config: PathBuf, places: Places) -> Self {
        Self { config, places }
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
            services: entries.services.into_iter().map(configured).collect(),
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
}

/// A service as the registry has it: with its driver's options stand those that every service
/// may have and that the driver's runtime acts on.
fn configured(entry: ServiceEntry) -> Configured {
    let mut options = entry.options;
    options.insert("trash_days".to_owned(), entry.trash_days.into());
    if !entry.at.is_root() {
        options.insert(AT.to_owned(), entry.at.as_str().into());
    }
    if let Some(bytes) = entry.quota_bytes {
        options.insert("quota_bytes".to_owned(), bytes.into());
    }
    if let Some(bytes) = entry.trash_size_bytes {
        options.insert("trash_size_bytes".to_owned(), bytes.into());
    }
    if let Some(verify_s) = entry.verify_s {
        options.insert("verify_s".to_owned(), verify_s.into());
    }
    if let Some(poll_s) = entry.poll_s {
        options.insert("poll_s".to_owned(), poll_s.into());
    }
    for (name, share) in [("max_delete", entry.max_delete), ("max_change", entry.max_change)] {
        // A share is always writable as a value.
        if let Some(share) = share.and_then(|share| serde_json::to_value(share).ok()) {
            options.insert(name.to_owned(), share);
        }
    }
    Configured { name: entry.name, driver: entry.driver, mode: entry.mode, options }
}

#[cfg(test)]
mod tests;
