//! The `[onitu]` section: where the state is, the API, Redis, and the rules.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml_edit::{Document, Item, Table, TableLike};

use super::folders::Folder;
use super::value::{Field, type_name};
use super::{Check, Diagnostic, ParseSetting, Rules, RulesText, listed};

const OWNER: &str = "`[onitu]`";
/// Its keys.
pub const NAMES: [&str; 6] = ["state_dir", "api", "redis", "rules", "rules_file", "ignore_junk"];
const API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3862);

/// The state directory alone, for a command that looks for the running instance: whatever else is
/// wrong with the text doesn't matter, and no driver is asked. [`None`] if the text is no TOML or
/// doesn't say it.
pub fn state_dir(text: &str, setting: &ParseSetting<'_>) -> Option<PathBuf> {
    let document = Document::parse(text).ok()?;
    let section = document.get("onitu").and_then(Item::as_table_like);
    let field = section.and_then(|table| Field::of(OWNER, table, "state_dir"));
    Check::new(text, setting).state_dir(field)
}

/// What the section says.
pub struct General {
    pub state_dir: PathBuf,
    pub api: Option<SocketAddr>,
    pub redis: Option<String>,
    pub rules: Option<RulesText>,
    pub ignore_junk: bool,
}

impl Check<'_> {
    /// The section; [`None`] without a state directory. `names` are those of the services.
    pub fn general(&mut self, top: &dyn TableLike, names: &[String]) -> Option<General> {
        let none = Table::new();
        let section = top.get("onitu");
        let table = section.and_then(Item::as_table_like).unwrap_or(&none);
        if let Some(item) = section.filter(|item| !item.is_table_like()) {
            let span = top.key("onitu").and_then(toml_edit::Key::span);
            let message = format!("`onitu` must be a table, not {}", type_name(item));
            self.say(
                Diagnostic::error(message, span).hint("write `[onitu]` and its keys below it"),
            );
        }
        for (name, _) in table.iter().filter(|(name, _)| !NAMES.contains(name)) {
            let span = table.key(name).and_then(toml_edit::Key::span);
            let problem = Diagnostic::error(format!("unknown key `{name}` in {OWNER}"), span);
            self.say(problem.nearest(name, NAMES, format!("the keys are {}", listed(NAMES))));
        }
        let field = |name| Field::of(OWNER, table, name);
        let api = field("api").map_or(Some(Some(API)), |field| self.api(&field));
        let redis = field("redis").map(|field| self.redis(&field));
        let rules = self.rules(field("rules"), field("rules_file"), names);
        let ignore_junk = field("ignore_junk").is_none_or(|field| self.flag(&field));
        let state_dir = self.state_dir(field("state_dir"))?;
        let (api, redis) = (api.flatten(), redis.flatten());
        Some(General { state_dir, api, redis, rules, ignore_junk })
    }

    fn state_dir(&mut self, field: Option<Field<'_>>) -> Option<PathBuf> {
        let Some(field) = field else {
            let Some(path) = self.setting.default_state_dir.clone() else {
                let message = "there is no place for Onitu's own files: `HOME` is not set";
                self.say(Diagnostic::error(message, None).hint("set `state_dir` in `[onitu]`"));
                return None;
            };
            self.folders.push(Folder { service: None, path: path.clone(), span: None });
            return Some(path);
        };
        let path = self.path(&field)?;
        self.folders.push(Folder { service: None, path: path.clone(), span: field.span() });
        Some(path)
    }

    /// [`Some`] of nothing is `off`.
    #[allow(clippy::option_option, reason = "wrong, off, and an address are three things")]
    fn api(&mut self, field: &Field<'_>) -> Option<Option<SocketAddr>> {
        let form = "write an address and a port (\"127.0.0.1:3862\"), or \"off\"";
        let address = self.measured(field, |text| match text {
            "off" => Ok(None),
            _ => text.parse::<SocketAddr>().map(Some).map_err(|_| form),
        })?;
        if address.is_some() {
            self.not_yet(field, "there is no HTTP API, no web page and no `/metrics`");
        }
        Some(address)
    }

    /// What is wrong counts as `true`.
    fn flag(&mut self, field: &Field<'_>) -> bool {
        let value = field.item.as_bool();
        if value.is_none() {
            self.say(field.not_a("`true` or `false`"));
        }
        value.unwrap_or(true)
    }

    fn redis(&mut self, field: &Field<'_>) -> Option<String> {
        const FORMS: [&str; 4] = ["redis+unix:///", "unix:///", "redis://", "rediss://"];
        // It may hold a password.
        if field.item.as_str().is_some_and(|text| text.contains('@') && !text.contains("${")) {
            self.secrets.extend(field.item.span());
        }
        let text = self.text(field)?;
        if FORMS.iter().any(|form| text.len() > form.len() && text.starts_with(form)) {
            return Some(text);
        }
        let problem = field.error(format!("{} is no address of a Redis server", field.called()));
        self.say(problem.hint("write \"redis+unix:///path/to/socket\" or \"rediss://host:port\""));
        None
    }

    fn rules(
        &mut self,
        inline: Option<Field<'_>>,
        file: Option<Field<'_>>,
        names: &[String],
    ) -> Option<RulesText> {
        match (inline, file) {
            (None, None) => None,
            (Some(inline), None) => self.inline_rules(&inline, names),
            (None, Some(file)) => self.rules_file(&file, names),
            (Some(inline), Some(file)) => {
                let message = "`rules` and `rules_file` exclude each other";
                let problem = Diagnostic::error(message, file.key.clone());
                self.say(problem.mark(inline.key.clone(), "the rules are here already"));
                None
            }
        }
    }

    fn inline_rules(&mut self, field: &Field<'_>, names: &[String]) -> Option<RulesText> {
        // No variables here: a glob may hold `${`.
        let Some(text) = field.item.as_str() else {
            self.say(field.not_a("a text").hint("write the rules between `\"\"\"`"));
            return None;
        };
        let start = field.span().and_then(|span| content_start(self.text, span, text));
        for mut problem in Rules::parse(text, names).1 {
            let Some(start) = start else {
                // The text has escapes, so that no place in it is one of the file.
                for mark in std::mem::take(&mut problem.also) {
                    let place = text.get(mark.span).unwrap_or_default();
                    problem.hints.push(format!("see `{place}`"));
                }
                self.say(Diagnostic { span: field.span(), ..problem });
                continue;
            };
            let moved = |span: &Range<usize>| span.start + start..span.end + start;
            problem.span = problem.span.as_ref().map(moved).or_else(|| field.span());
            for mark in &mut problem.also {
                mark.span = moved(&mark.span);
            }
            self.say(problem);
        }
        let at = start.or(field.span().map(|span| span.start)).unwrap_or(0);
        let first_line = 1 + self.text[..at].matches('\n').count();
        Some(RulesText { text: text.to_owned(), file: self.setting.path(), first_line })
    }

    fn rules_file(&mut self, field: &Field<'_>, names: &[String]) -> Option<RulesText> {
        let file = self.path(field)?;
        let text = match self.setting.files.read(&file) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("the rules can't be read from `{}`", file.display());
                self.say(field.error(message).label(error.to_string()));
                return None;
            }
        };
        let source: Arc<str> = Arc::from(text.as_str());
        for problem in Rules::parse(&text, names).1 {
            let (file, source) = (file.clone(), Some(source.clone()));
            self.say(Diagnostic { file, source, ..problem });
        }
        Some(RulesText { text, file, first_line: 1 })
    }
}

/// Where the content of a text begins in the file, if it stands there letter for letter, which it
/// does unless it has escapes.
fn content_start(file: &str, value: Range<usize>, content: &str) -> Option<usize> {
    let written = file.get(value.clone())?;
    let long = ["\"\"\"", "'''"].iter().any(|quotes| written.starts_with(quotes));
    let mut start = if long { 3 } else { 1 };
    if long {
        let rest = &written[start..];
        start += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    written.get(start..)?.starts_with(content).then_some(value.start + start)
}
