//! Rules: which files go to which services (design §7), in their first simple form.
//!
//! `sync everything to a, b` and `sync "GLOB", @set where CONDITION to a, b`, one statement a line,
//! and `let set = "GLOB"`. The meaning
//! of a set of statements is the union of what each says, so their order doesn't matter. Nothing
//! here takes anything away from a service: that would need statements this version refuses.

mod condition;
mod diagnostic;
mod parse;
#[cfg(test)]
mod tests;
mod word;

use std::collections::BTreeSet;

use globset::{Candidate, GlobSet};

pub use condition::{Comparison, Condition, Facts};
pub use diagnostic::{Diagnostic, Mark, Severity, listed, nearest};
use parse::Statement;

use crate::status::StatementStatus;
use crate::{Mode, Path, Service, ServiceId};

/// A compiled set of rules.
#[derive(Debug, Clone)]
pub struct Rules {
    statements: Vec<Statement>,
    /// Every glob of every statement, as one automaton.
    globs: GlobSet,
    /// For each glob its statement.
    owners: Vec<usize>,
    /// Statements about everything that have a condition.
    conditional: Vec<usize>,
    /// The services of all `sync everything` statements; [`None`] stands for every service.
    everywhere: Option<BTreeSet<String>>,
}

impl Rules {
    /// No rules at all: everything goes to every service.
    pub fn everywhere() -> Self {
        let (statements, owners) = (Vec::new(), Vec::new());
        let globs = GlobSet::empty();
        Self { statements, globs, owners, conditional: Vec::new(), everywhere: None }
    }

    /// Compiles `text` for services of these names. Without an error among the problems there are
    /// rules; their spans are bytes of `text`. A text without statements is [`Self::everywhere`].
    pub fn parse(text: &str, services: &[String]) -> (Option<Self>, Vec<Diagnostic>) {
        let (statements, mut problems) = parse::parse(text, services);
        if problems.iter().any(Diagnostic::is_error) {
            return (None, problems);
        }
        if statements.is_empty() {
            return (Some(Self::everywhere()), problems);
        }
        match Self::compile(statements) {
            Ok(rules) => (Some(rules), problems),
            Err(error) => {
                let message = format!("these globs are too much together: {error}");
                problems.push(Diagnostic::error(message, None));
                (None, problems)
            }
        }
    }

    fn compile(statements: Vec<Statement>) -> Result<Self, globset::Error> {
        let mut builder = GlobSet::builder();
        let mut owners = Vec::new();
        let mut conditional = Vec::new();
        let mut everywhere = BTreeSet::new();
        for (index, statement) in statements.iter().enumerate() {
            let Some(globs) = &statement.globs else {
                if statement.condition.is_some() {
                    conditional.push(index);
                    continue;
                }
                everywhere.extend(statement.services.iter().cloned());
                continue;
            };
            for glob in globs {
                builder.add(glob.clone());
                owners.push(index);
            }
        }
        let globs = builder.build()?;
        Ok(Self { statements, globs, owners, conditional, everywhere: Some(everywhere) })
    }

    /// The services that should hold what has these facts, in ascending order. A service that is only read
    /// ([`Mode::Source`]) is never among them.
    pub fn targets(&self, facts: &Facts<'_>, services: &[Service]) -> Vec<ServiceId> {
        let matching = self.matching(facts);
        let named = |name: &str| {
            self.everywhere.as_ref().is_none_or(|names| names.contains(name))
                || matching.iter().any(|&index| self.statements[index].names(name))
        };
        let mut targets: Vec<ServiceId> = services
            .iter()
            .filter(|service| service.mode != Mode::Source && named(&service.name))
            .map(|service| service.id)
            .collect();
        targets.sort_unstable();
        targets
    }

    /// Whether any statement names `service`.
    pub fn names(&self, service: &str) -> bool {
        self.statements.iter().any(|statement| statement.names(service))
    }

    /// Every statement, in the order of the text, whether it matches what has these facts, and if
    /// only its condition doesn't, which part of it.
    pub fn statements(&self, facts: &Facts<'_>) -> Vec<StatementStatus> {
        if self.everywhere.is_none() {
            let text = "no rules: everything goes to every service".to_owned();
            return vec![StatementStatus { line: 0, text, matches: true, unmet: None }];
        }
        let by_path = self.matching_paths(facts.path);
        let status = |(index, statement): (usize, &Statement)| {
            let in_path = statement.globs.is_none() || by_path.contains(&index);
            let unmet = statement.condition.as_ref().filter(|_| in_path);
            let unmet = unmet.and_then(|condition| condition.unmet(facts));
            StatementStatus {
                line: statement.line,
                text: statement.text.clone(),
                matches: in_path && unmet.is_none(),
                unmet,
            }
        };
        self.statements.iter().enumerate().map(status).collect()
    }

    /// Which statements about less than everything match; one may be told twice.
    fn matching(&self, facts: &Facts<'_>) -> Vec<usize> {
        let mut found = self.matching_paths(facts.path);
        found.extend(&self.conditional);
        found.retain(|&index| {
            self.statements[index].condition.as_ref().is_none_or(|it| it.is_met(facts))
        });
        found
    }

    /// Which statements' globs match; one may be told twice.
    fn matching_paths(&self, path: &Path) -> Vec<usize> {
        if self.globs.is_empty() {
            return Vec::new();
        }
        let found = self.globs.matches_candidate(&Candidate::new(path.as_str()));
        found.into_iter().map(|glob| self.owners[glob]).collect()
    }
}

impl Statement {
    fn names(&self, service: &str) -> bool {
        self.services.iter().any(|name| name == service)
    }
}
