//! `entries.toml`: which services there are, what they are given, and which rules hold.
//!
//! [`parse`] finds every mistake of a text at once; [`render`] shows them with line, caret and
//! hint. Nothing here reads the environment, starts a process or prints: what is needed of the
//! outside comes through [`ParseSetting`], and only files that the configuration names are read.

mod every;
mod folders;
mod general;
mod lookup;
#[cfg(test)]
mod machine;
mod measure;
mod option;
mod render;
mod service;
mod setting;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml_edit::{Document, TableLike};

pub use crate::rules::{Diagnostic, Mark, Severity};
pub use general::state_dir;
pub use lookup::{default_state_dir, lookup_order};
pub use measure::limit;
pub use render::render;
pub use setting::{Disk, DriverProblem, Files, ParseSetting};

use crate::Mode;
use crate::held::Share;
use crate::manifest::Manifest;
use crate::rules::{Rules, listed};

/// How long the trash is kept when the entry doesn't say, in days.
pub const TRASH_DAYS: u32 = 30;
/// Longest name of a service, in letters.
pub const SERVICE_NAME_MAX: usize = 32;

/// A configuration without errors. Its `Debug` form shows no secret.
#[derive(Clone, PartialEq)]
pub struct Entries {
    /// The file it was read from.
    pub path: PathBuf,
    /// Everything Onitu writes for itself; absolute.
    pub state_dir: PathBuf,
    /// Where the HTTP API listens; [`None`] is `off`.
    pub api: Option<SocketAddr>,
    /// An existing server instead of the spawned one. May hold a password.
    pub redis: Option<String>,
    /// [`None`]: everything goes to every service.
    pub rules: Option<RulesText>,
    /// Whether junk (`.DS_Store`, `~$*` …) is ignored.
    pub ignore_junk: bool,
    /// In the order of the file.
    pub services: Vec<ServiceEntry>,
}

/// Rules as they were written; [`Rules::parse`] takes the text without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesText {
    /// The statements.
    pub text: String,
    /// The file they stand in: `entries.toml` or the `rules_file`.
    pub file: PathBuf,
    /// The line of `file` with which the text begins, from 1.
    pub first_line: usize,
}

/// One `[services.NAME]`. Its `Debug` form shows no secret.
#[derive(Clone, PartialEq)]
pub struct ServiceEntry {
    /// NAME.
    pub name: String,
    /// The driver's name.
    pub driver: String,
    /// Two-way, source or backup.
    pub mode: Mode,
    /// Seconds in which everything it holds is verified once; [`None`]: never by itself.
    pub verify_s: Option<u64>,
    /// Seconds between two looks at a service that tells nothing of changes by itself.
    pub poll_s: Option<u64>,
    /// Days for which the trash is kept.
    pub trash_days: u32,
    /// Most bytes of the trash; no bound but its days if not given.
    pub trash_size_bytes: Option<u64>,
    /// The directory of the tree at which its root stands.
    pub at: crate::Path,
    /// Most bytes it may hold.
    pub quota_bytes: Option<u64>,
    /// How fast it may be used.
    pub limit: Option<crate::Limit>,
    /// More removals than this at once wait for an approval; [`None`] is the runtime's default.
    pub max_delete: Option<Share>,
    /// More replaced contents than this at once wait for an approval; [`None`]: they never do.
    pub max_change: Option<Share>,
    /// Whether its driver's manifest says that it keeps symbolic links.
    pub keeps_symlinks: bool,
    /// The driver's own options: checked against its manifest, variables expanded, secrets read,
    /// paths of this machine absolute. An option that wasn't given isn't here.
    pub options: BTreeMap<String, serde_json::Value>,
    /// Names of options that are never to be shown.
    pub secrets: BTreeSet<String>,
}

/// What [`parse`] found.
#[derive(Debug, Clone)]
pub struct Checked {
    /// There exactly if no problem is an error.
    pub entries: Option<Entries>,
    /// Everything that is wrong or odd, in the order of the file.
    pub problems: Vec<Diagnostic>,
}

/// Checks `text` as the content of `setting.file`. All mistakes are found at once, except that a
/// text which is no TOML has one problem, the first.
pub fn parse(text: &str, setting: &ParseSetting<'_>) -> Checked {
    let mut check = Check::new(text, setting);
    let entries = match Document::parse(text) {
        Ok(document) => check.document(document.as_table()),
        Err(error) => {
            // The parser's "expected literal string" for a bare word says less than nothing.
            let told = error.message().replace('\n', ", ");
            let (what, expected) = told.split_once(", expected ").unwrap_or((&told, ""));
            let problem = Diagnostic::error(format!("this is no TOML: {what}"), error.span());
            let clear = expected.is_empty() || expected == "literal string";
            check.say(if clear {
                problem
            } else {
                problem.label(format!("{expected} is expected"))
            });
            check.hide_secret_line(error.span());
            None
        }
    };
    let problems = check.problems();
    let entries = entries.filter(|_| !problems.iter().any(Diagnostic::is_error));
    Checked { entries, problems }
}

/// The text of a configuration's bytes; an error says where they are no UTF-8.
pub fn decode(bytes: Vec<u8>, file: &std::path::Path) -> Result<String, Box<Diagnostic>> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let problem = Diagnostic::error(format!("line {line} is not UTF-8"), None);
        Box::new(Diagnostic { file: file.to_owned(), ..problem.hint("save the file as UTF-8") })
    })
}

/// A check under way.
struct Check<'a> {
    text: &'a str,
    setting: &'a ParseSetting<'a>,
    problems: Vec<Diagnostic>,
    /// Where secrets stand in the text: no message may show them.
    secrets: Vec<Range<usize>>,
    /// Each driver is asked once.
    manifests: BTreeMap<String, Result<Manifest, DriverProblem>>,
    folders: Vec<folders::Folder>,
}

impl<'a> Check<'a> {
    fn new(text: &'a str, setting: &'a ParseSetting<'a>) -> Self {
        let (problems, secrets, folders) = (Vec::new(), Vec::new(), Vec::new());
        Self { text, setting, problems, secrets, manifests: BTreeMap::new(), folders }
    }

    fn say(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    fn document(&mut self, top: &dyn TableLike) -> Option<Entries> {
        self.unknown_sections(top);
        let names = service_names(top);
        let general = self.general(top, &names);
        let services = self.services(top);
        self.check_folders();
        self.check_permissions();
        let (general, services) = (general?, services?);
        self.check_sources(top, &general, &services, &names);
        Some(Entries {
            path: self.setting.path(),
            state_dir: general.state_dir,
            api: general.api,
            redis: general.redis,
            rules: general.rules,
            ignore_junk: general.ignore_junk,
            services,
        })
    }

    fn unknown_sections(&mut self, top: &dyn TableLike) {
        const SECTIONS: [&str; 2] = ["onitu", "services"];
        for (name, _) in top.iter().filter(|(name, _)| !SECTIONS.contains(name)) {
            let span = top.key(name).and_then(toml_edit::Key::span);
            let sections = "an `entries.toml` has `[onitu]` and one `[services.NAME]` a service";
            let problem = Diagnostic::error(format!("unknown section `{name}`"), span);
            self.say(problem.nearest(name, SECTIONS, sections));
        }
    }

    /// A rule that names a service which is only read says what will never happen.
    fn check_sources(
        &mut self,
        top: &dyn TableLike,
        general: &general::General,
        services: &[ServiceEntry],
        names: &[String],
    ) {
        let rules = general.rules.as_ref();
        let Some(rules) = rules.and_then(|rules| Rules::parse(&rules.text, names).0) else {
            return;
        };
        let sources = services.iter().filter(|service| service.mode == Mode::Source);
        for name in sources.map(|service| &service.name).filter(|name| rules.names(name)) {
            let table = top.get("services").and_then(|services| services.get(name));
            let span = table.and_then(|table| table.get("mode")).and_then(toml_edit::Item::span);
            let message = format!("a rule names service `{name}`, which is only read");
            let problem = Diagnostic::warning(message, span).label("so nothing is sent there");
            self.say(problem.hint("`mode = \"sync\"` reads and writes it"));
        }
    }

    /// Secrets in a file that others can read.
    fn check_permissions(&mut self) {
        let Some(first) = self.secrets.first().cloned() else { return };
        let Some(mode) = self.setting.file_mode.filter(|mode| mode & 0o044 != 0) else { return };
        let name = self.setting.file.file_name().unwrap_or_default().to_string_lossy();
        let message = format!("`{name}` holds secrets, and others may read it (mode {mode:03o})");
        let problem = Diagnostic::warning(message, Some(first)).hint(format!(
            "`chmod 600 {name}`, or take the secret from the environment (`\"${{NAME}}\"`) or a \
             file (`{{ file = \"…\" }}`)"
        ));
        self.say(problem);
    }

    /// A line that is no TOML may still hold a secret.
    fn hide_secret_line(&mut self, span: Option<Range<usize>>) {
        let Some(span) = span else { return };
        let start = self.text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
        let length = self.text[span.end..].find('\n');
        let end = length.map_or(self.text.len(), |length| span.end + length);
        let line = self.text[start..end].to_ascii_lowercase();
        let words = ["secret", "password", "token", "key"];
        let Some(word) = words.iter().filter_map(|word| line.find(word)).min() else { return };
        if let Some(equals) = line[word..].find('=') {
            self.secrets.push(start + word + equals + 1..end);
        }
    }

    /// All problems in the order of the text, with the file they stand in and no secret.
    fn problems(self) -> Vec<Diagnostic> {
        let shown: Option<Arc<str>> = (!self.secrets.is_empty()).then(|| self.without_secrets());
        let mut problems = self.problems;
        for problem in &mut problems {
            if problem.file.as_os_str().is_empty() {
                problem.file.clone_from(&self.setting.file);
                problem.source.clone_from(&shown);
            }
        }
        // What concerns the whole comes last.
        problems.sort_by_key(|it| it.span.as_ref().map_or(usize::MAX, |span| span.start));
        problems
    }

    /// The text with a `*` for each byte of a secret, so that spans and lines stay right.
    fn without_secrets(&self) -> Arc<str> {
        let mut shown = self.text.to_owned();
        for span in &self.secrets {
            let star = |byte| if byte == b'\n' { '\n' } else { '*' };
            let stars: String = self.text[span.clone()].bytes().map(star).collect();
            shown.replace_range(span.clone(), &stars);
        }
        Arc::from(shown)
    }
}

/// Of every service, also of those that are wrong: a rule may name them.
fn service_names(top: &dyn TableLike) -> Vec<String> {
    let services = top.get("services").and_then(|item| item.as_table_like());
    services.map_or(Vec::new(), |table| table.iter().map(|(name, _)| name.to_owned()).collect())
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Entries");
        shown
            .field("path", &self.path)
            .field("state_dir", &self.state_dir)
            .field("api", &self.api)
            .field("redis", &self.redis.as_ref().map(|_| "…"))
            .field("rules", &self.rules)
            .field("services", &self.services);
        if !self.ignore_junk {
            shown.field("ignore_junk", &self.ignore_junk);
        }
        shown.finish()
    }
}

impl fmt::Debug for ServiceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = serde_json::Value::from("…");
        let shown =
            |(name, value)| (name, if self.secrets.contains(name) { &hidden } else { value });
        let options: BTreeMap<_, _> = self.options.iter().map(shown).collect();
        let mut shown_as = f.debug_struct("ServiceEntry");
        shown_as
            .field("name", &self.name)
            .field("driver", &self.driver)
            .field("mode", &self.mode)
            .field("verify_s", &self.verify_s)
            .field("poll_s", &self.poll_s)
            .field("trash_days", &self.trash_days)
            .field("at", &self.at)
            .field("quota_bytes", &self.quota_bytes)
            .field("limit", &self.limit)
            .field("max_delete", &self.max_delete)
            .field("max_change", &self.max_change)
            .field("options", &options);
        if let Some(bytes) = self.trash_size_bytes {
            shown_as.field("trash_size_bytes", &bytes);
        }
        shown_as.finish_non_exhaustive()
    }
}
