//! `Plug::trash`, `Plug::hash_trashed`, `Plug::restore`.
//!
//! What a driver removed or replaced by order can be had back. Nothing is lost on the way: what is
//! restored leaves the trash only to stand at its path, and what it replaces goes there in exchange.

use onitu_plug::{Checksum, FaultKind, Plug, TrashQuery, Trashed, Why};

use crate::promise::{Broken, Promise, Verdict, needs, refused, require, same};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

fn everything() -> TrashQuery {
    TrashQuery { below: at(""), after_ms: 0, cursor: None, limit: 100 }
}

/// All that the pages of a query tell.
async fn told<S: Subject>(scene: &Scene<S>, query: TrashQuery) -> Result<Vec<Trashed>, Broken> {
    let (mut told, mut query) = (Vec::new(), query);
    for _ in 0..1_000 {
        let page = scene.plug.trash(&query).await?;
        require!(page.items.len() <= query.limit, "a page of {} items", page.items.len());
        told.extend(page.items);
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(told),
        }
    }
    Err(Broken::new("the pages of the trash don't end"))
}

/// The one thing in the trash that stood at `path`.
async fn only<S: Subject>(scene: &Scene<S>, path: &str) -> Result<Trashed, Broken> {
    let mut found = told(scene, TrashQuery { below: at(path), ..everything() }).await?;
    match (found.pop(), found.is_empty()) {
        (Some(item), true) => Ok(item),
        _ => Err(Broken::new(format!("there should be one thing of `{path}` in the trash"))),
    }
}

/// Places a file and removes it.
async fn thrown_away<S: Subject>(scene: &Scene<S>, path: &str, bytes: &[u8]) -> Result<(), Broken> {
    let state = scene.place(path, bytes).await?;
    Ok(scene.plug.remove(&at(path), state.tag).await?)
}

/// What was removed or replaced is told with the path it had, its size, when it went and why.
///
/// That is all a person has to find it again.
pub async fn the_trash_tells_what_it_holds<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    same("a new trash", &told(&scene, everything()).await?, &Vec::new())?;
    thrown_away(&scene, "a/removed", b"seven b").await?;
    let old = scene.place("replaced", b"old").await?;
    scene.place_over("replaced", b"new bytes", Some(old.tag)).await?;
    let (removed, replaced) = (only(&scene, "a").await?, only(&scene, "replaced").await?);
    same("the path", &removed.path, &at("a/removed"))?;
    same("the sizes", &(removed.size, replaced.size), &(7, 3))?;
    same("the reasons", &(removed.why, replaced.why), &(Why::Removed, Why::Replaced))?;
    require!(removed.at_ms > 0 && removed.at_ms <= replaced.at_ms, "the times are wrong");
    Ok(Verdict::Kept)
}

/// The newest is told first, and following the pages tells each thing once.
///
/// Also two contents of one path: a trash that keeps one per name loses the other.
pub async fn the_trash_comes_in_pages_newest_first<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    for number in 0..25 {
        let name = format!("d{}/f{}", number % 3, number % 5);
        thrown_away(&scene, &name, format!("content {number:02}").as_bytes()).await?;
    }
    for limit in [1, 7, 100] {
        let told = told(&scene, TrashQuery { limit, ..everything() }).await?;
        let mut sums = Vec::new();
        for item in &told {
            sums.push(scene.plug.hash_trashed(&item.id).await?);
        }
        let expected = (0..25).rev().map(|at| Checksum::of(format!("content {at:02}").as_bytes()));
        same("the things", &sums, &expected.collect())?;
    }
    Ok(Verdict::Kept)
}

/// Only what stood at the path that is asked for, or below it, is told.
///
/// `notes` is not below `note`.
pub async fn the_trash_tells_what_stood_below_a_path<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    for name in ["note", "notes", "d/x", "d/e/y", "dd/x"] {
        thrown_away(&scene, name, name.as_bytes()).await?;
    }
    for (below, expected) in [("note", 1), ("notes", 1), ("d", 2), ("d/e", 1), ("e", 0), ("", 5)] {
        let found = told(&scene, TrashQuery { below: at(below), ..everything() }).await?;
        same(&format!("what is told of `{below}`"), &found.len(), &expected)?;
    }
    Ok(Verdict::Kept)
}

/// Only what went later than the time that is asked for is told.
///
/// So a content can be found that stood there at some time.
pub async fn the_trash_tells_what_came_later<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    for number in 0..5 {
        thrown_away(&scene, &format!("file {number}"), b"bytes").await?;
    }
    let all = told(&scene, everything()).await?;
    for item in &all {
        let later = told(&scene, TrashQuery { after_ms: item.at_ms, ..everything() }).await?;
        let expected = all.iter().filter(|it| it.at_ms > item.at_ms).cloned().collect();
        same("what came later", &later, &expected)?;
    }
    Ok(Verdict::Kept)
}

/// What is restored has its bytes, mtime and executable bit, and is no longer in the trash.
///
/// Missing parents are made: the directory went after its files.
pub async fn what_is_restored_is_as_it_was<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    let executable = scene.abilities().executable;
    let content = onitu_plug::Content { executable, ..file(b"bytes") };
    let before = scene.place_content("a/b/file", content, b"bytes", None).await?;
    scene.plug.remove(&at("a/b/file"), before.tag).await?;
    for directory in ["a/b", "a"] {
        if let Some(there) = scene.look(directory).await? {
            scene.plug.remove(&at(directory), there.tag).await?;
        }
    }
    let item = only(&scene, "a/b/file").await?;
    let state = scene.plug.restore(&item.id, &at("a/b/file"), None).await?;
    scene.holds("a/b/file", b"bytes").await?;
    let there = scene.there("a/b/file").await?;
    same("the tag that is told", &state.tag, &there.tag)?;
    require!(there.content.same_attributes(&before.content), "mtime or bit are others now");
    same("the trash", &told(&scene, everything()).await?, &Vec::new())?;
    Ok(Verdict::Kept)
}

/// It may be restored to another path.
///
/// Nobody has to give up what stands at the old one.
pub async fn something_is_restored_to_another_path<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    thrown_away(&scene, "file", b"old").await?;
    scene.place("file", b"new").await?;
    let item = only(&scene, "file").await?;
    scene.plug.restore(&item.id, &at("copies/file"), None).await?;
    scene.holds("copies/file", b"old").await?;
    scene.holds("file", b"new").await?;
    Ok(Verdict::Kept)
}

/// Another state than expected is `Changed`, and both are left where they are.
///
/// Restoring is no licence to overwrite.
pub async fn restoring_overwrites_nothing<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    thrown_away(&scene, "file", b"old").await?;
    let item = only(&scene, "file").await?;
    let first = scene.place("file", b"first").await?;
    let restored = scene.plug.restore(&item.id, &at("file"), None).await;
    refused(restored, FaultKind::Changed)?;
    scene.subject.write(&at("file"), b"second").await?;
    let restored = scene.plug.restore(&item.id, &at("file"), Some(first.tag)).await;
    refused(restored, FaultKind::Changed)?;
    let restored = scene.plug.restore(&item.id, &at("gone"), Some(first.tag)).await;
    refused(restored, FaultKind::Changed)?;
    scene.holds("file", b"second").await?;
    same("its sum", &scene.plug.hash_trashed(&item.id).await?, &Checksum::of(b"old"))?;
    Ok(Verdict::Kept)
}

/// A directory is never replaced.
///
/// Its children would be somewhere below a file.
pub async fn a_directory_is_not_replaced_from_the_trash<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash, directories);
    thrown_away(&scene, "thing", b"old").await?;
    let item = only(&scene, "thing").await?;
    let made = scene.plug.make_directory(&at("thing"), None).await?;
    for expect in [None, Some(made.tag)] {
        let restored = scene.plug.restore(&item.id, &at("thing"), expect).await;
        refused(restored, FaultKind::Changed)?;
    }
    scene.plug.hash_trashed(&item.id).await?;
    Ok(Verdict::Kept)
}

/// What is replaced goes to the trash in exchange, and can be had back in turn.
///
/// A person who restores the wrong thing restores again.
pub async fn what_was_restored_over_goes_to_the_trash<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    let old = scene.place("file", b"old").await?;
    let new = scene.place_over("file", b"new bytes", Some(old.tag)).await?;
    let item = only(&scene, "file").await?;
    let state = scene.plug.restore(&item.id, &at("file"), Some(new.tag)).await?;
    scene.holds("file", b"old").await?;
    let item = only(&scene, "file").await?;
    same("why it is there", &item.why, &Why::Restored)?;
    scene.plug.restore(&item.id, &at("file"), Some(state.tag)).await?;
    scene.holds("file", b"new bytes").await?;
    Ok(Verdict::Kept)
}

/// What is no longer in the trash is `NotFound`, and nothing is changed.
///
/// It was restored already, or purged.
pub async fn what_has_left_the_trash_is_not_found<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    thrown_away(&scene, "file", b"bytes").await?;
    let item = only(&scene, "file").await?;
    let state = scene.plug.restore(&item.id, &at("file"), None).await?;
    refused(scene.plug.hash_trashed(&item.id).await, FaultKind::NotFound)?;
    let again = scene.plug.restore(&item.id, &at("file"), Some(state.tag)).await;
    refused(again, FaultKind::NotFound)?;
    refused(scene.plug.restore(&item.id, &at("other"), None).await, FaultKind::NotFound)?;
    for id in ["", "..", "../../file", "2020-01-01/0-0", "2020-01-01/../index"] {
        refused(scene.plug.restore(id, &at("other"), None).await, FaultKind::NotFound)?;
    }
    scene.holds("file", b"bytes").await?;
    scene.absent("other").await?;
    Ok(Verdict::Kept)
}

/// A link comes back as a link.
pub async fn a_link_is_restored_as_a_link<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash, symlinks);
    let state = scene.place_link("link", "some/where").await?;
    scene.plug.remove(&at("link"), state.tag).await?;
    let item = only(&scene, "link").await?;
    scene.plug.restore(&item.id, &at("link"), None).await?;
    let there = scene.there("link").await?;
    same("the kind", &there.content.kind, &onitu_plug::Kind::Symlink)?;
    scene.holds("link", b"some/where").await?;
    Ok(Verdict::Kept)
}
