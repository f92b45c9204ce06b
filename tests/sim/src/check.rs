//! The invariants (design §6) that hold at any moment, checked against what the services really
//! hold after every step.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use bytes::Bytes;

use crate::alone::Alone;
use crate::books::{Books, bytes_of, is_conflict_name};
use crate::house::House;
use crate::permit::Permits;
use crate::room::Rooms;
use crate::user::Tree;

/// Everything that holds at any moment.
pub(crate) fn at_any_moment(
    house: &House,
    books: &Books,
    permits: &mut Permits,
    (alone, rooms): (&mut Alone, &Rooms),
) -> Result<()> {
    let trees: Vec<Tree> = house.members.iter().map(|member| member.storage.tree()).collect();
    nothing_incomplete(house, books, &trees)?;
    nothing_lost(books, &trees)?;
    nothing_unseen_overwritten(house)?;
    nothing_where_it_may_not_be(house, books, permits, &trees)?;
    nothing_outside(house, books, &trees)?;
    alone.check(house, books, &trees)?;
    rooms.check(house, books, &trees)
}

/// I3: nothing stands under a user's name that no user ever wrote whole.
fn nothing_incomplete(house: &House, books: &Books, trees: &[Tree]) -> Result<()> {
    for (member, tree) in house.members.iter().zip(trees) {
        for (path, thing) in tree {
            if let Some(bytes) = bytes_of(thing) {
                let (whole, name) = (books.was_written(&bytes), &member.service.name);
                ensure!(whole, "I3: `{path}` on {name} holds what nobody wrote");
            }
        }
    }
    Ok(())
}

/// I1: every content that somebody put somewhere and nobody gave up there is on some service, byte
/// for byte.
fn nothing_lost(books: &Books, trees: &[Tree]) -> Result<()> {
    let there: BTreeSet<Bytes> =
        trees.iter().flat_map(|tree| tree.values().filter_map(bytes_of)).collect();
    for (owed, paths) in books.owed() {
        let shown = String::from_utf8_lossy(&owed[..owed.len().min(24)]).into_owned();
        let length = owed.len();
        ensure!(there.contains(owed), "I1: lost: `{shown}` ({length} bytes), put at {paths:?}");
    }
    Ok(())
}

/// I4: no driver removes or replaces what no driver was ever told of (what an order expects is
/// compared by the storage itself, in the moment of the change); and none writes to a source.
fn nothing_unseen_overwritten(house: &House) -> Result<()> {
    for member in &house.members {
        let (work, name) = (member.storage.work(), &member.service.name);
        ensure!(work.unseen.is_empty(), "I4: gone from {name} unseen: {:?}", work.unseen);
        let writes = work.writes;
        ensure!(
            member.was_written_to || writes == 0,
            "I4: {name} is a source and was written to: {writes} times"
        );
    }
    Ok(())
}

/// I5: no path, complete or half-written, is on a service that neither the rules nor its own user
/// have put it on.
fn nothing_where_it_may_not_be(
    house: &House,
    books: &Books,
    permits: &mut Permits,
    trees: &[Tree],
) -> Result<()> {
    for (at, (member, tree)) in house.members.iter().zip(trees).enumerate() {
        let half_written = member.storage.half_written_paths();
        let paths = tree.keys().cloned().chain(half_written);
        let forbidden = permits.first_forbidden(house, books, at, paths);
        let name = &member.service.name;
        ensure!(forbidden.is_none(), "I5: no rule places {forbidden:?} on {name}");
        let received = permits.first_received(house, books, at, tree);
        ensure!(received.is_none(), "I5: {received:?} may never come to {name}, and came");
    }
    Ok(())
}

/// I7: nothing stands under a name that neither a user nor a conflict gave, and nothing where nobody
/// ever put it: what comes to a service that stands at a directory of the tree has the path there
/// that it has everywhere else.
fn nothing_outside(house: &House, books: &Books, trees: &[Tree]) -> Result<()> {
    for (member, tree) in house.members.iter().zip(trees) {
        for (path, thing) in tree {
            let name = &member.service.name;
            let is_named = books.was_named(path) || member.storage.is_virtual(path);
            ensure!(is_named, "I7: nobody gave `{path}` on {name} its name");
            let bytes = bytes_of(thing).filter(|it| !it.is_empty() && !is_conflict_name(path));
            let has_stood = bytes.is_none_or(|bytes| books.has_stood(path, &bytes));
            ensure!(has_stood, "I7: nobody put there what stands at `{path}` on {name}");
        }
    }
    Ok(())
}
