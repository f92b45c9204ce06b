//! What is ignored is left alone: nothing but its own user changes it, on any service.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use onitu_core::Path;
use onitu_core::ignore::Ignoring;
use onitu_driver_memory::Thing;

use crate::books::{Books, is_conflict_name};
use crate::house::House;
use crate::user::Tree;

/// What stood where it is ignored when all was last at rest. From there on nobody may change it as
/// long as nothing else is published: then no order for it can be under way either.
#[derive(Default)]
pub(crate) struct Alone {
    /// Nothing is known before the first rest.
    known: Option<Known>,
}

struct Known {
    ignoring: Ignoring,
    /// How often the store had lost something by then.
    losses: u64,
    trees: Vec<Tree>,
}

impl Alone {
    /// All is at rest.
    pub(crate) fn rest(&mut self, house: &House) {
        let ignoring = house.ignoring();
        let covered = |tree: Tree| -> Tree {
            tree.into_iter().filter(|(path, _)| ignoring.covers_any(path)).collect()
        };
        let trees = house.members.iter().map(|member| covered(member.storage.tree())).collect();
        self.known = Some(Known { ignoring, losses: house.losses.get(), trees });
    }

    /// Nothing that is ignored was made, changed or removed by anybody but its user.
    pub(crate) fn check(&mut self, house: &House, books: &Books, trees: &[Tree]) -> Result<()> {
        // A store that went back to the set of before may have had another one meanwhile.
        let is_another = |it: &Known| {
            it.ignoring.version() != house.ignoring().version() || it.losses != house.losses.get()
        };
        if self.known.as_ref().is_some_and(is_another) {
            // What comes under way while a set is published is told of in design note 0006.
            self.known = None;
        }
        let Some(Known { ignoring, trees: before, .. }) = &self.known else { return Ok(()) };
        for (at, (before, tree)) in before.iter().zip(trees).enumerate() {
            let name = &house.members[at].service.name;
            let covered = tree.iter().filter(|(path, _)| ignoring.covers_any(path));
            let now: BTreeMap<&Path, &Thing> = covered.collect();
            for (path, thing) in before.iter().filter(|(path, _)| !books.was_touched(at, path)) {
                let is_there = tree.get(path).is_some_and(|it| is_alike(it, thing));
                ensure!(
                    is_there || went_along(path, thing, tree),
                    "`{path}` on {name} is ignored, and was changed"
                );
            }
            let is_new = |path: &&Path| !before.contains_key(*path) && !is_conflict_name(path);
            let made = now.keys().copied().filter(is_new).find(|it| !books.was_touched(at, it));
            ensure!(made.is_none(), "{made:?} on {name} is ignored, and was made");
        }
        Ok(())
    }
}

fn is_alike(one: &Thing, other: &Thing) -> bool {
    match (one, other) {
        (Thing::Directory, Thing::Directory) => true,
        _ => one == other,
    }
}

/// A directory that loses its name in a conflict takes along what is in it.
fn went_along(path: &Path, thing: &Thing, tree: &Tree) -> bool {
    let mut moved = tree.iter().filter(|(it, _)| is_conflict_name(it) && it.name() == path.name());
    moved.any(|(_, it)| is_alike(it, thing))
}
