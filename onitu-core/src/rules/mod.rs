//! Rules: which files go to which services (design §7).
//!
//! A text becomes [`Statement`]s (`parse`), which are compiled once ([`Rules`]: all globs to one
//! automaton, conditions cheapest first) and then asked where a file belongs ([`Rules::place`]).
//! The meaning of a set is made of what each statement says by itself, put together so that the
//! order of statements doesn't matter. Nothing here copies or removes anything, reads a file or
//! asks a clock; what a statement may look at stands in [`Facts`].

pub mod age;
mod automaton;
mod check;
mod condition;
mod diagnostic;
mod facts;
mod glob;
mod parse;
mod place;
mod statement;
#[cfg(test)]
mod tests;
mod word;

use std::fmt;

use automaton::Automaton;
pub use condition::{Comparison, Condition, Types, type_by_name};
pub use diagnostic::{Diagnostic, Mark, Severity, listed, nearest};
pub use facts::Facts;
pub use glob::PathGlob;
pub use place::{Copies, Placement};
use place::{Law, NAMES_MAX};
pub use statement::{Named, Statement, Verb};

use crate::status::StatementStatus;
use crate::{Path, Service};

/// A compiled set of rules. Its `Display` form is a text that gives the same rules.
#[derive(Debug, Clone)]
pub struct Rules {
    statements: Vec<Statement>,
    /// For each statement what it means.
    laws: Vec<Law>,
    /// Every glob of every statement; its owner is the statement.
    automaton: Automaton,
    /// Of `never sync` only.
    never: Automaton,
    /// Statements about everything.
    about_everything: Vec<usize>,
    /// Every service that a statement names, ascending.
    names: Vec<String>,
}

impl Rules {
    /// No rules at all: everything goes to every service.
    pub fn everywhere() -> Self {
        Self {
            statements: Vec::new(),
            laws: Vec::new(),
            automaton: Automaton::empty(),
            never: Automaton::empty(),
            about_everything: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Compiles `text` for services of these names. Without an error among the problems there are
    /// rules; their spans are bytes of `text`. A text without statements is [`Self::everywhere`].
    pub fn parse(text: &str, services: &[String]) -> (Option<Self>, Vec<Diagnostic>) {
        let parse::Parsed { statements, mut problems } = parse::parse(text, services);
        if problems.iter().any(Diagnostic::is_error) {
            return (None, problems);
        }
        match Self::compile(statements) {
            Ok(rules) => {
                problems.append(&mut check::warnings(&rules.statements, services));
                problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
                (Some(rules), problems)
            }
            Err(message) => {
                problems.push(Diagnostic::error(message, None));
                (None, problems)
            }
        }
    }

    fn compile(statements: Vec<Statement>) -> Result<Self, String> {
        let everyone = statements.iter().flat_map(|it| &it.services).map(|it| it.name.clone());
        let mut names: Vec<String> = everyone.collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > NAMES_MAX {
            return Err(format!("rules may name {NAMES_MAX} services, these are {}", names.len()));
        }
        let globs = |wanted: fn(&Statement) -> bool| {
            let statements = statements.iter().enumerate().filter(move |(_, it)| wanted(it));
            let globs = statements.flat_map(|(owner, statement)| {
                statement.compared().into_iter().map(move |glob| (owner, glob))
            });
            Automaton::new(globs)
        };
        let (automaton, never) = (globs(|_| true)?, globs(|it| it.verb == Verb::Never)?);
        let is_general = |index: &usize| statements[*index].globs.is_none();
        let about_everything = (0..statements.len()).filter(is_general).collect();
        let laws = statements.iter().map(|statement| Law::of(statement, &names)).collect();
        Ok(Self { statements, laws, automaton, never, about_everything, names })
    }

    /// Whether any statement excludes anything.
    pub fn may_exclude(&self) -> bool {
        self.statements.iter().any(|it| it.verb == Verb::Never)
    }

    /// Whether any statement ever takes a file away from a service.
    pub fn may_remove(&self) -> bool {
        self.statements.iter().any(|it| matches!(it.verb, Verb::Move | Verb::Only))
    }

    /// Whether any statement names `service`.
    pub fn names(&self, service: &str) -> bool {
        self.names.binary_search_by(|name| name.as_str().cmp(service)).is_ok()
    }

    /// Whether `never sync` keeps Onitu from touching `path`, itself or because of a directory above
    /// it. Depends on the path alone, for whoever lists files. Allocates nothing.
    pub fn excludes(&self, path: &Path) -> bool {
        let is_total = |index: &usize| self.statements[*index].verb == Verb::Never;
        self.never.matches(path.as_str()) || self.about_everything.iter().any(is_total)
    }

    /// Every statement, in the order of the text, whether it matches what has these facts, and if
    /// only its condition doesn't, which part of it.
    pub fn statements(&self, facts: &Facts<'_>, services: &[Service]) -> Vec<StatementStatus> {
        if self.statements.is_empty() {
            let text = "no rules: everything goes to every service".to_owned();
            return vec![StatementStatus { line: 0, text, matches: true, unmet: None }];
        }
        let mut by_path = vec![false; self.statements.len()];
        self.for_each_by_path(facts.path, |index| by_path[index] = true);
        let status = |(statement, in_path): (&Statement, bool)| {
            let condition = statement.condition.as_ref().filter(|_| in_path);
            let unmet = condition.and_then(|condition| condition.unmet(facts, services));
            StatementStatus {
                line: statement.line,
                text: statement.text.clone(),
                matches: in_path && unmet.is_none(),
                unmet,
            }
        };
        self.statements.iter().zip(by_path).map(status).collect()
    }

    /// Calls `each` with every statement whose pattern matches `path`; maybe more than once.
    fn for_each_by_path(&self, path: &Path, mut each: impl FnMut(usize)) {
        self.about_everything.iter().copied().for_each(&mut each);
        self.automaton.for_each_match(path.as_str(), each);
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.statements.iter().try_for_each(|statement| writeln!(f, "{statement}"))
    }
}
