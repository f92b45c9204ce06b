//! A driver's own options, checked against its manifest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use toml_edit::{Item, TableLike};

use super::folders::Folder;
use super::value::Field;
use super::{Check, Diagnostic, listed};
use crate::manifest::{Manifest, OptionKind, OptionSpec};
use crate::rules::nearest;

/// What a service gives its driver.
#[derive(Default)]
pub struct Options {
    pub values: BTreeMap<String, Value>,
    pub secrets: BTreeSet<String>,
}

impl Check<'_> {
    /// Every option of the manifest; [`None`] after an error.
    pub fn options(
        &mut self,
        owner: &str,
        service: &str,
        table: &dyn TableLike,
        manifest: &Manifest,
    ) -> Option<Options> {
        let mut options = Options::default();
        let mut right = true;
        for spec in &manifest.options {
            let Some(field) = Field::of(owner, table, &spec.name) else { continue };
            if spec.kind == OptionKind::Secret {
                options.secrets.insert(spec.name.clone());
            }
            match self.option(&field, spec.kind, service) {
                Some(value) => drop(options.values.insert(spec.name.clone(), value)),
                None => right = false,
            }
        }
        right.then_some(options)
    }

    /// Required options that aren't there, and aren't meant by one of the `unknown`.
    pub fn missing_options(
        &mut self,
        header: &Field<'_>,
        manifest: &Manifest,
        unknown: &[Field<'_>],
    ) -> bool {
        let Some(table) = header.item.as_table_like() else { return false };
        let meant = |name: &str| unknown.iter().any(|it| nearest(it.name, [name]).is_some());
        let missing = |spec: &&OptionSpec| {
            spec.required && !table.contains_key(&spec.name) && !meant(&spec.name)
        };
        let mut any = false;
        for spec in manifest.options.iter().filter(missing) {
            let (name, driver) = (&spec.name, &manifest.name);
            let message = format!("{} lacks `{name}`, which driver `{driver}` needs", header.owner);
            let problem = Diagnostic::error(message, header.key.clone());
            self.say(problem.hint(format!("`{name}`: {}", spec.help)));
            any = true;
        }
        any
    }

    fn option(&mut self, field: &Field<'_>, kind: OptionKind, service: &str) -> Option<Value> {
        match kind {
            OptionKind::Text => self.text(field).map(Value::from),
            OptionKind::Integer => self.parsed::<i64>(field, Item::as_integer, "a whole number"),
            OptionKind::Boolean => self.parsed::<bool>(field, Item::as_bool, "`true` or `false`"),
            OptionKind::File => self.path(field).and_then(|path| self.unicode(field, &path)),
            OptionKind::Folder => {
                let path = self.path(field)?;
                let value = self.unicode(field, &path)?;
                self.folders.push(Folder {
                    service: Some(service.to_owned()),
                    path,
                    span: field.span(),
                });
                Some(value)
            }
            OptionKind::Secret => self.secret(field).map(Value::from),
        }
    }

    /// A value of its own type, or a text with a variable that holds one.
    fn parsed<T: std::str::FromStr + Into<Value> + Clone>(
        &mut self,
        field: &Field<'_>,
        typed: impl Fn(&Item) -> Option<T>,
        wanted: &str,
    ) -> Option<Value> {
        if let Some(value) = typed(field.item) {
            return Some(value.into());
        }
        let Some(text) = field.item.as_str() else {
            self.say(field.not_a(wanted));
            return None;
        };
        let expanded = self.expanded(text, field)?;
        let value = expanded.text.trim().parse::<T>();
        if let (Ok(value), true) = (&value, expanded.varied) {
            return Some(value.clone().into());
        }
        let problem = field.not_a(wanted);
        self.say(match value {
            Ok(_) => problem.hint(format!("write it without quotes: {} = {text}", field.name)),
            Err(_) if expanded.varied => problem.label("this is what its variable holds"),
            Err(_) => problem,
        });
        None
    }

    fn unicode(&mut self, field: &Field<'_>, path: &std::path::Path) -> Option<Value> {
        let text = path.to_str().map(Value::from);
        if text.is_none() {
            let shown = path.display();
            self.say(field.error(format!("`{shown}` can't be used: it isn't UTF-8")));
        }
        text
    }

    /// A text (better: a variable), or `{ file = "…" }`. No message ever shows it.
    fn secret(&mut self, field: &Field<'_>) -> Option<String> {
        if let Some(text) = field.item.as_str() {
            let expanded = self.expanded(text, field);
            if expanded.as_ref().map_or(!text.contains("${"), |it| !it.varied) {
                self.secrets.extend(field.item.span());
            }
            let secret = expanded?.text;
            return self.not_empty(field, secret);
        }
        let form = "write \"${NAME}\" for a variable, or { file = \"PATH\" }";
        let table = field.item.as_table_like();
        let Some(file) = table.and_then(|table| Field::of(field.owner, table, "file")) else {
            self.secrets.extend(field.item.span());
            self.say(field.not_a("a text or a file").hint(form));
            return None;
        };
        if table.is_some_and(|table| table.len() > 1) {
            self.say(field.error(format!("{} takes nothing beside `file`", field.called())));
            return None;
        }
        let path = self.path(&file)?;
        match self.setting.files.read(&path) {
            Ok(secret) => self.not_empty(&file, secret.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => {
                let shown = path.display();
                let problem = file.error(format!("the secret can't be read from `{shown}`"));
                self.say(problem.label(error.to_string()));
                None
            }
        }
    }

    fn not_empty(&mut self, field: &Field<'_>, secret: String) -> Option<String> {
        if secret.is_empty() {
            self.say(
                field.error(format!("the secret in `{}` of {} is empty", field.name, field.owner)),
            );
            return None;
        }
        Some(secret)
    }

    /// A key that nobody understands.
    pub fn unknown_option(&mut self, field: &Field<'_>, manifest: &Manifest, every: &[&str]) {
        let own = || manifest.options.iter().map(|spec| spec.name.as_str());
        let (name, driver) = (field.name, &manifest.name);
        let message = format!("unknown option `{name}` of driver `{driver}` in {}", field.owner);
        let known = format!(
            "`{driver}` takes {}; every service takes {}",
            listed(own()),
            listed(every.iter().copied())
        );
        let problem = Diagnostic::error(message, field.key.clone());
        self.say(problem.nearest(name, own().chain(every.iter().copied()), known));
    }
}
