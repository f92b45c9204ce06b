//! Conditions: what a statement wants of a file beside its path.
//!
//! They look at what is on record of a file and at nothing else, so that the same record always
//! gives the same answer. A directory meets no condition: it is made where its first file arrives.

use std::fmt;

use globset::GlobSet;
use regex::Regex;

use super::age;
use super::facts::Facts;
use super::glob::PathGlob;
use crate::{Kind, Service};

/// How a size is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`, or `<=` where it says so.
    Below {
        /// Equality will do.
        or_equal: bool,
    },
    /// `>`, or `>=` where it says so.
    Above {
        /// Equality will do.
        or_equal: bool,
    },
}

/// One condition, made of others.
#[derive(Debug, Clone)]
pub enum Condition {
    /// `size < 10 MiB`
    Size(Comparison, u64),
    /// `older than 90 days`, in nanoseconds: from that instant on.
    Older(i64),
    /// `newer than 90 days`, in nanoseconds: up to that instant.
    Newer(i64),
    /// `from phone`: first seen there.
    From(String),
    /// `type is image/*, application/pdf`, by the name's extension, else by content.
    Type(Types),
    /// `name matches /re/`, anywhere in the last component.
    Name(Regex),
    /// `ext in jpg, png`, whatever their case; kept in lower case.
    Ext(Vec<String>),
    /// `path "GLOB", …`
    Path(Vec<PathGlob>, GlobSet),
    /// `not C`
    Not(Box<Condition>),
    /// `C and C`
    All(Vec<Condition>),
    /// `C or C`
    Any(Vec<Condition>),
}

impl Condition {
    /// Whether a file with these facts meets it. What is not known meets nothing, and its contrary
    /// neither.
    pub fn is_met(&self, facts: &Facts<'_>, services: &[Service]) -> bool {
        facts.kind != Some(Kind::Directory) && self.test(facts, services) == Some(true)
    }

    /// The innermost part that isn't met, as a person would write it; [`None`] if all is met.
    pub fn unmet(&self, facts: &Facts<'_>, services: &[Service]) -> Option<String> {
        if facts.kind == Some(Kind::Directory) {
            return Some("it is a directory".to_owned());
        }
        match self {
            Self::All(parts) => parts.iter().find_map(|part| part.unmet(facts, services)),
            _ => match self.test(facts, services) {
                Some(true) => None,
                Some(false) => Some(self.to_string()),
                None => Some(format!("{self} (not known of this file)")),
            },
        }
    }

    /// Three-valued (Kleene): [`None`] where it depends on what isn't known.
    fn test(&self, facts: &Facts<'_>, services: &[Service]) -> Option<bool> {
        let age_is_reached =
            |age_ns: &i64| Some(facts.now_ns >= facts.mtime_ns?.saturating_add(*age_ns));
        match self {
            Self::Size(comparison, bytes) => facts.size.map(|size| comparison.holds(size, *bytes)),
            Self::Older(age_ns) => age_is_reached(age_ns),
            Self::Newer(age_ns) => age_is_reached(age_ns).map(|reached| !reached),
            Self::From(name) => {
                let origin = facts.origin?;
                Some(services.iter().any(|it| it.id == origin && it.name == *name))
            }
            Self::Type(types) => types.include(facts),
            Self::Name(regex) => Some(regex.is_match(facts.path.name())),
            Self::Ext(extensions) => {
                Some(extension(facts.path.name()).is_some_and(|found| {
                    extensions.iter().any(|known| is_lowercase_of(known, found))
                }))
            }
            Self::Path(_, globs) => Some(globs.is_match(facts.path.as_str())),
            Self::Not(part) => part.test(facts, services).map(|met| !met),
            Self::All(parts) => unless(parts, false, facts, services),
            Self::Any(parts) => unless(parts, true, facts, services),
        }
    }

    /// The same with what is cheap to test before what is dear.
    #[must_use]
    pub fn cheapest_first(&self) -> Self {
        let sorted = |parts: &[Self]| {
            let mut parts: Vec<Self> = parts.iter().map(Self::cheapest_first).collect();
            parts.sort_by_key(Self::cost);
            parts
        };
        match self {
            Self::Not(part) => Self::Not(Box::new(part.cheapest_first())),
            Self::All(parts) => Self::All(sorted(parts)),
            Self::Any(parts) => Self::Any(sorted(parts)),
            single => single.clone(),
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Self::Size(..) | Self::Older(_) | Self::Newer(_) => 1,
            Self::From(_) => 2,
            Self::Ext(_) => 4,
            Self::Type(_) => 16,
            Self::Path(..) => 64,
            Self::Name(_) => 128,
            Self::Not(part) => part.cost(),
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::cost).sum(),
        }
    }

    /// Every age in it, in nanoseconds: when a file reaches one, the answer may turn.
    pub fn ages_ns(&self) -> Vec<i64> {
        match self {
            Self::Older(age_ns) | Self::Newer(age_ns) => vec![*age_ns],
            Self::Not(part) => part.ages_ns(),
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::ages_ns).collect(),
            _ => Vec::new(),
        }
    }
}

/// `decisive` if one part says so; the contrary if all say so; else it isn't known.
fn unless(
    parts: &[Condition],
    decisive: bool,
    facts: &Facts<'_>,
    services: &[Service],
) -> Option<bool> {
    let mut answer = Some(!decisive);
    for part in parts {
        match part.test(facts, services) {
            Some(said) if said == decisive => return Some(decisive),
            Some(_) => {}
            None => answer = None,
        }
    }
    answer
}

impl Comparison {
    fn holds(self, size: u64, bytes: u64) -> bool {
        match self {
            Self::Below { or_equal } => size < bytes || or_equal && size == bytes,
            Self::Above { or_equal } => size > bytes || or_equal && size == bytes,
        }
    }
}

/// What follows the last dot, if that isn't all of the name.
pub fn extension(name: &str) -> Option<&str> {
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
}

/// Whether `known`, which is in lower case, is `found` in lower case. Allocates nothing.
fn is_lowercase_of(known: &str, found: &str) -> bool {
    known.eq_ignore_ascii_case(found)
        || !found.is_ascii() && found.chars().flat_map(char::to_lowercase).eq(known.chars())
}

/// Media types, with the extensions that stand for any of them.
#[derive(Debug, Clone)]
pub struct Types {
    /// As written, in lower case; some may end in `/*`.
    pub written: Vec<String>,
    /// Ascending, in lower case.
    extensions: Vec<String>,
}

impl Types {
    /// Of types in lower case.
    pub fn new(written: Vec<String>) -> Self {
        let all = mime_guess::get_mime_extensions_str("*/*").unwrap_or_default();
        let is_meant = |extension: &str| {
            mime_guess::from_ext(extension).iter_raw().any(|told| is_one_of(&written, told))
        };
        let mut extensions: Vec<_> =
            all.iter().filter(|it| is_meant(it)).map(|it| it.to_lowercase()).collect();
        extensions.sort_unstable();
        Self { written, extensions }
    }

    /// By what the name's extension stands for; only where that is nothing, by content. [`None`] if
    /// nobody has looked at that. Content in which nothing was found has no type.
    fn include(&self, facts: &Facts<'_>) -> Option<bool> {
        let extension = extension(facts.path.name()).unwrap_or_default();
        // No extension that stands for a type is longer, or has other letters.
        let mut lower = [0; 32];
        if let Some(lower) = lower.get_mut(..extension.len()) {
            lower.copy_from_slice(extension.as_bytes());
            lower.make_ascii_lowercase();
            if self.extensions.binary_search_by(|it| it.as_bytes().cmp(lower)).is_ok() {
                return Some(true);
            }
        }
        if !mime_guess::from_ext(extension).is_empty() {
            return Some(false);
        }
        facts.media.map(|told| is_one_of(&self.written, told))
    }
}

/// The media type that the extension of `name` stands for, if it is known: then nobody needs to look
/// at the content.
pub fn type_by_name(name: &str) -> Option<&'static str> {
    mime_guess::from_ext(extension(name)?).first_raw()
}

/// Whether `told` is one of these types, of which some may end in `/*`.
pub fn is_one_of(types: &[String], told: &str) -> bool {
    types.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => told.starts_with(start),
        None => told == pattern,
    })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Below { or_equal: false } => "<",
            Self::Below { or_equal: true } => "<=",
            Self::Above { or_equal: false } => ">",
            Self::Above { or_equal: true } => ">=",
        })
    }
}

/// As it would be written; parsed again it is the same.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(comparison, bytes) => {
                write!(f, "size {comparison} {}", crate::size::text(*bytes))
            }
            Self::Older(age_ns) => write!(f, "older than {}", age::text(*age_ns)),
            Self::Newer(age_ns) => write!(f, "newer than {}", age::text(*age_ns)),
            Self::From(service) => write!(f, "from {service}"),
            Self::Type(types) => write!(f, "type is {}", types.written.join(", ")),
            Self::Name(regex) => write!(f, "name matches /{}/", regex.as_str().replace('/', "\\/")),
            Self::Ext(extensions) => {
                let written: Vec<_> = extensions.iter().map(|it| written_extension(it)).collect();
                write!(f, "ext in {}", written.join(", "))
            }
            Self::Path(globs, _) => {
                let quoted: Vec<_> = globs.iter().map(ToString::to_string).collect();
                write!(f, "path {}", quoted.join(", "))
            }
            Self::Not(part) => write!(f, "not {}", Part(part)),
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
        }
    }
}

fn written_extension(extension: &str) -> String {
    let is_bare = extension.chars().all(char::is_alphanumeric);
    if is_bare { extension.to_owned() } else { format!("\"{extension}\"") }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], word: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        write!(f, "{}{}", if at == 0 { "" } else { word }, Part(part))?;
    }
    Ok(())
}

/// A condition inside another: what is made of several stands in parentheses.
struct Part<'a>(&'a Condition);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Condition::All(_) | Condition::Any(_) => write!(f, "({})", self.0),
            single => write!(f, "{single}"),
        }
    }
}
