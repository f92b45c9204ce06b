//! Whether any file can meet a condition.
//!
//! The condition is spread out into alternatives, each a list of simple tests that must hold or fail
//! together. Only what surely can't be is claimed.

use super::super::condition::{self, Comparison, Condition};
use super::sample::Reach;

/// Alternatives that are looked at; a condition with more isn't judged.
const ALTERNATIVES_MAX: usize = 256;

/// A simple test, and whether it must hold.
type Test<'a> = (&'a Condition, bool);

/// Whether surely no file that `reach` matches meets all of these conditions.
pub fn is_impossible(conditions: &[&Condition], reach: &Reach) -> bool {
    let mut alternatives = vec![Vec::new()];
    for condition in conditions {
        let Some(more) = spread(condition, true) else { return false };
        let Some(both) = product(&alternatives, &more) else { return false };
        alternatives = both;
    }
    alternatives.iter().all(|tests| contradict(tests, reach))
}

/// Whether surely every file of which enough is known meets it.
pub fn is_certain(condition: &Condition, reach: &Reach) -> bool {
    let negated = spread(condition, false);
    negated.is_some_and(|alternatives| alternatives.iter().all(|it| contradict(it, reach)))
}

/// Whether it holds only while a file is young.
pub fn ends_with_age(condition: &Condition) -> bool {
    let is_young = |(test, holds): &Test| match test {
        Condition::Newer(_) => *holds,
        Condition::Older(_) => !holds,
        _ => false,
    };
    let spread = spread(condition, true);
    spread.is_some_and(|all| !all.is_empty() && all.iter().all(|tests| tests.iter().any(is_young)))
}

/// The service that files must have been seen on first.
pub fn origin(condition: &Condition) -> Option<&str> {
    match condition {
        Condition::From(service) => Some(service),
        Condition::All(parts) => parts.iter().find_map(origin),
        _ => None,
    }
}

fn spread(condition: &Condition, holds: bool) -> Option<Vec<Vec<Test<'_>>>> {
    match (condition, holds) {
        (Condition::Not(part), _) => spread(part, !holds),
        (Condition::All(parts), true) | (Condition::Any(parts), false) => {
            let mut found = vec![Vec::new()];
            for part in parts {
                found = product(&found, &spread(part, holds)?)?;
            }
            Some(found)
        }
        (Condition::Any(parts), true) | (Condition::All(parts), false) => {
            let mut found = Vec::new();
            for part in parts {
                found.append(&mut spread(part, holds)?);
            }
            (found.len() <= ALTERNATIVES_MAX).then_some(found)
        }
        (simple, _) => Some(vec![vec![(simple, holds)]]),
    }
}

fn product<'a>(left: &[Vec<Test<'a>>], right: &[Vec<Test<'a>>]) -> Option<Vec<Vec<Test<'a>>>> {
    if left.len() * right.len() > ALTERNATIVES_MAX {
        return None;
    }
    let both = |a: &Vec<Test<'a>>, b: &Vec<Test<'a>>| a.iter().chain(b).copied().collect();
    Some(left.iter().flat_map(|a| right.iter().map(move |b| both(a, b))).collect())
}

fn contradict(tests: &[Test], reach: &Reach) -> bool {
    let is_opposite =
        |(a, holds): &Test, (b, other): &Test| holds != other && a.to_string() == b.to_string();
    let opposites = tests.iter().any(|a| tests.iter().any(|b| is_opposite(a, b)));
    opposites || sizes(tests) || ages(tests) || origins(tests) || names(tests, reach)
}

/// No size is left.
fn sizes(tests: &[Test]) -> bool {
    let (mut least, mut most) = (0_u64, Some(u64::MAX));
    for (test, holds) in tests {
        let Condition::Size(comparison, bytes) = test else { continue };
        let (is_upper, included) = match comparison {
            Comparison::Below { or_equal } => (*holds, *or_equal == *holds),
            Comparison::Above { or_equal } => (!holds, *or_equal == *holds),
        };
        if is_upper {
            let bound = if included { Some(*bytes) } else { bytes.checked_sub(1) };
            most = most.min(bound);
        } else {
            least = least.max(if included { *bytes } else { bytes.saturating_add(1) });
        }
    }
    most.is_none_or(|most| least > most)
}

/// No age is left.
fn ages(tests: &[Test]) -> bool {
    let (mut from_ns, mut until_ns) = (i64::MIN, i64::MAX);
    for (test, holds) in tests {
        match (test, holds) {
            (Condition::Older(age_ns), true) | (Condition::Newer(age_ns), false) => {
                from_ns = from_ns.max(*age_ns);
            }
            (Condition::Newer(age_ns), true) | (Condition::Older(age_ns), false) => {
                until_ns = until_ns.min(*age_ns);
            }
            _ => {}
        }
    }
    from_ns >= until_ns
}

/// Seen first on two services.
fn origins(tests: &[Test]) -> bool {
    let mut wanted = tests.iter().filter_map(|(test, holds)| match test {
        Condition::From(service) if *holds => Some(service),
        _ => None,
    });
    let first = wanted.next();
    first.is_some_and(|first| wanted.any(|other| other != first))
}

/// No name is left, as far as extensions, types and paths tell.
fn names(tests: &[Test], reach: &Reach) -> bool {
    let is_outside = |(test, holds): &Test| match test {
        Condition::Path(globs, _) if !holds => {
            let compared: Vec<_> = globs.iter().flat_map(|glob| glob.globs.clone()).collect();
            Reach::of_globs(&compared).covers(reach.globs())
        }
        _ => false,
    };
    if tests.iter().any(is_outside) {
        return true;
    }
    let listed = tests.iter().filter(|(_, holds)| *holds).filter_map(|(test, _)| match test {
        Condition::Ext(extensions) => Some(extensions.clone()),
        _ => None,
    });
    // Every extension there is to try: those of one list, else all that stand for a type.
    let some = reach.extensions().into_iter().chain(listed).next();
    let is_left = |extension: &str| tests.iter().all(|test| extension_meets(test, extension));
    match some {
        Some(extensions) => {
            let of_pattern = reach.extensions();
            let in_pattern = |it: &String| of_pattern.as_ref().is_none_or(|all| all.contains(it));
            !extensions.iter().any(|it| in_pattern(it) && is_left(it))
        }
        None => !all_extensions().any(is_left) && !content_alone_may_do(tests),
    }
}

/// Whether a file with this extension may pass the test.
fn extension_meets((test, holds): &Test, extension: &str) -> bool {
    match test {
        Condition::Ext(extensions) => extensions.iter().any(|it| it == extension) == *holds,
        Condition::Type(types) => {
            let guesses = mime_guess::from_ext(extension);
            let is = |told: &str| condition::is_one_of(&types.written, told);
            guesses.is_empty() || guesses.iter_raw().any(is) == *holds
        }
        _ => true,
    }
}

fn all_extensions() -> impl Iterator<Item = &'static str> {
    mime_guess::get_mime_extensions_str("*/*").unwrap_or_default().iter().copied()
}

/// Whether a file whose type only its content tells may pass them all.
fn content_alone_may_do(tests: &[Test]) -> bool {
    let types = tests.iter().filter_map(|(test, holds)| match test {
        Condition::Type(types) => Some((&types.written, *holds)),
        _ => None,
    });
    let types: Vec<_> = types.collect();
    let named = types.iter().flat_map(|(types, _)| types.iter());
    let mut told = named.map(|pattern| pattern.replace('*', "x")).chain(["x/x".to_owned()]);
    let is = condition::is_one_of;
    told.any(|told| types.iter().all(|(types, holds)| is(types, &told) == *holds))
}
