//! Values: their types, `${VARIABLES}`, and paths of this machine.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml_edit::{Item, TableLike};

use super::{Check, Diagnostic};

/// A key with its value, and who has it.
#[derive(Clone)]
pub struct Field<'a> {
    /// ``service `nas` `` or `` `[onitu]` ``.
    pub owner: &'a str,
    /// The key.
    pub name: &'a str,
    /// Where the key stands.
    pub key: Option<Range<usize>>,
    /// The value.
    pub item: &'a Item,
}

impl<'a> Field<'a> {
    /// The field `name` of a table, if it is there.
    pub fn of(owner: &'a str, table: &'a dyn TableLike, name: &'a str) -> Option<Self> {
        let (key, item) = table.get_key_value(name)?;
        Some(Self { owner, name, key: key.span(), item })
    }

    /// Where the value stands.
    pub fn span(&self) -> Option<Range<usize>> {
        self.item.span().or_else(|| self.key.clone())
    }

    /// An error about the value.
    pub fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message, self.span())
    }

    /// "`root` of service `nas`"
    pub fn called(&self) -> String {
        format!("`{}` of {}", self.name, self.owner)
    }

    /// The value has another type than `wanted`.
    pub fn not_a(&self, wanted: &str) -> Diagnostic {
        let found = type_name(self.item);
        self.error(format!("{} must be {wanted}, not {found}", self.called()))
    }
}

/// A type as a sentence names it.
pub fn type_name(item: &Item) -> &'static str {
    match item.type_name() {
        "string" => "a text",
        "integer" => "a whole number",
        "float" => "a number",
        "boolean" => "`true` or `false`",
        "datetime" => "a date",
        "array" | "array of tables" => "a list",
        _ => "a table",
    }
}

/// A text after its variables were filled in.
pub struct Expanded {
    /// With the variables' values.
    pub text: String,
    /// Whether there was any variable.
    pub varied: bool,
}

impl Check<'_> {
    /// A field's text, with variables filled in. A text in quotes is all it may be.
    pub fn text(&mut self, field: &Field<'_>) -> Option<String> {
        let Some(text) = field.item.as_str() else {
            let problem = field.not_a("a text");
            let value = field.span().and_then(|span| self.text.get(span)).unwrap_or("…");
            let simple = field.item.is_integer() || field.item.is_float() || field.item.is_bool();
            let hint = format!("write it in quotes: {} = \"{value}\"", field.name);
            self.say(if simple { problem.hint(hint) } else { problem });
            return None;
        };
        Some(self.expanded(text, field)?.text)
    }

    /// A text that `measure` understands; its error is the hint.
    pub fn measured<T>(
        &mut self,
        field: &Field<'_>,
        measure: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        if !field.item.is_str() {
            let problem = field.not_a("a text");
            let form = measure("").err().unwrap_or_default();
            self.say(problem.hint(form));
            return None;
        }
        let text = self.text(field)?;
        match measure(&text) {
            Ok(value) => Some(value),
            Err(form) => {
                self.say(field.error(format!("{} can't be `{text}`", field.called())).hint(form));
                None
            }
        }
    }

    /// A whole number from `0` to `max`.
    pub fn whole(&mut self, field: &Field<'_>, max: u32) -> Option<u32> {
        let Some(number) = field.item.as_integer() else {
            self.say(field.not_a("a whole number"));
            return None;
        };
        let fits = u32::try_from(number).ok().filter(|number| *number <= max);
        if fits.is_none() {
            self.say(field.error(format!("{} must be from 0 to {max}", field.called())));
        }
        fits
    }

    /// Fills in `${NAME}`; `$${` stands for `${` itself. Every variable that is missing is told.
    pub fn expanded(&mut self, text: &str, field: &Field<'_>) -> Option<Expanded> {
        let mut done = String::new();
        let mut rest = text;
        let (mut varied, mut whole) = (false, true);
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                done.push_str(&rest[..at]);
                done.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            done.push_str(&rest[..at]);
            let Some(length) = rest[at..].find('}') else {
                self.say(
                    field.error(format!("the `}}` of a variable is missing in {}", field.called())),
                );
                return None;
            };
            let written = &rest[at..=at + length];
            let value = self.variable(&written[2..length], written, field);
            whole &= value.is_some();
            done.push_str(&value.unwrap_or_default());
            rest = &rest[at + length + 1..];
            varied = true;
        }
        done.push_str(rest);
        whole.then_some(Expanded { text: done, varied })
    }

    fn variable(&mut self, name: &str, written: &str, field: &Field<'_>) -> Option<String> {
        let letter = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let named = !name.is_empty()
            && name.chars().all(letter)
            && !name.starts_with(|it: char| it.is_ascii_digit());
        let value = named.then(|| (self.setting.environment)(name)).flatten();
        if value.is_some() {
            return value;
        }
        let problem = if named {
            Diagnostic::error(format!("the variable `{name}` is not set"), None)
                .label(format!("needed for `{}`", field.name))
                .hint("set it before Onitu starts; \"$${\" stands for the letters `${` themselves")
        } else {
            Diagnostic::error(format!("`{written}` names no variable"), None)
                .hint("a name has letters, digits and `_`, as in \"${HOME}\"")
        };
        let span = field.span().and_then(|span| {
            let at = self.text.get(span.clone())?.find(written)?;
            Some(span.start + at..span.start + at + written.len())
        });
        self.say(Diagnostic { span: span.or_else(|| field.span()), ..problem });
        None
    }

    /// A path of this machine: `~` is the home, a relative one begins beside the configuration.
    pub fn path(&mut self, field: &Field<'_>) -> Option<PathBuf> {
        let text = self.text(field)?;
        if text.is_empty() {
            self.say(field.error(format!("{} is empty", field.called())));
            return None;
        }
        let Some(below) = text.strip_prefix('~') else {
            return Some(tidy(&self.setting.directory.join(&text)));
        };
        if !below.is_empty() && !below.starts_with('/') {
            let problem =
                field.error(format!("{} names the home of another person", field.called()));
            self.say(problem.hint("only `~/…` is understood; write the whole path"));
            return None;
        }
        let home = self.setting.home.as_ref().filter(|home| home.is_absolute());
        let Some(home) = home else {
            self.say(field.error("`~` can't be understood: the variable `HOME` is not set"));
            return None;
        };
        Some(tidy(&home.join(below.trim_start_matches('/'))))
    }
}

/// Without `.` and doubled slashes; `..` stays, since what is before it may be a symbolic link.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}
