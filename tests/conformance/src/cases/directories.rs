//! `Plug::make_directory`.
//!
//! Empty directories are kept in step where a service can keep them; elsewhere a directory is
//! what paths have in common, these cases don't apply, and making one is refused. As with
//! files, what wasn't expected is left alone.

use onitu_plug::{Content, FaultKind, Plug};

use crate::promise::{Promise, Verdict, needs, refused, require, same};
use crate::scene::{Scene, at};
use crate::subject::Subject;

/// A directory is made with its parents, and is kept although it is empty.
///
/// Orders for directories come in any order.
pub async fn a_directory_is_made_with_its_parents<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    let made = scene.plug.make_directory(&at("a/b/c"), None).await?;
    same("the directory", &made.content, &Content::DIRECTORY)?;
    same("the tag", &scene.there("a/b/c").await?.tag, &made.tag)?;
    let scene = scene.reconnect().await?;
    same("the tag", &scene.there("a/b/c").await?.tag, &made.tag)?;
    Ok(Verdict::Kept)
}

/// A directory that is there already is fine, and what it holds stays.
///
/// Two services made the same one, which is no conflict; what is in it is not touched.
pub async fn a_directory_that_is_there_is_fine<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    scene.place("directory/file", b"bytes").await?;
    let there = scene.there("directory").await?;
    for expect in [None, Some(there.tag)] {
        let made = scene.plug.make_directory(&at("directory"), expect).await?;
        same("the tag", &made.tag, &there.tag)?;
    }
    scene.holds("directory/file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// A file that isn't expected is left alone.
///
/// A user's file under the name of another service's directory is a conflict that the engine
/// decides.
pub async fn an_unexpected_file_is_no_directory<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    let old = scene.place("thing", b"old").await?;
    refused(scene.plug.make_directory(&at("thing"), None).await, FaultKind::Changed)?;
    scene.subject.write(&at("thing"), b"new").await?;
    refused(scene.plug.make_directory(&at("thing"), Some(old.tag)).await, FaultKind::Changed)?;
    scene.holds("thing", b"new").await?;
    Ok(Verdict::Kept)
}

/// Where a file was expected and is gone, no directory is made.
///
/// The deletion is news that hasn't arrived yet.
pub async fn a_directory_is_not_made_where_a_file_vanished<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    let old = scene.place("thing", b"old").await?;
    scene.subject.remove(&at("thing")).await?;
    refused(scene.plug.make_directory(&at("thing"), Some(old.tag)).await, FaultKind::Changed)?;
    scene.absent("thing").await?;
    Ok(Verdict::Kept)
}

/// An expected file gives way to the directory.
///
/// A file became a directory elsewhere; here it goes to the trash, as with any replacement.
pub async fn an_expected_file_gives_way_to_a_directory<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    let old = scene.place("thing", b"old bytes").await?;
    let made = scene.plug.make_directory(&at("thing"), Some(old.tag)).await?;
    same("the directory", &made.content, &Content::DIRECTORY)?;
    if scene.abilities().trash {
        require!(scene.trash_has(b"old bytes").await?, "the file is not in the trash");
    }
    Ok(Verdict::Kept)
}

/// No directory is made below a file.
///
/// Making it would mean replacing the file without having been asked.
pub async fn no_directory_is_made_below_a_file<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    scene.place("file", b"bytes").await?;
    let made = scene.plug.make_directory(&at("file/below"), None).await;
    refused(made, FaultKind::NotADirectory)?;
    scene.holds("file", b"bytes").await?;
    Ok(Verdict::Kept)
}
