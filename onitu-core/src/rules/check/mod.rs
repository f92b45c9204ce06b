//! Warnings: what is no mistake of form, and yet hardly what was meant.
//!
//! Each says only what surely is so: a statement that can match nothing, or changes nothing, two
//! that contradict each other, files that nobody may hold, copies that can't be kept.
//!
//! No set of rules keeps files moving for ever: nothing that a rule looks at ([`super::Facts`]) is
//! changed by carrying it out. What would be a circle elsewhere (two statements that move files to
//! each other's services) comes to rest here, in a way that somebody should know of.

mod meet;
mod pairs;
mod sample;

use super::diagnostic::Diagnostic;
use super::statement::{Statement, Verb};
use sample::Reach;

/// Statements that are compared with each other; of more, each is judged alone.
const COMPARED_MAX: usize = 400;

/// A statement with what its pattern reaches.
struct Judged<'a> {
    statement: &'a Statement,
    reach: Reach,
}

/// Everything odd about statements without errors. `services` are the names there are.
pub fn warnings(statements: &[Statement], services: &[String]) -> Vec<Diagnostic> {
    let judged = |statement| Judged { statement, reach: Reach::of(statement) };
    let judged: Vec<_> = statements.iter().map(judged).collect();
    let mut found = Vec::new();
    for one in &judged {
        found.extend(condition(one));
        found.extend(copies(one.statement, services));
    }
    found.extend(nothing_is_placed(statements));
    if judged.len() <= COMPARED_MAX {
        found.append(&mut pairs::warnings(&judged));
    }
    found
}

/// A condition that decides nothing.
fn condition(Judged { statement, reach }: &Judged) -> Option<Diagnostic> {
    let condition = statement.condition.as_ref()?;
    let message = if meet::is_impossible(&[condition], reach) {
        "no file can meet this condition"
    } else if meet::is_certain(condition, reach) {
        "every file meets this condition"
    } else {
        return None;
    };
    let problem = Diagnostic::warning(message, Some(statement.condition_span.clone()));
    Some(if message.starts_with("no") {
        problem.hint("`and` wants both at once; `or` and commas want one of them")
    } else {
        problem.hint("leave it out, or say what it should keep away")
    })
}

/// More copies than services.
fn copies(statement: &Statement, services: &[String]) -> Option<Diagnostic> {
    let Verb::Copies(wanted) = statement.verb else { return None };
    let known = statement.services.iter().filter(|it| services.contains(&it.name)).count();
    if known >= wanted {
        return None;
    }
    let services = if known == 1 { "service" } else { "services" };
    let message = format!("{wanted} copies have only {known} {services} to choose from");
    let hint = format!("name {wanted} services, or keep fewer copies");
    Some(Diagnostic::warning(message, Some(statement.span.clone())).hint(hint))
}

/// Rules of which none sends anything anywhere.
fn nothing_is_placed(statements: &[Statement]) -> Option<Diagnostic> {
    let first = statements.first()?;
    if statements.iter().any(|statement| statement.verb != Verb::Never) {
        return None;
    }
    let message = "no statement sends anything anywhere";
    let problem = Diagnostic::warning(message, Some(first.span.clone()));
    Some(problem.hint(
        "without any rule all goes to all services; with rules, write `sync everything to …`",
    ))
}
