//! From a text to statements: one a line, every line's mistake told.

use std::collections::BTreeMap;

use globset::{Glob, GlobBuilder};

use super::condition::Condition;
use super::diagnostic::{Diagnostic, listed};
use super::word::{Token, Word};

mod clause;
mod lines;

/// Words that begin a statement.
const VERBS: [&str; 2] = ["sync", "let"];
/// Statements of the language that a later version understands.
const LATER: [&str; 3] = ["keep", "never", "move"];
const TODAY: &str = "this version knows `sync … to …`, `sync … where … to …` and `let NAME = …`";

/// `sync … to …`
#[derive(Debug, Clone)]
pub struct Statement {
    /// From 1.
    pub line: usize,
    /// As written, without its comment, in one line.
    pub text: String,
    /// [`None`]: everything.
    pub globs: Option<Vec<Glob>>,
    /// What a file must be like beside its path.
    pub condition: Option<Condition>,
    /// Names, as far as they exist.
    pub services: Vec<String>,
}

/// A set of globs with a name.
#[derive(Debug, Clone)]
struct Set {
    globs: Vec<Glob>,
    defined: Word,
}

type Sets = BTreeMap<String, Set>;
type Outcome<T> = Result<T, Box<Diagnostic>>;

/// Reads every line; the statements are complete only if no problem is an error.
pub fn parse(text: &str, services: &[String]) -> (Vec<Statement>, Vec<Diagnostic>) {
    let lines = lines::lines(text);
    let mut problems = Vec::new();
    // Names may be used before the line that defines them: the order of lines means nothing.
    let mut sets = Sets::new();
    for line in &lines {
        let mut reader = Reader::new(&line.words, services, &sets);
        if line.words[0].is("let") {
            match reader.definition() {
                Ok((name, set)) => define(&mut sets, name, set, &mut problems),
                Err(problem) => problems.push(*problem),
            }
        }
    }
    let mut statements = Vec::new();
    for line in &lines {
        if line.words[0].is("let") {
            continue;
        }
        let mut reader = Reader::new(&line.words, services, &sets);
        match reader.statement() {
            Ok((globs, condition, services)) => {
                let (line, text) = (line.number, line.text.clone());
                statements.push(Statement { line, text, globs, condition, services });
            }
            Err(problem) => problems.push(*problem),
        }
        problems.append(&mut reader.warnings);
    }
    problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
    (statements, problems)
}

fn define(sets: &mut Sets, name: String, set: Set, problems: &mut Vec<Diagnostic>) {
    if let Some(before) = sets.get(&name) {
        let message = format!("`{name}` is defined twice");
        problems.push(
            Diagnostic::error(message, Some(set.defined.span))
                .mark(Some(before.defined.span.clone()), "first here")
                .hint("give one of them another name"),
        );
        return;
    }
    sets.insert(name, set);
}

/// A statement being read from left to right; its first error ends it.
struct Reader<'a> {
    words: &'a [Word],
    at: usize,
    services: &'a [String],
    sets: &'a Sets,
    warnings: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn new(words: &'a [Word], services: &'a [String], sets: &'a Sets) -> Self {
        Self { words, at: 0, services, sets, warnings: Vec::new() }
    }

    fn statement(&mut self) -> Outcome<(Option<Vec<Glob>>, Option<Condition>, Vec<String>)> {
        self.verb()?;
        let globs = self.pattern()?;
        let condition = if self.takes("where") { Some(self.condition()?) } else { None };
        self.to(condition.is_some())?;
        let services = self.targets()?;
        Ok((globs, condition, services))
    }

    /// `let NAME = "GLOB", …`
    fn definition(&mut self) -> Outcome<(String, Set)> {
        self.at += 1;
        let Some(word) = self.next() else { return self.missing("a name") };
        let is_name = |name: &str| {
            name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
        };
        let name = match &word.token {
            Token::Bare(name) if is_name(name) => name.clone(),
            Token::Bare(name) => {
                return fail(&word, format!("`{name}` is no name for a set"), |problem| {
                    problem.hint("a name has letters, digits, `-` and `_`; `@` only where it is used")
                });
            }
            _ => return fail(&word, "a name is expected here".into(), |it| it),
        };
        match self.next() {
            None => return self.missing("`=`"),
            Some(Word { token: Token::Equals, .. }) => {}
            Some(other) => return fail(&other, "`=` is expected here".into(), |it| it),
        }
        let globs = self.globs("a glob in quotes")?;
        if let Some(more) = self.next() {
            return fail(&more, "a comma is missing between two globs".into(), |it| it);
        }
        Ok((name, Set { globs, defined: word }))
    }

    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    fn peek(&self) -> Option<&Word> {
        self.words.get(self.at)
    }

    /// Takes the bare word `text`, if it is the next one.
    fn takes(&mut self, text: &str) -> bool {
        let is_it = self.peek().is_some_and(|word| word.is(text));
        self.at += usize::from(is_it);
        is_it
    }

    /// Takes a comma, if it is next.
    fn takes_comma(&mut self) -> bool {
        let is_it = self.peek().is_some_and(|word| word.token == Token::Comma);
        self.at += usize::from(is_it);
        is_it
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
                problem.nearest(verb, VERBS, TODAY)
            }),
            _ => {
                fail(&word, "a statement begins with a word".into(), |problem| problem.hint(TODAY))
            }
        }
    }

    /// `everything`, or globs and names of sets between commas.
    fn pattern(&mut self) -> Outcome<Option<Vec<Glob>>> {
        if self.takes("everything") {
            return Ok(None);
        }
        self.globs("`everything` or a glob in quotes").map(Some)
    }

    fn globs(&mut self, expected: &str) -> Outcome<Vec<Glob>> {
        let mut globs = Vec::new();
        loop {
            let Some(word) = self.next() else { return self.missing(expected) };
            match &word.token {
                Token::Bare(name) if name.starts_with('@') => globs.extend(self.set(name, &word)?),
                Token::Bare(text) => return unquoted(text, &word),
                Token::Quoted(text) => globs.extend(glob(text, &word)?),
                Token::Unclosed => {
                    return fail(&word, "the closing `\"` of this glob is missing".into(), |it| it);
                }
                _ => return fail(&word, "a glob in quotes is expected here".into(), |it| it),
            }
            if !self.takes_comma() {
                return Ok(globs);
            }
        }
    }

    fn set(&self, name: &str, word: &Word) -> Outcome<Vec<Glob>> {
        let known = || self.sets.keys().map(String::as_str);
        match self.sets.get(&name[1..]) {
            Some(set) => Ok(set.globs.clone()),
            None => fail(word, format!("no set is called `{name}`"), |problem| {
                let otherwise = format!("define it on a line of its own: let {} = \"…\"", &name[1..]);
                problem.nearest(&name[1..], known(), otherwise)
            }),
        }
    }

    fn to(&mut self, conditioned: bool) -> Outcome<()> {
        let Some(word) = self.next() else { return self.missing("`to` and a service") };
        match &word.token {
            Token::Bare(to) if to == "to" => Ok(()),
            Token::Quoted(_) | Token::Unclosed if !conditioned => {
                fail(&word, "a comma is missing between two globs".into(), |it| it)
            }
            _ if conditioned => fail(&word, "`and`, `or` or `to` is expected here".into(), |it| it),
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
                return fail(&word, "`where` stands before `to`".into(), |problem| {
                    problem.hint("write `sync … where … to …`")
                });
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
