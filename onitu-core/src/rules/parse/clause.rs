//! What follows `where`: `or` binds less than `and`, `and` less than `not`.

use std::ops::Range;

use globset::GlobSet;
use regex::RegexBuilder;

use super::super::age;
use super::super::condition::{Comparison, Condition, Types};
use super::super::diagnostic::{Diagnostic, listed};
use super::super::word::{Token, Word};
use super::{Outcome, Reader, fail};
use crate::size;

const TESTS: [&str; 9] = ["size", "type", "name", "ext", "path", "older", "newer", "from", "not"];
/// Words of the language that begin no condition.
const NO_TESTS: [&str; 5] = ["to", "and", "or", "where", "only"];
const FORMS: &str = "a condition is `size < 10 MiB`, `type is image/*`, `ext in jpg, png`, \
    `name matches /re/`, `path \"GLOB\"`, `older than 90 days`, `newer than 90 days` or \
    `from SERVICE`";
/// Of a compiled regular expression; a text can't make the Referee eat memory.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Parentheses and `not`s inside each other.
const DEPTH_MAX: usize = 32;

impl Reader<'_> {
    /// The condition after `where`.
    pub(super) fn condition(&mut self) -> Outcome<Condition> {
        self.any_of(0)
    }

    fn any_of(&mut self, depth: usize) -> Outcome<Condition> {
        let mut parts = vec![self.all_of(depth)?];
        while self.takes("or") {
            parts.push(self.all_of(depth)?);
        }
        Ok(single_or(parts, Condition::Any))
    }

    fn all_of(&mut self, depth: usize) -> Outcome<Condition> {
        let mut parts = vec![self.one(depth)?];
        while self.takes("and") {
            parts.push(self.one(depth)?);
        }
        Ok(single_or(parts, Condition::All))
    }

    fn one(&mut self, depth: usize) -> Outcome<Condition> {
        let Some(word) = self.next() else { return self.missing("a condition") };
        if depth > DEPTH_MAX {
            return fail(&word, "this condition is nested too deeply", |it| it);
        }
        match &word.token {
            Token::Bare(not) if not == "not" => Ok(Condition::Not(Box::new(self.one(depth + 1)?))),
            Token::Open => {
                let inner = self.any_of(depth + 1)?;
                match self.next() {
                    Some(Word { token: Token::Close, .. }) => Ok(inner),
                    Some(other) => fail(&other, "`and`, `or` or `)` is expected here", |it| {
                        it.mark(Some(word.span.clone()), "opened here")
                    }),
                    None => fail(&word, "the closing `)` is missing", |it| it),
                }
            }
            Token::Bare(what) if !NO_TESTS.contains(&what.as_str()) => self.test(what, &word),
            _ => fail(&word, "a condition is expected here", |it| it.hint(FORMS)),
        }
    }

    fn test(&mut self, what: &str, word: &Word) -> Outcome<Condition> {
        match what {
            "size" => self.size(),
            "type" => {
                self.expect(&["is"])?;
                self.list("a type like image/*", media_type)
                    .map(|types| Condition::Type(Types::new(types)))
            }
            "name" => {
                self.expect(&["matches"])?;
                self.regex().map(Condition::Name)
            }
            "ext" => {
                self.expect(&["in", "is"])?;
                self.list("an extension like jpg", extension).map(Condition::Ext)
            }
            "path" => {
                let globs = self.globs("a glob in quotes")?;
                let mut set = GlobSet::builder();
                for glob in globs.iter().flat_map(|glob| &glob.globs) {
                    set.add(glob.clone());
                }
                match set.build() {
                    Ok(set) => Ok(Condition::Path(globs, set)),
                    Err(error) => fail(word, format!("these globs are too much: {error}"), |it| it),
                }
            }
            "older" | "newer" => {
                self.expect(&["than"])?;
                let age_ns = self.age()?;
                Ok(if what == "older" {
                    Condition::Older(age_ns)
                } else {
                    Condition::Newer(age_ns)
                })
            }
            "from" => self.origin(),
            _ => fail(word, format!("unknown condition `{what}`"), |it| {
                it.nearest(what, TESTS, FORMS)
            }),
        }
    }

    fn size(&mut self) -> Outcome<Condition> {
        let Some(word) = self.next() else { return self.missing("`<` or `>`") };
        let comparison = match word.token {
            Token::Compare('<', or_equal) => Comparison::Below { or_equal },
            Token::Compare(_, or_equal) => Comparison::Above { or_equal },
            _ => return fail(&word, "`<`, `<=`, `>` or `>=` is expected here", |it| it),
        };
        let (text, span) = self.measure("a size", "write `10 MiB`")?;
        match size::parse(&text) {
            Ok(bytes) => Ok(Condition::Size(comparison, bytes)),
            Err(hint) => Err(Box::new(
                Diagnostic::error(format!("`{text}` is no size"), Some(span)).hint(hint),
            )),
        }
    }

    fn age(&mut self) -> Outcome<i64> {
        let (text, span) = self.measure("an age", "write `90 days`")?;
        age::parse(&text).map_err(|hint| {
            Box::new(Diagnostic::error(format!("`{text}` is no age"), Some(span)).hint(hint))
        })
    }

    /// A number with its unit, written as one word or two.
    fn measure(&mut self, what: &str, hint: &str) -> Outcome<(String, Range<usize>)> {
        let Some(first) = self.next() else { return self.missing(what) };
        let Token::Bare(number) = &first.token else {
            return fail(&first, format!("{what} is expected here"), |it| it.hint(hint));
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if is_number
            && let Some(Word { token: Token::Bare(unit), span }) = self.peek()
            && !matches!(unit.as_str(), "and" | "or" | "to")
        {
            let found = (format!("{number} {unit}"), first.span.start..span.end);
            self.at += 1;
            return Ok(found);
        }
        Ok((number.clone(), first.span))
    }

    fn origin(&mut self) -> Outcome<Condition> {
        let Some(word) = self.next() else { return self.missing("a service's name") };
        let name = self.service_name(&word)?;
        if word.is("to") && !self.services.contains(&name) {
            return fail(&word, "a service's name is expected here", |it| it);
        }
        if !self.services.contains(&name) {
            let known = || self.services.iter().map(String::as_str);
            let message =
                format!("unknown service `{name}` in a condition; nothing comes from there");
            let otherwise = format!("the services are {}", listed(known()));
            self.problems.push(Diagnostic::warning(message, Some(word.span)).nearest(
                &name,
                known(),
                otherwise,
            ));
        }
        Ok(Condition::From(name))
    }

    fn regex(&mut self) -> Outcome<regex::Regex> {
        let Some(word) = self.next() else { return self.missing("a regular expression") };
        match &word.token {
            Token::Regex(text) => {
                match RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build() {
                    Ok(regex) => Ok(regex),
                    Err(regex::Error::CompiledTooBig(_)) => {
                        fail(&word, format!("`/{text}/` is too large"), |it| {
                            it.hint("repetitions in repetitions multiply; most need no number")
                        })
                    }
                    Err(error) => {
                        let why = error.to_string();
                        let why = why.lines().last().unwrap_or_default();
                        let why = why.strip_prefix("error: ").unwrap_or(why).to_owned();
                        fail(&word, format!("`/{text}/` is no regular expression"), |it| {
                            it.hint(why)
                        })
                    }
                }
            }
            Token::Unclosed => fail(&word, "the closing `/` is missing", |it| it),
            _ => fail(&word, "a regular expression between slashes is expected here", |it| {
                it.hint("write `name matches /^IMG_[0-9]+/`")
            }),
        }
    }

    /// Bare words between commas, each made valid by `read` or refused with its hint.
    fn list(
        &mut self,
        what: &str,
        read: impl Fn(&str) -> Result<String, String>,
    ) -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        loop {
            let Some(word) = self.next() else { return self.missing(what) };
            let (Token::Bare(text) | Token::Quoted(text)) = &word.token else {
                return fail(&word, format!("{what} is expected here"), |it| it);
            };
            match read(text) {
                Ok(item) => found.push(item),
                Err(hint) => {
                    return fail(&word, format!("`{text}` is not {what}"), |it| it.hint(hint));
                }
            }
            if !self.takes_comma() {
                return Ok(found);
            }
        }
    }
}

fn single_or(
    mut parts: Vec<Condition>,
    many: impl FnOnce(Vec<Condition>) -> Condition,
) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn media_type(text: &str) -> Result<String, String> {
    const HINT: &str = "write `image/*` or `application/pdf`";
    let lower = text.to_lowercase();
    let (top, sub) = lower.split_once('/').ok_or(HINT)?;
    let legal = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|it| it.is_ascii_alphanumeric() || b"-.+_".contains(&it))
    };
    if legal(top) && (legal(sub) || sub == "*") { Ok(lower) } else { Err(HINT.to_owned()) }
}

fn extension(text: &str) -> Result<String, String> {
    let lower = text.to_lowercase();
    match lower.strip_prefix('.') {
        Some(bare) => Err(format!("write `{bare}`, without the dot")),
        None if lower.contains(['*', '?', '/', '"']) || lower.is_empty() => {
            Err("an extension has no wildcards: write `jpg`".to_owned())
        }
        None => Ok(lower),
    }
}
