//! Statements that don't go together.

use super::super::diagnostic::{Diagnostic, listed};
use super::super::statement::{Named, Statement, Verb};
use super::{Judged, meet};

/// What is odd about each statement beside each other one.
pub fn warnings(judged: &[Judged]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (at, one) in judged.iter().enumerate() {
        // The first cause is told, and a statement that has no effect contradicts nobody.
        let others = || judged.iter().enumerate().filter(move |(other, _)| *other != at);
        let idle = others().find_map(|(other, it)| no_effect(one, it, other < at));
        if let Some(problem) = idle {
            found.push(problem);
            continue;
        }
        found.extend(others().find_map(|(_, other)| partly_no_effect(one, other)));
        found.extend(others().filter_map(|(_, other)| kept_elsewhere(one, other)));
        found.extend(others().find_map(|(_, other)| comes_back(one, other)));
        let later = judged.iter().skip(at + 1);
        found
            .extend(later.filter_map(|other| nobody_may(one, other).or_else(|| moves(one, other))));
    }
    found
}

/// `one` says nothing, because of `other`.
fn no_effect(one: &Judged, other: &Judged, is_before: bool) -> Option<Diagnostic> {
    let (it, by) = (one.statement, other.statement);
    let (message, why) = match (it.verb, by.verb) {
        (same, verb) if same == verb && says_no_more(it, by) => {
            ("this statement says nothing new", "this says it already")
        }
        (same, verb) if same == verb => return None,
        (_, Verb::Never) => ("this statement has no effect", "this leaves out all it names"),
        (Verb::Sync, Verb::Move) => ("this statement has no effect", "this moves all it names"),
        _ => return None,
    };
    if by.condition.is_some() || !other.reach.covers_all_of(&one.reach) {
        return None;
    }
    // Of two that say exactly the same, the later one is too much.
    let is_alike = it.verb == by.verb && it.condition.is_none() && says_no_more(by, it);
    if is_alike && !is_before && one.reach.covers_all_of(&other.reach) {
        return None;
    }
    let problem = Diagnostic::warning(message, Some(it.span.clone()));
    Some(problem.mark(Some(by.span.clone()), why))
}

/// Whether `it` says no more than `by`, which begins with the same word, of the same files.
fn says_no_more(it: &Statement, by: &Statement) -> bool {
    let listed = |statement: &Statement| -> Vec<String> {
        statement.services.iter().map(|named| named.name.clone()).collect()
    };
    match it.verb {
        Verb::Sync | Verb::Move | Verb::Never => names_part(it, by),
        Verb::Only => names_part(it, by) && names_part(by, it),
        Verb::Copies(_) => listed(it) == listed(by),
    }
}

/// A glob of `one` says nothing, because `other` leaves it out.
fn partly_no_effect(one: &Judged, other: &Judged) -> Option<Diagnostic> {
    if other.statement.verb != Verb::Never || one.statement.verb == Verb::Never {
        return None;
    }
    let mut globs = one.statement.globs.iter().flatten();
    let glob = globs.find(|glob| other.reach.covers(Some(&glob.globs)))?;
    let message = format!("`{}` has no effect here", glob.text);
    let problem = Diagnostic::warning(message, Some(glob.span.clone()));
    Some(problem.mark(Some(other.statement.span.clone()), "this leaves it out"))
}

/// `one` names services for what `other` keeps only elsewhere.
fn kept_elsewhere(one: &Judged, other: &Judged) -> Option<Diagnostic> {
    let (it, keep) = (one.statement, other.statement);
    if keep.verb != Verb::Only || matches!(it.verb, Verb::Never | Verb::Only) {
        return None;
    }
    let (glob, span) = match &it.globs {
        None if other.reach.covers(None) => ("everything".to_owned(), it.span.clone()),
        None => return None,
        Some(globs) => {
            let glob = globs.iter().find(|glob| other.reach.covers(Some(&glob.globs)))?;
            (format!("`{}`", glob.text), glob.span.clone())
        }
    };
    let outside: Vec<&Named> =
        it.services.iter().filter(|named| !keep.names(&named.name)).collect();
    let left = it.services.len() - outside.len();
    let stuck: Vec<&Named> = keep.services.iter().filter(|named| !it.names(&named.name)).collect();
    let wins = "`keep … only on` wins; take it out of one of the two";
    let (message, hint) = match it.verb {
        Verb::Copies(wanted) if left < wanted => {
            let these = format!("only {left} of these services may hold it");
            let message = format!("{wanted} copies of {glob} can't be kept: {these}");
            (message, "name more of those that may")
        }
        Verb::Sync | Verb::Move if !outside.is_empty() => {
            (format!("{glob} never goes to {}", names(outside)), wins)
        }
        Verb::Move if !stuck.is_empty() => {
            (format!("{glob} is not moved away from {}", names(stuck)), wins)
        }
        _ => return None,
    };
    let why = format!("this keeps it only on {}", names(&keep.services));
    let problem = Diagnostic::warning(message, Some(span)).hint(hint);
    Some(problem.mark(Some(keep.span.clone()), why))
}

/// What `one` moves while it is young goes back with `other` when it isn't any more.
fn comes_back(one: &Judged, other: &Judged) -> Option<Diagnostic> {
    let (it, sync) = (one.statement, other.statement);
    if it.verb != Verb::Move || sync.verb != Verb::Sync {
        return None;
    }
    let back: Vec<&Named> = sync.services.iter().filter(|named| !it.names(&named.name)).collect();
    let is_young = |it: &Statement| it.condition.as_ref().is_some_and(meet::ends_with_age);
    // A `sync` that wants young files too is no way back.
    if back.is_empty() || !is_young(it) || is_young(sync) {
        return None;
    }
    let example = one.reach.meets(&other.reach)?;
    let why = format!("this sends `{example}` to {} again", names(back));
    let message = "what this moves comes back when it is older";
    let problem = Diagnostic::warning(message, Some(it.condition_span.clone()))
        .hint("`move … where older than …` moves once and for all");
    Some(problem.mark(Some(sync.span.clone()), why))
}

/// Files that two statements keep on different services only.
fn nobody_may(one: &Judged, other: &Judged) -> Option<Diagnostic> {
    let (first, second) = (one.statement, other.statement);
    let both = [first, second].iter().all(|it| it.verb == Verb::Only);
    if !both || first.services.iter().any(|named| second.names(&named.name)) {
        return None;
    }
    let example = one.reach.meets(&other.reach)?;
    let message = format!("no service may hold `{example}`");
    let only_on = |it: &Statement| format!("only on {}", names(&it.services));
    let problem = Diagnostic::warning(message, Some(second.span.clone())).label(only_on(second));
    let problem = problem.mark(Some(first.span.clone()), only_on(first));
    Some(problem.hint("nobody gets such a file, and nobody loses it"))
}

/// Two moves of the same files to different services.
fn moves(one: &Judged, other: &Judged) -> Option<Diagnostic> {
    let (first, second) = (one.statement, other.statement);
    let both = [first, second].iter().all(|it| it.verb == Verb::Move);
    if !both || names_part(first, second) && names_part(second, first) {
        return None;
    }
    let example = one.reach.meets(&other.reach)?;
    let conditions: Vec<_> = first.condition.iter().chain(&second.condition).collect();
    let (message, hint) = if exchange(first, second) {
        (
            "these two exchange files: each moves away what the other brings".to_owned(),
            format!("`{example}` moves once, from where it was first seen, and stays there"),
        )
    } else if meet::is_impossible(&conditions, &one.reach) {
        return None;
    } else {
        (
            format!("both of these may move `{example}`, which then stays on the services of both"),
            "make their conditions exclude each other, or name the same services".to_owned(),
        )
    };
    let problem = Diagnostic::warning(message, Some(second.span.clone()));
    Some(problem.mark(Some(first.span.clone()), "").hint(hint))
}

/// Whether each moves what was first seen on a service to which the other one moves.
fn exchange(first: &Statement, second: &Statement) -> bool {
    let from = |it: &Statement, by: &Statement| {
        let origin = it.condition.as_ref().and_then(meet::origin);
        origin.is_some_and(|origin| by.names(origin) && !it.names(origin))
    };
    from(first, second) && from(second, first)
}

/// Whether every service of `first` is one of `second`.
fn names_part(first: &Statement, second: &Statement) -> bool {
    first.services.iter().all(|named| second.names(&named.name))
}

fn names<'a>(services: impl IntoIterator<Item = &'a Named>) -> String {
    listed(services.into_iter().map(|named| named.name.as_str()))
}
