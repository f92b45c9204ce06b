//! What a person has approved of removing because of rules. Pure.
//!
//! A removal needs the approval of every set of rules that was in force since the last `onitu
//! apply` (design note 0005): a statement that is taken away and put back has to be approved anew.

use onitu_core::rules::Rules;
use onitu_core::store::Registry;

use crate::configuration::Remembered;

/// Most sets of rules since the last approval; after more of them nothing is approved.
const SETS_MAX: usize = 8;

/// What is approved now that `registry` comes into force; `known` is what was before, [`None`] if
/// nothing ever was: the first rules have nothing to remove. `approves` everything they remove.
pub(crate) fn approved(
    known: Option<&Remembered>,
    registry: &Registry,
    approves: bool,
) -> Vec<String> {
    let rules = registry.rules.clone();
    let Some(known) = known.filter(|_| !approves) else {
        return rules.into_iter().filter(|text| may_remove(text, registry)).collect();
    };
    let mut sets = known.approved.clone();
    if known.rules != rules && !sets.is_empty() {
        let before = known.rules.clone().unwrap_or_default();
        if !sets.contains(&before) {
            sets.push(before);
        }
    }
    let is_bounded = sets.len() <= SETS_MAX;
    let do_all = is_bounded && sets.iter().all(|text| may_remove(text, registry));
    if do_all { sets } else { Vec::new() }
}

/// What to say of removals that wait for a person.
pub(crate) fn waiting(before: &Registry, registry: &Registry) -> Option<String> {
    let rules = registry.rules.as_ref().filter(|text| may_remove(text, registry))?;
    let is_news = before.rules != registry.rules || before.approved != registry.approved;
    let is_approved = registry.approved == [rules.clone()];
    (is_news && !is_approved).then(|| {
        "what the rules newly remove from a service stays there until it is approved: see `onitu \
         plan`"
            .to_owned()
    })
}

fn may_remove(text: &str, registry: &Registry) -> bool {
    let names: Vec<String> = registry.services.iter().map(|service| service.name.clone()).collect();
    Rules::parse(text, &names).0.is_some_and(|rules| rules.may_remove())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::registry;

    const MOVE: &str = "move \"a/**\" to nas";
    const ONLY: &str = "keep \"a/**\" only on nas";
    const SYNC: &str = "sync everything to nas";

    fn in_force(rules: Option<&str>) -> Registry {
        Registry { rules: rules.map(str::to_owned), ..registry(&["laptop", "nas"]) }
    }

    /// What is approved after each of these sets came into force, one after the other.
    fn after(sets: &[Option<&str>], approves_last: bool) -> Vec<String> {
        let mut known: Option<Remembered> = None;
        for (at, rules) in sets.iter().enumerate() {
            let applies = approves_last && at + 1 == sets.len();
            let approved = approved(known.as_ref(), &in_force(*rules), applies);
            known = Some(Remembered { rules: rules.map(str::to_owned), approved });
        }
        known.expect("some sets").approved
    }

    #[test]
    fn only_what_every_set_since_the_last_approval_removes_is_approved() {
        type Row<'a> = (&'a [Option<&'a str>], bool, &'a [&'a str]);
        let table: [Row<'_>; 9] = [
            (&[Some(MOVE)], false, &[MOVE]),
            (&[None], false, &[]),
            (&[None, Some(MOVE)], false, &[]),
            (&[None, Some(MOVE)], true, &[MOVE]),
            (&[None, Some(MOVE), Some(MOVE)], false, &[]),
            (&[Some(MOVE), Some(ONLY)], false, &[MOVE]),
            (&[Some(MOVE), Some(ONLY), Some(MOVE)], false, &[MOVE, ONLY]),
            (&[Some(MOVE), Some(SYNC), Some(MOVE)], false, &[]),
            (&[Some(MOVE), None, Some(MOVE)], false, &[]),
        ];
        for (sets, approves, expected) in table {
            assert_eq!(after(sets, approves), expected, "{sets:?}");
        }
    }

    #[test]
    fn too_many_changes_without_an_approval_approve_nothing() {
        let texts: Vec<String> = (0..10).map(|at| format!("{MOVE}\n# {at}")).collect();
        let sets: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        assert!(after(&sets, false).is_empty());
        assert_eq!(after(&sets[..8], false).len(), 7);
    }

    #[test]
    fn a_person_is_told_once_that_removals_wait() {
        let old = in_force(Some(SYNC));
        let new = in_force(Some(MOVE));
        assert!(waiting(&old, &new).is_some());
        assert!(waiting(&new, &new).is_none());
        let done = Registry { approved: vec![MOVE.to_owned()], ..new.clone() };
        assert!(waiting(&new, &done).is_none() && waiting(&old, &done).is_none());
        assert!(waiting(&new, &old).is_none());
    }
}
