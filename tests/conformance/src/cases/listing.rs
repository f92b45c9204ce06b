//! `Plug::list`.
//!
//! A scan lists every directory and takes what is missing for deleted. So a listing is complete
//! or it fails; what can't be synchronized is told as a problem rather than left out; and the
//! driver's own files, which nobody wrote, are left out. Large directories come in pages, and
//! no faster than they are read.

use std::collections::BTreeSet;
use std::time::Duration;

use onitu_plug::{FaultKind, Found, Plug, State};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::promise::{Broken, Promise, Verdict, needs, refused, require, same, through};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// A reader that doesn't read is waited for at least so long.
const PATIENCE: Duration = Duration::from_millis(300);
/// How many entries are many.
const MANY: usize = 3_000;
/// Most entries a page may have, where it should have about a thousand.
const PAGE_ENTRIES_MAX: usize = 2_000;

/// An empty storage has an empty listing.
///
/// First contact with an empty service is the most common one.
pub async fn an_empty_storage_has_an_empty_listing<S: Subject>(scene: Scene<S>) -> Promise {
    let found = scene.list("").await?;
    require!(found.is_empty(), "a fresh storage holds {found:?}");
    Ok(Verdict::Kept)
}

/// A missing directory is `NotFound`.
///
/// The scan meets directories that vanish under it; that is different from one that is empty.
pub async fn a_missing_directory_is_not_found<S: Subject>(scene: Scene<S>) -> Promise {
    refused(scene.list("missing").await, FaultKind::NotFound)?;
    refused(scene.list("missing/below").await, FaultKind::NotFound)?;
    Ok(Verdict::Kept)
}

/// A file is `NotADirectory`.
///
/// It became a file since it was seen; the scan looks at it again as what it is.
pub async fn a_file_is_not_a_directory<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"bytes").await?;
    refused(scene.list("file").await, FaultKind::NotADirectory)?;
    Ok(Verdict::Kept)
}

/// A listing tells what looking at each path tells.
///
/// The scan compares what it lists with what was looked at before. Two opinions on one state
/// are a change that nobody made.
pub async fn a_listing_tells_what_a_look_tells<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"bytes").await?;
    scene.place("directory/below", b"other bytes").await?;
    scene.subject.write(&at("users"), b"").await?;
    if scene.abilities().symlinks {
        scene.subject.symlink(&at("link"), "file").await?;
    }
    let found = scene.list("").await?;
    require!(found.len() >= 3, "only {} entries are listed", found.len());
    for found in found {
        let Found::Entry { name, state } = found else {
            return Err(Broken::new(format!("{found:?} is no problem")));
        };
        same(&name, &bare(scene.there(&name).await?), &bare(state))?;
    }
    Ok(Verdict::Kept)
}

/// The state without its checksum, which either may know.
fn bare(mut state: State) -> State {
    state.content.checksum = None;
    state
}

/// Only what is directly inside is listed.
///
/// Services that know only keys list by prefix, where `a-b` and `ab` are neighbours of `a/`.
pub async fn only_what_is_directly_inside_is_listed<S: Subject>(scene: Scene<S>) -> Promise {
    for name in ["a/one", "a/two/three", "a-b/four", "ab/five"] {
        scene.place(name, b"bytes").await?;
    }
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    same("the root", &scene.names("").await?, &names(&["a", "a-b", "ab"]))?;
    same("`a`", &scene.names("a").await?, &names(&["one", "two"]))?;
    same("`a/two`", &scene.names("a/two").await?, &names(&["three"]))?;
    Ok(Verdict::Kept)
}

/// An empty directory is listed, and its own listing is empty.
///
/// It is something a user made, and is kept in step.
pub async fn an_empty_directory_is_listed<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    scene.subject.make_directory(&at("empty")).await?;
    same("the root", &scene.names("").await?, &["empty".to_owned()].into())?;
    require!(scene.list("empty").await?.is_empty(), "an empty directory holds something");
    Ok(Verdict::Kept)
}

/// Makes many files in one directory, empty ones, as their user; tells their names.
async fn fill<S: Subject>(scene: &Scene<S>) -> Result<BTreeSet<String>, Broken> {
    let paths: Vec<String> = (0..MANY).map(|number| format!("many/entry {number}")).collect();
    scene.users_write(&paths, b"").await?;
    Ok((0..MANY).map(|number| format!("entry {number}")).collect())
}

/// Three thousand entries come in pages, each entry once.
///
/// A missing entry is a deletion, a doubled one costs work, and one huge page costs memory.
pub async fn a_listing_of_three_thousand_entries_comes_in_pages<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let names = fill(&scene).await?;
    let pages = scene.pages("many").await?;
    let largest = pages.iter().map(Vec::len).max().unwrap_or_default();
    require!(largest <= PAGE_ENTRIES_MAX, "a page has {largest} entries");
    let count: usize = pages.iter().map(Vec::len).sum();
    same("the number of entries", &count, &MANY)?;
    require!(scene.names("many").await? == names, "other names are listed than were written");
    Ok(Verdict::Kept)
}

/// A listing waits for its reader, so that memory stays bounded.
///
/// A directory with a million entries must not become a million entries in memory because the
/// engine is busy.
pub async fn a_listing_waits_for_its_reader<S: Subject>(scene: Scene<S>) -> Promise {
    fill(&scene).await?;
    let (sender, mut receiver) = mpsc::channel(1);
    let (plug, many) = (scene.plug.clone(), at("many"));
    let mut listing = tokio::spawn(async move { plug.list(&many, sender).await });
    let early = timeout(PATIENCE, &mut listing).await;
    require!(early.is_err(), "a listing ended that nobody read");
    let mut count = 0;
    while let Some(page) = receiver.recv().await {
        count += page.len();
    }
    listing.await??;
    same("the number of entries", &count, &MANY)?;
    Ok(Verdict::Kept)
}

/// A listing whose reader has gone ends, and isn't told as complete by waiting for ever.
///
/// A scan that was given up would leave tasks behind, one each time.
pub async fn a_listing_ends_with_its_reader<S: Subject>(scene: Scene<S>) -> Promise {
    fill(&scene).await?;
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let limit = Duration::from_secs(10);
    let ended = timeout(limit, scene.plug.list(&at("many"), sender)).await;
    require!(ended.is_ok(), "a listing goes on that nobody reads");
    Ok(Verdict::Kept)
}

/// The driver's own files are left out, whatever it keeps.
///
/// Temporary files and the trash would be sent to the other services, and come back.
pub async fn the_drivers_own_files_are_left_out<S: Subject>(scene: Scene<S>) -> Promise {
    let first = scene.place("file", b"bytes").await?;
    let second = scene.place_over("file", b"other", Some(first.tag)).await?;
    let half = scene.begin("half", &file(b"never placed")).await?;
    same("the root", &scene.names("").await?, &["file".to_owned()].into())?;
    scene.plug.remove(&at("file"), second.tag).await?;
    let found = scene.list("").await?;
    require!(found.is_empty(), "something is left: {found:?}");
    drop(half);
    Ok(Verdict::Kept)
}

/// A name that can't be synchronized is a problem, told beside the rest.
///
/// One bad name must not stop a service; left out in silence it would look deleted.
pub async fn an_impossible_name_is_a_problem_and_ends_nothing<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    through!(scene.subject.make_unnameable(), "name that can't be a path");
    scene.place("file", b"bytes").await?;
    scene.place("zebra", b"bytes").await?;
    same("the root", &scene.names("").await?, &["file".to_owned(), "zebra".to_owned()].into())?;
    let problems = scene.list("").await?.into_iter().filter(is_problem).count();
    same("the number of problems", &problems, &1)?;
    Ok(Verdict::Kept)
}

/// A thing of another kind is a problem: it is there, so it is not absent.
///
/// The admin sees in `status` why it doesn't arrive anywhere.
pub async fn a_strange_thing_is_a_problem_in_a_listing<S: Subject>(scene: Scene<S>) -> Promise {
    through!(scene.subject.make_strange(&at("strange")), "way to make a strange thing");
    scene.place("file", b"bytes").await?;
    same("the root", &scene.names("").await?, &["file".to_owned()].into())?;
    let found = scene.list("").await?;
    let named =
        found.iter().any(|it| matches!(it, Found::Problem { name, .. } if name == "strange"));
    require!(named, "the strange thing is not told as a problem: {found:?}");
    Ok(Verdict::Kept)
}

/// Whether it is there but can't be synchronized.
fn is_problem(found: &Found) -> bool {
    matches!(found, Found::Problem { .. })
}
