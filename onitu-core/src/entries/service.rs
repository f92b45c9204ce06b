//! The `[services.*]` sections.

use toml_edit::{Item, TableLike};

use super::value::{Field, type_name};
use super::{Check, Diagnostic, DriverProblem, SERVICE_NAME_MAX, ServiceEntry, every, listed};
use crate::manifest::Manifest;
use crate::rules::nearest;

/// Drivers that belong to Onitu: one that isn't installed is no unknown one.
const OWN_DRIVERS: [&str; 5] = ["local", "s3", "sftp", "dropbox", "memory"];

impl Check<'_> {
    /// Every service; [`None`] after an error.
    pub fn services(&mut self, top: &dyn TableLike) -> Option<Vec<ServiceEntry>> {
        let example = "write one section a service: `[services.laptop]`, `driver = \"local\"`, \
                       `root = \"~/Sync\"`";
        let field = Field::of("`entries.toml`", top, "services");
        if let Some(field) = field.as_ref().filter(|field| !field.item.is_table_like()) {
            let message = format!("`services` must hold tables, not {}", type_name(field.item));
            self.say(Diagnostic::error(message, field.key.clone()).hint(example));
            return None;
        }
        let table = field.as_ref().and_then(|field| field.item.as_table_like());
        let Some(table) = table.filter(|table| !table.is_empty()) else {
            let problem = Diagnostic::error("a set needs at least one `[services.NAME]`", None);
            self.say(problem.hint(example));
            return None;
        };
        let sections: Vec<(&str, &Item)> = table.iter().collect();
        let services: Vec<_> =
            sections.iter().map(|(name, _)| self.service(name, table, &sections)).collect();
        let right = !self.problems.iter().any(Diagnostic::is_error);
        if let ([(name, _)], true) = (&sections[..], right) {
            let message =
                format!("`{name}` is the only service: there is nothing to keep it in step with");
            let span = table.key(name).and_then(toml_edit::Key::span);
            self.say(Diagnostic::warning(message, span).hint("add a second `[services.NAME]`"));
        }
        services.into_iter().collect()
    }

    fn service(
        &mut self,
        name: &str,
        services: &dyn TableLike,
        sections: &[(&str, &Item)],
    ) -> Option<ServiceEntry> {
        let owner = format!("service `{name}`");
        let header = Field::of(&owner, services, name)?;
        let named = self.service_name(&header, sections);
        let Some(table) = header.item.as_table_like() else {
            let found = type_name(header.item);
            let problem = header.error(format!("{owner} must be a table, not {found}"));
            self.say(problem.hint(format!("write `[services.{name}]` and its options below it")));
            return None;
        };
        let every = self.every(&owner, table);
        let driver = self.driver(&header, table)?;
        let manifest = self.manifest(&driver.0, &driver.1)?;
        let options = self.options(&owner, name, table, &manifest);
        let known = |key: &str| {
            every::NAMES.contains(&key) || manifest.options.iter().any(|spec| spec.name == key)
        };
        let unknown = table.iter().filter(|(key, _)| !known(key));
        let unknown: Vec<_> =
            unknown.filter_map(|(key, _)| Field::of(&owner, table, key)).collect();
        let missing = self.missing_options(&header, &manifest, &unknown);
        for field in &unknown {
            self.unknown_option(field, &manifest, &every::NAMES);
        }
        let options = options.filter(|_| named && !missing && unknown.is_empty())?;
        Some(ServiceEntry {
            name: name.to_owned(),
            driver: driver.0,
            mode: every.mode,
            verify_s: every.verify_s,
            poll_s: every.poll_s,
            trash_days: every.trash_days,
            trash_size_bytes: every.trash_size_bytes,
            at: every.at,
            quota_bytes: every.quota_bytes,
            limit: every.limit,
            max_delete: every.max_delete,
            max_change: every.max_change,
            keeps_symlinks: manifest.abilities.symlinks,
            options: options.values,
            secrets: options.secrets,
        })
    }

    /// Names appear in paths, sockets and conflict names, so they are kept plain.
    fn service_name(&mut self, header: &Field<'_>, sections: &[(&str, &Item)]) -> bool {
        let name = header.name;
        let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "_-".contains(it);
        if (1..=SERVICE_NAME_MAX).contains(&name.len()) && name.chars().all(plain) {
            return true;
        }
        let lower = name.to_lowercase();
        let twin = sections.iter().find(|(it, _)| *it != name && it.to_lowercase() == lower);
        let problem =
            Diagnostic::error(format!("`{name}` can't be a service's name"), header.key.clone());
        let problem = problem.hint(format!(
            "a name has 1 to {SERVICE_NAME_MAX} letters of `a-z`, `0-9`, `_` and `-`"
        ));
        self.say(match twin {
            Some((twin, _)) => problem.hint(format!("it differs from `{twin}` only in case")),
            None if lower != name && lower.chars().all(plain) => {
                problem.hint(format!("write `{lower}`"))
            }
            None => problem,
        });
        false
    }

    /// The driver's name and its field.
    fn driver<'t>(
        &mut self,
        header: &Field<'t>,
        table: &'t dyn TableLike,
    ) -> Option<(String, Field<'t>)> {
        let owner = header.owner;
        let Some(field) = Field::of(owner, table, "driver") else {
            let meant = table.iter().find(|(key, _)| nearest(key, ["driver"]).is_some());
            let problem = if let Some(key) = meant.and_then(|(key, _)| table.key(key)) {
                let message = format!("unknown option `{}` in {owner}", key.get());
                Diagnostic::error(message, key.span()).hint("did you mean `driver`?")
            } else {
                let message = format!("{owner} has no `driver`");
                Diagnostic::error(message, header.key.clone()).hint(self.installed())
            };
            self.say(problem);
            return None;
        };
        Some((self.text(&field)?, field))
    }

    /// What the driver says of itself.
    fn manifest(&mut self, name: &str, field: &Field<'_>) -> Option<Manifest> {
        if !self.manifests.contains_key(name) {
            let told = self.ask(name);
            self.manifests.insert(name.to_owned(), told);
        }
        match self.manifests.get(name)? {
            Ok(manifest) => Some(manifest.clone()),
            Err(problem) => {
                let problem = self.no_driver(name, field, problem);
                self.say(problem);
                None
            }
        }
    }

    /// Nothing that could be a path is ever looked for as a program.
    fn ask(&self, name: &str) -> Result<Manifest, DriverProblem> {
        let plain = |it: char| it.is_ascii_alphanumeric() || "_-".contains(it);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(DriverProblem::NotFound);
        }
        (self.setting.drivers)(name)
    }

    fn no_driver(&self, name: &str, field: &Field<'_>, problem: &DriverProblem) -> Diagnostic {
        let owner = field.owner;
        let installed = || self.setting.known_drivers.iter().map(String::as_str);
        let place = format!("`onitu-driver-{name}` was not found on PATH or beside `onitu`");
        match problem {
            DriverProblem::Failed(why) => {
                let message = format!("driver `{name}` of {owner} can't be used: {why}");
                field.error(message).hint(format!("try `onitu-driver-{name} manifest`"))
            }
            DriverProblem::NotFound if OWN_DRIVERS.contains(&name) => {
                let problem = field.error(format!("driver `{name}` of {owner} is not installed"));
                problem.hint(place).hint(self.installed())
            }
            DriverProblem::NotFound => {
                let drivers = format!("{place}; {}", self.installed());
                let problem = field.error(format!("unknown driver `{name}` in {owner}"));
                problem.nearest(name, installed().chain(OWN_DRIVERS), drivers)
            }
        }
    }

    fn installed(&self) -> String {
        let drivers = &self.setting.known_drivers;
        if drivers.is_empty() {
            return "no driver is installed".to_owned();
        }
        format!("installed drivers are {}", listed(drivers.iter().map(String::as_str)))
    }
}
