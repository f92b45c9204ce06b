//! From a text to statements: one a line, every line's mistake told.

use globset::{Glob, GlobBuilder};

use super::diagnostic::{Diagnostic, listed};
use super::word::{Token, Word, words};

/// Statements of the language that a later version understands.
const LATER: [&str; 4] = ["keep", "never", "move", "let"];
const TODAY: &str = "this version knows `sync everything to …` and `sync \"GLOB\" to …`";

/// `sync … to …`
#[derive(Debug, Clone)]
pub struct Statement {
    /// From 1.
    pub line: usize,
    /// As written, without its comment.
    pub text: String,
    /// [`None`]: everything.
    pub globs: Option<Vec<Glob>>,
    /// Names, as far as they exist.
    pub services: Vec<String>,
}

/// Reads every line; the statements are complete only if no problem is an error.
pub fn parse(text: &str, services: &[String]) -> (Vec<Statement>, Vec<Diagnostic>) {
    let mut statements = Vec::new();
    let mut problems = Vec::new();
    let mut start = 0;
    for (index, whole) in text.split('\n').enumerate() {
        let words = words(whole, start);
        if let Some(last) = words.last() {
            let written = &text[words[0].span.start..last.span.end];
            let mut line = Line { words: &words, at: 0, services, warnings: Vec::new() };
            match line.statement() {
                Ok((globs, services)) => {
                    let text = written.to_owned();
                    statements.push(Statement { line: index + 1, text, globs, services });
                }
                Err(problem) => problems.push(*problem),
            }
            problems.append(&mut line.warnings);
        }
        start += whole.len() + 1;
    }
    (statements, problems)
}

type Outcome<T> = Result<T, Box<Diagnostic>>;

/// A line being read from left to right; its first error ends it.
struct Line<'a> {
    words: &'a [Word],
    at: usize,
    services: &'a [String],
    warnings: Vec<Diagnostic>,
}

impl Line<'_> {
    fn statement(&mut self) -> Outcome<(Option<Vec<Glob>>, Vec<String>)> {
        self.verb()?;
        let globs = self.pattern()?;
        self.to()?;
        let services = self.targets()?;
        Ok((globs, services))
    }

    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    fn missing<T>(&self, what: &str) -> Outcome<T> {
        let end = self.words.last().map(|word| word.span.clone());
        let problem = Diagnostic::error("the statement ends too early", end);
        Err(Box::new(problem.label(format!("{what} is expected after this"))))
    }

    fn verb(&mut self) -> Outcome<()> {
        let Some(word) = self.next() else { return self.missing("`sync`") };
        match &word.token {
            Token::Bare(verb) if verb == "sync" => Ok(()),
            Token::Bare(verb) if LATER.contains(&verb.as_str()) => Err(later(verb, &word)),
            Token::Bare(verb) => fail(&word, format!("unknown statement `{verb}`"), |problem| {
                problem.nearest(verb, ["sync"], TODAY)
            }),
            _ => {
                fail(&word, "a statement begins with a word".into(), |problem| problem.hint(TODAY))
            }
        }
    }

    /// `everything`, or globs between commas.
    fn pattern(&mut self) -> Outcome<Option<Vec<Glob>>> {
        let mut globs = Vec::new();
        loop {
            let Some(word) = self.next() else {
                return self.missing("`everything` or a glob in quotes");
            };
            match &word.token {
                Token::Bare(all) if all == "everything" && globs.is_empty() => return Ok(None),
                Token::Bare(name) if name.starts_with('@') => return Err(later(name, &word)),
                Token::Bare(text) => return unquoted(text, &word),
                Token::Quoted(text) => globs.extend(glob(text, &word)?),
                Token::Unclosed => {
                    return fail(&word, "the closing `\"` of this glob is missing".into(), |it| it);
                }
                Token::Comma => {
                    return fail(&word, "a glob in quotes is expected here".into(), |it| it);
                }
            }
            if self.words.get(self.at).is_none_or(|word| word.token != Token::Comma) {
                return Ok(Some(globs));
            }
            self.at += 1;
        }
    }

    fn to(&mut self) -> Outcome<()> {
        let Some(word) = self.next() else { return self.missing("`to` and a service") };
        match &word.token {
            Token::Bare(to) if to == "to" => Ok(()),
            Token::Bare(where_) if where_ == "where" => Err(later(where_, &word)),
            Token::Quoted(_) | Token::Unclosed => {
                fail(&word, "a comma is missing between two globs".into(), |it| it)
            }
            _ => fail(&word, "`to` is expected here".into(), |it| it),
        }
    }

    /// Names of services between commas.
    fn targets(&mut self) -> Outcome<Vec<String>> {
        let mut targets = Vec::new();
        loop {
            let Some(word) = self.next() else { return self.missing("a service's name") };
            match &word.token {
                Token::Bare(name) => self.target(name, &word, &mut targets),
                Token::Quoted(name) => {
                    return fail(
                        &word,
                        "a service's name stands without quotes".into(),
                        |problem| problem.hint(format!("write {name}")),
                    );
                }
                _ => return fail(&word, "a service's name is expected here".into(), |it| it),
            }
            let Some(word) = self.next() else { return Ok(targets) };
            if word.is("where") {
                return Err(later("where", &word));
            }
            if word.token != Token::Comma {
                return fail(&word, "a comma is expected here".into(), |it| it);
            }
        }
    }

    fn target(&mut self, name: &str, word: &Word, targets: &mut Vec<String>) {
        if self.services.iter().any(|service| service == name) {
            if !targets.iter().any(|target| target == name) {
                targets.push(name.to_owned());
            }
            return;
        }
        let known = || self.services.iter().map(String::as_str);
        let message = format!("unknown service `{name}` in a rule; nothing is sent there");
        self.warnings.push(Diagnostic::warning(message, Some(word.span.clone())).nearest(
            name,
            known(),
            format!("the services are {}", listed(known())),
        ));
    }
}

fn fail<T>(
    word: &Word,
    message: String,
    more: impl FnOnce(Diagnostic) -> Diagnostic,
) -> Outcome<T> {
    Err(Box::new(more(Diagnostic::error(message, Some(word.span.clone())))))
}

fn later(what: &str, word: &Word) -> Box<Diagnostic> {
    let message = format!("`{what}` is not understood by this version yet");
    Box::new(Diagnostic::error(message, Some(word.span.clone())).hint(TODAY))
}

fn unquoted<T>(text: &str, word: &Word) -> Outcome<T> {
    let message = format!("`{text}` is neither `everything` nor a glob in quotes");
    fail(word, message, |problem| {
        problem.nearest(text, ["everything"], format!("write \"{text}\""))
    })
}

/// A glob, and the directory itself for `DIRECTORY/**`: where something below it goes, it goes too.
fn glob(text: &str, word: &Word) -> Outcome<Vec<Glob>> {
    if let Some((message, hint)) = never_matches(text) {
        return fail(word, message, |problem| problem.hint(hint));
    }
    let mut globs = vec![compiled(text, word)?];
    if let Some(directory) = text.strip_suffix("/**").filter(|rest| !rest.is_empty()) {
        globs.push(compiled(directory, word)?);
    }
    Ok(globs)
}

/// What no path of the tree can match is a mistake rather than a rule without effect.
fn never_matches(text: &str) -> Option<(String, String)> {
    if text.is_empty() {
        return Some(("an empty glob matches nothing".into(), "write `everything`".into()));
    }
    if text.starts_with('/') {
        let relative = text.trim_start_matches('/');
        let message = format!("`{text}` matches nothing: paths don't begin with `/`");
        return Some((message, format!("write \"{relative}\"")));
    }
    if text.ends_with('/') {
        let message = format!("`{text}` matches nothing: paths don't end with `/`");
        return Some((message, format!("write \"{text}**\" for the directory and all below it")));
    }
    let odd = text.split('/').find(|part| matches!(*part, "" | "." | ".."))?;
    let message = format!("`{text}` matches nothing: no path has a component `{odd}`");
    Some((message, "paths are relative to the top of the tree, as `onitu ls` shows them".into()))
}

fn compiled(text: &str, word: &Word) -> Outcome<Glob> {
    let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
    match glob {
        Ok(glob) => Ok(glob),
        Err(error) => {
            let why = error.kind();
            fail(word, format!("`{text}` is no glob: {why}"), |it| it)
        }
    }
}
