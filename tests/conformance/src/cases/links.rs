//! Symbolic links: kept as they are, never followed.
//!
//! A link is content of its own kind, its text. Where a storage keeps links, these cases see to
//! it that neither looking, listing, reading, writing nor removing passes through one: what
//! lies behind may be outside of the service's root, and nothing there may be read or written.
//! Where it keeps none, only the last case applies.

use onitu_plug::{FaultKind, Kind, Plug};

use crate::promise::{Promise, Verdict, needs, needs_no, refused, require, same};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// A link is told as a link, wherever it points to.
///
/// A link that is told as what it points to becomes a copy on the other services.
pub async fn a_link_is_told_as_a_link<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    scene.place("file", b"bytes").await?;
    for (name, target) in [("one", "file"), ("two", "nowhere"), ("three", "..")] {
        scene.subject.symlink(&at(name), target).await?;
        let content = scene.there(name).await?.content;
        same("the kind", &content.kind, &Kind::Symlink)?;
        same("the size", &content.size, &(target.len() as u64))?;
    }
    Ok(Verdict::Kept)
}

/// A link reads as its target's text.
///
/// The text is the link's content; it travels and is compared like any other.
pub async fn a_link_reads_as_its_targets_text<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    scene.place("file", b"bytes").await?;
    scene.subject.symlink(&at("link"), "file").await?;
    scene.holds("link", b"file").await?;
    Ok(Verdict::Kept)
}

/// A link is placed as a link with exactly its text.
///
/// An absolute text, a dangling one or one with odd letters is the user's business.
pub async fn a_link_is_placed_with_its_text<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    for (name, target) in [("one", "a/b"), ("two", "/nowhere/at all"), ("three", "../é \n")] {
        let placed = scene.place_link(name, target).await?;
        same("the kind", &placed.content.kind, &Kind::Symlink)?;
        same("the tag", &scene.there(name).await?.tag, &placed.tag)?;
        scene.holds(name, target.as_bytes()).await?;
    }
    Ok(Verdict::Kept)
}

/// Nothing is below a link to a directory: it leads out of the tree that is synchronized.
///
/// Following it would synchronize files twice, run in circles, or leave the service's root.
pub async fn nothing_is_below_a_link<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    scene.place("directory/file", b"bytes").await?;
    scene.subject.symlink(&at("link"), "directory").await?;
    scene.absent("link/file").await?;
    let state = scene.there("directory/file").await?;
    refused(scene.plug.read(&at("link/file"), state.tag, 0).await, FaultKind::Changed)?;
    Ok(Verdict::Kept)
}

/// A link to a directory isn't listed as one.
///
/// A scan that follows links may never end.
pub async fn a_link_is_not_listed_as_a_directory<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    scene.place("directory/file", b"bytes").await?;
    scene.subject.symlink(&at("link"), "directory").await?;
    refused(scene.list("link").await, FaultKind::NotADirectory)?;
    Ok(Verdict::Kept)
}

/// Nothing is written, removed or renamed through a link among the parents.
///
/// A link swapped in for a directory, in the right moment and on purpose, must not make the
/// driver write outside of its root.
pub async fn nothing_is_changed_through_a_link<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    let inside = scene.place("directory/file", b"bytes").await?;
    scene.subject.symlink(&at("link"), "directory").await?;
    refused(scene.place("link/new", b"bytes").await, FaultKind::NotADirectory)?;
    let over = scene.place_over("link/file", b"other", Some(inside.tag)).await;
    require!(over.is_err(), "a file was replaced through a link");
    let path = at("link/file");
    let set = scene.plug.set_attributes(&path, inside.tag, &file(b"bytes")).await;
    require!(set.is_err(), "attributes were set through a link");
    scene.plug.remove(&path, inside.tag).await.unwrap_or_default();
    same("the directory", &scene.names("directory").await?, &["file".to_owned()].into())?;
    scene.holds("directory/file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// Removing a link leaves what it points to.
///
/// The target may be anything, anywhere.
pub async fn removing_a_link_leaves_its_target<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    scene.place("file", b"bytes").await?;
    scene.subject.symlink(&at("link"), "file").await?;
    scene.plug.remove(&at("link"), scene.there("link").await?.tag).await?;
    scene.absent("link").await?;
    scene.holds("file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// A file that replaces a link replaces the link, not what it points to.
///
/// Writing through the link would change a file that no order named.
pub async fn a_file_replaces_a_link_not_its_target<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks);
    scene.place("file", b"bytes").await?;
    scene.subject.symlink(&at("link"), "file").await?;
    let link = scene.there("link").await?;
    scene.place_over("link", b"other", Some(link.tag)).await?;
    scene.holds("link", b"other").await?;
    scene.holds("file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// A renamed link keeps its text.
///
/// The rename of what it points to would move somebody else's file.
pub async fn a_link_is_renamed_as_a_link<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; symlinks, rename);
    let link = scene.place_link("link", "some/where").await?;
    scene.plug.rename(&at("link"), link.tag, &at("directory/renamed"), None).await?;
    scene.absent("link").await?;
    same("the kind", &scene.there("directory/renamed").await?.content.kind, &Kind::Symlink)?;
    scene.holds("directory/renamed", b"some/where").await?;
    Ok(Verdict::Kept)
}

/// Where links can't be kept, writing one is `Unsupported`, and no file is made of it.
///
/// A text file in its place would travel back as a change, and the link would be lost
/// everywhere.
pub async fn a_link_that_cant_be_kept_is_refused<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; symlinks);
    refused(scene.place_link("link", "target").await, FaultKind::Unsupported)?;
    scene.absent("link").await?;
    Ok(Verdict::Kept)
}
