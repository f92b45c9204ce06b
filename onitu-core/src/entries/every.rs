//! The options that every service may have, whatever its driver (design §8).

use toml_edit::TableLike;

use super::measure::{duration_s, limit, percent, size_bytes};
use super::value::Field;
use super::{Check, Diagnostic, TRASH_DAYS};
use crate::held::Share;
use crate::service::Limit;
use crate::{Mode, Path};

/// Their keys.
pub const NAMES: [&str; 11] = [
    "driver",
    "mode",
    "at",
    "quota",
    "limit",
    "poll",
    "max_delete",
    "max_change",
    "trash_days",
    "trash_size",
    "verify",
];
const MODES: [&str; 3] = ["sync", "source", "backup"];
/// Ten years.
const TRASH_DAYS_MAX: u32 = 3650;

/// What was given of them.
pub struct Every {
    pub mode: Mode,
    pub verify_s: Option<u64>,
    pub poll_s: Option<u64>,
    pub trash_days: u32,
    pub trash_size_bytes: Option<u64>,
    pub at: Path,
    pub quota_bytes: Option<u64>,
    pub limit: Option<Limit>,
    pub max_delete: Option<Share>,
    pub max_change: Option<Share>,
}

impl Check<'_> {
    /// Each that is there is checked; what is wrong counts as not given.
    pub fn every(&mut self, owner: &str, table: &dyn TableLike) -> Every {
        let field = |name| Field::of(owner, table, name);
        Every {
            mode: field("mode").and_then(|it| self.mode(&it)).unwrap_or_default(),
            verify_s: field("verify").and_then(|it| self.measured(&it, duration_s)),
            poll_s: field("poll").and_then(|it| self.measured(&it, duration_s)),
            trash_days: field("trash_days")
                .and_then(|it| self.whole(&it, TRASH_DAYS_MAX))
                .unwrap_or(TRASH_DAYS),
            trash_size_bytes: field("trash_size").and_then(|it| self.measured(&it, size_bytes)),
            at: field("at").and_then(|it| self.at(&it)).unwrap_or_else(Path::root),
            quota_bytes: field("quota").and_then(|it| self.measured(&it, size_bytes)),
            limit: field("limit").and_then(|it| self.measured(&it, limit)),
            max_delete: field("max_delete").and_then(|it| self.share(&it)),
            max_change: field("max_change").and_then(|it| self.share(&it)),
        }
    }

    /// A person who wrote an option believes that it works.
    pub fn not_yet(&mut self, field: &Field<'_>, idle: &str) {
        let message = format!("{} has no effect in this version yet", field.called());
        self.say(Diagnostic::warning(message, field.key.clone()).hint(idle));
    }

    fn mode(&mut self, field: &Field<'_>) -> Option<Mode> {
        let text = self.text(field)?;
        let mode = match text.as_str() {
            "sync" => Mode::Sync,
            "source" => Mode::Source,
            "backup" => Mode::Backup,
            _ => {
                let problem = field.error(format!("unknown mode `{text}` of {}", field.owner));
                self.say(problem.nearest(&text, MODES, "a mode is `sync`, `source` or `backup`"));
                return None;
            }
        };
        Some(mode)
    }

    fn at(&mut self, field: &Field<'_>) -> Option<Path> {
        let text = self.text(field)?;
        match Path::new(text.strip_suffix('/').unwrap_or(&text)) {
            Ok(path) => Some(path),
            Err(error) => {
                let problem = field.error(format!("{} is no path: {error}", field.called()));
                self.say(problem.hint("write a directory of the tree, as in \"Photos/2026\""));
                None
            }
        }
    }

    fn share(&mut self, field: &Field<'_>) -> Option<Share> {
        if field.item.is_integer() {
            return self.whole(field, u32::MAX).map(|count| Share::Count(count.into()));
        }
        self.measured(field, percent).map(Share::Percent)
    }
}
