//! From a text to statements: one a line, the mistakes of all lines told.

use std::collections::BTreeMap;
use std::ops::Range;

use super::condition::Condition;
use super::diagnostic::{Diagnostic, listed, nearest};
use super::glob::PathGlob;
use super::statement::{Named, Statement, Verb};
use super::word::{Token, Word};

mod clause;
mod lines;

/// Words that begin a statement.
const VERBS: [&str; 5] = ["sync", "keep", "never", "move", "let"];
const STATEMENTS: &str = "a statement is `sync … to …`, `move … to …`, `keep … only on …`, \
    `keep 2 copies of … on any of …`, `never sync …` or `let NAME = …`";

/// What a text says.
pub struct Parsed {
    /// Complete only if no problem is an error.
    pub statements: Vec<Statement>,
    /// In the order of the text.
    pub problems: Vec<Diagnostic>,
}

/// A set of globs with a name.
#[derive(Debug, Clone)]
struct Set {
    globs: Vec<PathGlob>,
    defined: Word,
}

type Sets = BTreeMap<String, Set>;
type Outcome<T> = Result<T, Box<Diagnostic>>;

/// Reads every line.
pub fn parse(text: &str, services: &[String]) -> Parsed {
    let lines = lines::lines(text);
    let mut problems = Vec::new();
    // Names may be used before the line that defines them: the order of lines means nothing.
    let mut sets = Sets::new();
    let is_let = |line: &&lines::Line| line.words[0].is("let");
    for line in lines.iter().filter(is_let) {
        let mut reader = Reader::new(&line.words, services, &sets);
        match reader.definition() {
            Ok((name, set)) => define(&mut sets, name, set, &mut problems),
            Err(problem) => problems.push(*problem),
        }
    }
    let mut statements = Vec::new();
    let mut used = Vec::new();
    for line in lines.iter().filter(|line| !is_let(line)) {
        let mut reader = Reader::new(&line.words, services, &sets);
        statements.extend(reader.statement(line));
        problems.append(&mut reader.problems);
        used.append(&mut reader.used);
    }
    let is_right = !problems.iter().any(Diagnostic::is_error);
    for (name, set) in sets.iter().filter(|(name, _)| is_right && !used.contains(name)) {
        let message = format!("the set `{name}` is never used");
        let problem = Diagnostic::warning(message, Some(set.defined.span.clone()));
        problems.push(problem.hint(format!("a statement uses it as `@{name}`")));
    }
    problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
    Parsed { statements, problems }
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

/// A statement being read from left to right. An error in one part doesn't hide those of the rest.
struct Reader<'a> {
    words: &'a [Word],
    at: usize,
    services: &'a [String],
    sets: &'a Sets,
    problems: Vec<Diagnostic>,
    /// Whether it is a set that is being read.
    defines: bool,
    /// Sets that were used.
    used: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(words: &'a [Word], services: &'a [String], sets: &'a Sets) -> Self {
        Self {
            words,
            at: 0,
            services,
            sets,
            problems: Vec::new(),
            defines: false,
            used: Vec::new(),
        }
    }

    /// Nothing if it has an error, which is then among the problems.
    fn statement(&mut self, line: &lines::Line) -> Option<Statement> {
        let verb = self.read(&[], Self::verb)?;
        let stop = match verb {
            Verb::Sync | Verb::Move => "to",
            Verb::Only => "only",
            Verb::Copies(_) => "on",
            Verb::Never => "",
        };
        let globs = self.read(&["where", stop], Self::pattern);
        let condition_start = self.at;
        let condition = self.takes("where").then(|| {
            let place = self.words[self.at - 1].clone();
            self.read(&[stop], |reader| reader.where_is_allowed(verb, &place))
        });
        let condition_span = self.span_of(condition_start..self.at, line);
        let services = self.read(&[], |reader| reader.rest(verb, condition.is_some()));
        let condition = condition.map_or(Some(None), |condition| condition.map(Some));
        Some(Statement {
            line: line.number,
            text: line.text.clone(),
            span: line.span.clone(),
            verb,
            globs: globs?,
            condition: condition?,
            condition_span,
            services: services?,
        })
    }

    /// Where these words stand; the line's own place if there are none, or if they are on several.
    fn span_of(&self, words: Range<usize>, line: &lines::Line) -> Range<usize> {
        let words = self.words.get(words).unwrap_or_default();
        let found = words.first().zip(words.last());
        let span = found.map(|(first, last)| first.span.start..last.span.end);
        span.filter(|span| span.end <= line.span.end).unwrap_or_else(|| line.span.clone())
    }

    /// One part. After an error reading goes on at the first of `stops`, or ends.
    fn read<T>(&mut self, stops: &[&str], part: impl FnOnce(&mut Self) -> Outcome<T>) -> Option<T> {
        let problem = match part(self) {
            Ok(read) => return Some(read),
            Err(problem) => problem,
        };
        // What was not reached because of an earlier error is no error of its own.
        let is_first = !self.problems.iter().any(Diagnostic::is_error);
        if is_first || self.at <= self.words.len() {
            self.problems.push(*problem);
        }
        let rest = self.words.get(self.at.saturating_sub(1)..).unwrap_or_default();
        let stop = rest.iter().position(|word| stops.iter().any(|stop| word.is(stop)));
        self.at = stop.map_or(self.words.len() + 1, |stop| self.at.saturating_sub(1) + stop);
        None
    }

    /// `let NAME = "GLOB", …`
    fn definition(&mut self) -> Outcome<(String, Set)> {
        self.at += 1;
        self.defines = true;
        let Some(word) = self.next() else { return self.missing("a name") };
        let is_name = |name: &str| {
            name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
        };
        let name = match &word.token {
            Token::Bare(name) if is_name(name) => name.clone(),
            Token::Bare(name) => {
                return fail(&word, format!("`{name}` is no name for a set"), |problem| {
                    problem
                        .hint("a name has letters, digits, `-` and `_`; `@` only where it is used")
                });
            }
            _ => return fail(&word, "a name is expected here", |it| it),
        };
        match self.next() {
            None => return self.missing("`=`"),
            Some(Word { token: Token::Equals, .. }) => {}
            Some(other) => return fail(&other, "`=` is expected here", |it| it),
        }
        let globs = self.globs("a glob in quotes")?;
        if let Some(more) = self.next() {
            return fail(&more, "a comma is missing between two globs", |it| it);
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

    /// Takes one of these words, of which the first is the usual one.
    fn expect(&mut self, words: &[&str]) -> Outcome<()> {
        if words.iter().any(|word| self.takes(word)) {
            return Ok(());
        }
        let expected = format!("`{}`", words[0]);
        match self.next() {
            Some(other) => fail(&other, format!("{expected} is expected here"), |it| it),
            None => self.missing(&expected),
        }
    }

    fn missing<T>(&self, what: &str) -> Outcome<T> {
        let end = self.words.last().map(|word| word.span.clone());
        let problem = Diagnostic::error("the statement ends too early", end);
        Err(Box::new(problem.label(format!("{what} is expected after this"))))
    }

    fn verb(&mut self) -> Outcome<Verb> {
        let Some(word) = self.next() else { return self.missing("`sync`") };
        let Token::Bare(verb) = &word.token else {
            return fail(&word, "a statement begins with a word", |it| it.hint(STATEMENTS));
        };
        match verb.as_str() {
            "sync" => Ok(Verb::Sync),
            "move" => Ok(Verb::Move),
            "never" => self.expect(&["sync"]).map(|()| Verb::Never),
            "keep" => self.keep(),
            _ => fail(&word, format!("unknown statement `{verb}`"), |problem| {
                problem.nearest(verb, VERBS, STATEMENTS)
            }),
        }
    }

    /// `keep …`, or `keep N copies of …`.
    fn keep(&mut self) -> Outcome<Verb> {
        let Some(Word { token: Token::Bare(number), span }) = self.peek().cloned() else {
            return Ok(Verb::Only);
        };
        let counts = self.words.get(self.at + 1).is_some_and(|it| it.is("copies") || it.is("copy"));
        if !counts && !number.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(Verb::Only);
        }
        self.at += 1;
        let problem = match number.parse() {
            Ok(0) => "no copies at all is nothing to keep",
            Ok(number) => {
                self.expect(if number == 1 { &["copy", "copies"] } else { &["copies", "copy"] })?;
                self.expect(&["of"])?;
                return Ok(Verb::Copies(number));
            }
            Err(_) => "this is no number of copies",
        };
        Err(Box::new(Diagnostic::error(problem, Some(span)).hint("write `keep 2 copies of …`")))
    }

    /// `everything`, or globs and names of sets between commas.
    fn pattern(&mut self) -> Outcome<Option<Vec<PathGlob>>> {
        if self.takes("everything") {
            return Ok(None);
        }
        self.globs("`everything` or a glob in quotes").map(Some)
    }

    fn globs(&mut self, expected: &str) -> Outcome<Vec<PathGlob>> {
        let mut globs = Vec::new();
        loop {
            let Some(word) = self.next() else { return self.missing(expected) };
            match &word.token {
                Token::Bare(name) if name.starts_with('@') => globs.extend(self.set(name, &word)?),
                Token::Bare(text) if text == "everything" => {
                    return fail(&word, "`everything` stands alone, without globs", |problem| {
                        problem.hint("the glob \"**\" matches everything too")
                    });
                }
                Token::Bare(text) => return unquoted(text, &word),
                Token::Quoted(text) => match PathGlob::parse(text, word.span.clone()) {
                    Ok(glob) => globs.push(glob),
                    Err((message, hint)) => {
                        return fail(&word, message, |problem| match hint {
                            Some(hint) => problem.hint(hint),
                            None => problem,
                        });
                    }
                },
                Token::Unclosed => {
                    return fail(&word, "the closing `\"` of this glob is missing", |it| it);
                }
                _ => return fail(&word, "a glob in quotes is expected here", |it| it),
            }
            if !self.takes_comma() {
                return Ok(globs);
            }
        }
    }

    fn set(&mut self, name: &str, word: &Word) -> Outcome<Vec<PathGlob>> {
        let bare = &name[1..];
        if self.defines {
            return fail(word, "a set is made of globs, not of other sets", |problem| {
                problem.hint("a statement may name several sets: `sync @a, @b to …`")
            });
        }
        let Some(set) = self.sets.get(bare) else {
            let known = self.sets.keys().map(String::as_str);
            return fail(word, format!("no set is called `{name}`"), |problem| {
                let otherwise = format!("define it on a line of its own: let {bare} = \"…\"");
                match nearest(bare, known) {
                    Some(known) => problem.hint(format!("did you mean `@{known}`?")),
                    None => problem.hint(otherwise),
                }
            });
        };
        self.used.push(bare.to_owned());
        let here = |glob: &PathGlob| PathGlob { span: word.span.clone(), ..glob.clone() };
        Ok(set.globs.iter().map(here).collect())
    }

    fn where_is_allowed(&mut self, verb: Verb, place: &Word) -> Outcome<Condition> {
        let statement = match verb {
            Verb::Sync | Verb::Move => return self.condition(),
            Verb::Only => "keep … only on",
            Verb::Copies(_) => "keep … copies",
            Verb::Never => "never sync",
        };
        fail(place, format!("`{statement}` takes no condition"), |problem| {
            problem.hint("a promise doesn't depend on what may change; say it of a path")
        })
    }

    /// What follows the pattern and its condition.
    fn rest(&mut self, verb: Verb, conditioned: bool) -> Outcome<Vec<Named>> {
        match verb {
            Verb::Never => {
                return match self.next() {
                    None => Ok(Vec::new()),
                    Some(word) if word.is("to") || word.is("on") => {
                        fail(&word, "`never sync` names no services", |problem| {
                            problem.hint("to keep files off some services write `keep … only on …`")
                        })
                    }
                    Some(word) => after_globs(&word, "a comma is expected here"),
                };
            }
            Verb::Sync | Verb::Move => self.to(conditioned)?,
            Verb::Only => {
                self.keyword("only")?;
                self.expect(&["on"])?;
            }
            Verb::Copies(_) => {
                self.keyword("on")?;
                self.expect(&["any"])?;
                self.expect(&["of"])?;
            }
        }
        self.targets(verb)
    }

    fn keyword(&mut self, text: &str) -> Outcome<()> {
        match self.next() {
            Some(word) if word.is(text) => Ok(()),
            Some(word) => after_globs(&word, &format!("`{text}` is expected here")),
            None => self.missing(&format!("`{text}`")),
        }
    }

    fn to(&mut self, conditioned: bool) -> Outcome<()> {
        match self.next() {
            None => self.missing("`to` and a service"),
            Some(word) if word.is("to") => Ok(()),
            Some(word) if conditioned => {
                fail(&word, "`and`, `or` or `to` is expected here", |it| it)
            }
            Some(word) => after_globs(&word, "`to` is expected here"),
        }
    }

    /// Names of services between commas, up to the end.
    fn targets(&mut self, verb: Verb) -> Outcome<Vec<Named>> {
        let mut targets: Vec<Named> = Vec::new();
        loop {
            let Some(word) = self.next() else { return self.missing("a service's name") };
            let name = self.service_name(&word)?;
            if targets.iter().any(|target| target.name == name) {
                let message = format!("`{name}` is named twice");
                self.problems.push(Diagnostic::warning(message, Some(word.span.clone())));
            } else {
                self.check_known(&name, &word, verb);
                targets.push(Named { name, span: word.span.clone() });
            }
            let Some(word) = self.next() else { return Ok(targets) };
            if word.is("where") {
                return match verb {
                    Verb::Sync | Verb::Move => {
                        fail(&word, "`where` stands before `to`", |problem| {
                            problem.hint("write `sync … where … to …`")
                        })
                    }
                    _ => self.where_is_allowed(verb, &word).map(|_| Vec::new()),
                };
            }
            if word.token != Token::Comma {
                return fail(&word, "a comma is expected here", |it| it);
            }
        }
    }

    fn service_name(&self, word: &Word) -> Outcome<String> {
        let is_name = |name: &str| {
            name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
        };
        match &word.token {
            Token::Bare(name) if is_name(name) => Ok(name.clone()),
            Token::Bare(name) => fail(word, format!("`{name}` is no service's name"), |problem| {
                problem.nearest(name, self.services.iter().map(String::as_str), "")
            }),
            Token::Quoted(name) => fail(word, "a service's name stands without quotes", |it| {
                it.hint(format!("write `{name}`"))
            }),
            _ => fail(word, "a service's name is expected here", |it| it),
        }
    }

    /// A service that doesn't exist yet, or no more, is no error: the rest of the rules holds.
    fn check_known(&mut self, name: &str, word: &Word, verb: Verb) {
        if self.services.iter().any(|service| service == name) {
            return;
        }
        let known = || self.services.iter().map(String::as_str);
        let otherwise = format!("the services are {}", listed(known()));
        let effect = match verb {
            Verb::Only | Verb::Move => "nothing is removed elsewhere until it exists",
            _ => "nothing is sent there",
        };
        let message = format!("unknown service `{name}` in a rule; {effect}");
        self.problems.push(Diagnostic::warning(message, Some(word.span.clone())).nearest(
            name,
            known(),
            otherwise,
        ));
    }
}

/// What stands behind globs where it shouldn't.
fn after_globs<T>(word: &Word, message: &str) -> Outcome<T> {
    match word.token {
        Token::Quoted(_) | Token::Unclosed => {
            fail(word, "a comma is missing between two globs", |it| it)
        }
        _ => fail(word, message, |it| it),
    }
}

fn fail<T>(
    word: &Word,
    message: impl Into<String>,
    more: impl FnOnce(Diagnostic) -> Diagnostic,
) -> Outcome<T> {
    Err(Box::new(more(Diagnostic::error(message, Some(word.span.clone())))))
}

fn unquoted<T>(text: &str, word: &Word) -> Outcome<T> {
    let message = format!("`{text}` is neither `everything` nor a glob in quotes");
    fail(word, message, |problem| {
        problem.nearest(text, ["everything"], format!("write \"{text}\""))
    })
}
