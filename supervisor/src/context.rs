//! What every command knows: the configuration's place, and how to reach the running instance.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use onitu_core::control::Instance;
use onitu_core::drivers::{self, Places};
use onitu_core::entries::{
    self, Checked, Disk, DriverProblem, Entries, ParseSetting, default_state_dir, lookup_order,
};

use crate::{Connection, Failure, instance};

/// The socket of the Core in the runtime directory.
pub const CORE_SOCKET: &str = "core.sock";
const LOG_FILE: &str = "log/onitu.log";

/// What the command line said for all commands, and what follows from it.
#[derive(Debug)]
pub struct Context {
    config: Option<PathBuf>,
    verbose: u8,
    places: Places,
}

/// A configuration that was read and checked.
#[derive(Debug)]
pub struct Configuration {
    /// As a person should see it.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// What was found.
    pub checked: Checked,
}

impl Configuration {
    /// Every problem as a person reads it; empty if there is none.
    pub fn render(&self, color: bool) -> String {
        entries::render(&self.checked.problems, &self.text, color)
    }
}

impl Context {
    /// From what the command line said.
    pub fn new(config: Option<PathBuf>, verbose: u8) -> Context {
        Context { config, verbose, places: Places::of_this_process() }
    }

    /// How often `-v` was given.
    pub fn verbose(&self) -> u8 {
        self.verbose
    }

    /// Where programs are looked for.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The configuration's file, as a person should see it.
    ///
    /// # Errors
    ///
    /// When there is none; names every place that was tried.
    pub fn config_file(&self) -> Result<PathBuf, Failure> {
        let given = path_variable("ONITU_CONFIG");
        let (xdg, home) = (path_variable("XDG_CONFIG_HOME"), path_variable("HOME"));
        let order = lookup_order(
            self.config.as_deref(),
            given.as_deref(),
            Path::new(""),
            xdg.as_deref(),
            home.as_deref(),
        );
        if let Some(found) = order.iter().find(|file| file.exists()) {
            return Ok(found.clone());
        }
        let tried: Vec<_> = order.iter().map(|file| format!("`{}`", file.display())).collect();
        Err(Failure::bad_configuration(format!(
            "error: there is no configuration at {}\n\
             hint: write an `entries.toml`, or name one by `--config FILE`",
            tried.join(" or ")
        )))
    }

    /// Reads and checks the configuration; its problems are in the result.
    ///
    /// # Errors
    ///
    /// When the file can't be read.
    pub fn check(&self) -> Result<Configuration, Failure> {
        let (file, text) = self.read()?;
        let checked = self.setting(&file, |setting| entries::parse(&text, setting));
        Ok(Configuration { file, text, checked })
    }

    /// Reads and checks the configuration; prints its warnings on stderr.
    ///
    /// # Errors
    ///
    /// With every problem, rendered, and exit code 78 when it is wrong.
    pub fn load(&self) -> Result<(PathBuf, Entries), Failure> {
        let configuration = self.check()?;
        let rendered = configuration.render(crate::cli::color_on_stderr());
        let Some(entries) = configuration.checked.entries else {
            return Err(Failure::bad_configuration(rendered));
        };
        if !rendered.is_empty() {
            crate::cli::report(&rendered);
        }
        Ok((configuration.file, entries))
    }

    /// The running instance, and its state directory.
    ///
    /// # Errors
    ///
    /// When none runs, with the remedy.
    pub fn instance(&self) -> Result<(Instance, PathBuf), Failure> {
        let (file, text) = self.read()?;
        let state_dir = self.setting(&file, |setting| entries::state_dir(&text, setting));
        let state_dir = state_dir.ok_or_else(|| {
            let shown = file.display();
            Failure::bad_configuration(format!(
                "error: `{shown}` doesn't say where the state is\nhint: `onitu check` says what is wrong"
            ))
        })?;
        Ok((instance::running(&state_dir)?, state_dir))
    }

    /// A conversation with the Core of the running instance.
    ///
    /// # Errors
    ///
    /// When none runs, or its Core doesn't listen at the moment; with the remedy.
    pub fn core(&self) -> Result<Connection, Failure> {
        let (instance, state_dir) = self.instance()?;
        Connection::open(&instance.runtime_dir.join(CORE_SOCKET)).map_err(|error| {
            Failure::failed(format!(
                "Onitu runs (process {}), but its Core doesn't listen: {error}\n\
                 hint: it may be starting; `{}` says more",
                instance.pid,
                state_dir.join(LOG_FILE).display()
            ))
        })
    }

    fn read(&self) -> Result<(PathBuf, String), Failure> {
        let file = self.config_file()?;
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::bad_configuration(format!("error: can't read `{}`: {error}", file.display()))
        })?;
        Ok((file, text))
    }

    /// Does something with what a check needs to know of the outside.
    fn setting<T>(&self, file: &Path, with: impl FnOnce(&ParseSetting<'_>) -> T) -> T {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let mode = std::fs::metadata(file).map(|meta| meta.permissions().mode() & 0o777);
        let (xdg, home) = (path_variable("XDG_STATE_HOME"), path_variable("HOME"));
        with(&ParseSetting {
            file: file.to_owned(),
            directory: absolute.parent().unwrap_or(&absolute).to_owned(),
            file_mode: mode.ok(),
            environment: &|name| std::env::var(name).ok(),
            default_state_dir: default_state_dir(xdg.as_deref(), home.as_deref()),
            home,
            drivers: &|name| self.manifest(name),
            known_drivers: self.places.drivers().into_keys().collect(),
            files: &Disk,
        })
    }

    fn manifest(&self, name: &str) -> Result<onitu_core::manifest::Manifest, DriverProblem> {
        let program = self.places.driver(name).ok_or(DriverProblem::NotFound)?;
        drivers::manifest(name, &program).map_err(|error| DriverProblem::Failed(error.to_string()))
    }
}

fn path_variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
