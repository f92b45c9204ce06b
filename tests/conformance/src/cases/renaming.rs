//! `Plug::rename`.
//!
//! A rename spares a transfer, and is a removal and a replacement at once: both names have an
//! expected state, and if either isn't met, both stay as they are. A driver that can't rename
//! refuses; then the engine copies.

use onitu_plug::{FaultKind, Plug, Tag};

use crate::promise::{Promise, Verdict, needs, needs_no, refused, require, same};
use crate::scene::{Scene, at};
use crate::subject::Subject;

/// A renamed file keeps its bytes, and its new state is told.
///
/// A large directory of photographs that is renamed costs no traffic.
pub async fn a_renamed_file_keeps_its_bytes<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let old = scene.place("file", b"bytes").await?;
    let new = scene.plug.rename(&at("file"), old.tag, &at("renamed"), None).await?;
    scene.absent("file").await?;
    let looked = scene.there("renamed").await?;
    same("the tag", &looked.tag, &new.tag)?;
    require!(looked.content.same_attributes(&old.content), "the attributes changed");
    scene.holds("renamed", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// Missing parents of the new name are made.
///
/// Moving into a new directory is the usual reason to make one.
pub async fn missing_parents_of_the_new_name_are_made<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let old = scene.place("file", b"bytes").await?;
    scene.plug.rename(&at("file"), old.tag, &at("a/b/renamed"), None).await?;
    scene.holds("a/b/renamed", b"bytes").await?;
    scene.absent("file").await?;
    Ok(Verdict::Kept)
}

/// Another state at the old name: both are left as they are.
///
/// The edited file would arrive under a name its editor doesn't look at.
pub async fn another_state_is_not_renamed<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let old = scene.place("file", b"old").await?;
    scene.subject.write(&at("file"), b"new").await?;
    let renamed = scene.plug.rename(&at("file"), old.tag, &at("renamed"), None).await;
    refused(renamed, FaultKind::Changed)?;
    scene.holds("file", b"new").await?;
    scene.absent("renamed").await?;
    Ok(Verdict::Kept)
}

/// Nothing at the old name is `Changed`, and nothing is made.
///
/// The engine then brings the content by a transfer.
pub async fn nothing_is_not_renamed<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let renamed = scene.plug.rename(&at("file"), Tag([1; 6]), &at("renamed"), None).await;
    refused(renamed, FaultKind::Changed)?;
    require!(scene.list("").await?.is_empty(), "something was made");
    Ok(Verdict::Kept)
}

/// An unexpected file at the new name: both are left as they are.
///
/// What stands at the new name is somebody's, and a rename is a replacement too.
pub async fn an_unexpected_file_is_not_renamed_over<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let file = scene.place("file", b"bytes").await?;
    let other = scene.place("other", b"other").await?;
    let renamed = scene.plug.rename(&at("file"), file.tag, &at("other"), None).await;
    refused(renamed, FaultKind::Changed)?;
    scene.subject.write(&at("other"), b"user's").await?;
    let renamed = scene.plug.rename(&at("file"), file.tag, &at("other"), Some(other.tag)).await;
    refused(renamed, FaultKind::Changed)?;
    scene.holds("file", b"bytes").await?;
    scene.holds("other", b"user's").await?;
    Ok(Verdict::Kept)
}

/// An expected file that is gone from the new name: both are left as they are.
///
/// As with placing: the deletion is news that hasn't arrived.
pub async fn a_new_name_whose_file_vanished_is_changed<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let file = scene.place("file", b"bytes").await?;
    let other = scene.place("other", b"other").await?;
    scene.subject.remove(&at("other")).await?;
    let renamed = scene.plug.rename(&at("file"), file.tag, &at("other"), Some(other.tag)).await;
    refused(renamed, FaultKind::Changed)?;
    scene.holds("file", b"bytes").await?;
    scene.absent("other").await?;
    Ok(Verdict::Kept)
}

/// The expected file at the new name is replaced and goes to the trash.
///
/// A replacement like any other.
pub async fn what_was_renamed_over_goes_to_the_trash<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename, trash);
    let file = scene.place("file", b"bytes").await?;
    let other = scene.place("other", b"other bytes").await?;
    scene.plug.rename(&at("file"), file.tag, &at("other"), Some(other.tag)).await?;
    scene.holds("other", b"bytes").await?;
    scene.absent("file").await?;
    require!(scene.trash_has(b"other bytes").await?, "what was replaced is not in the trash");
    Ok(Verdict::Kept)
}

/// A new name below a file is refused, and both are left as they are.
///
/// The file that stands in the way is not asked to give way.
pub async fn nothing_is_renamed_below_a_file<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let file = scene.place("file", b"bytes").await?;
    scene.place("parent", b"other").await?;
    let renamed = scene.plug.rename(&at("file"), file.tag, &at("parent/below"), None).await;
    refused(renamed, FaultKind::NotADirectory)?;
    scene.holds("file", b"bytes").await?;
    scene.holds("parent", b"other").await?;
    Ok(Verdict::Kept)
}

/// A driver that can't rename says so, and changes nothing.
///
/// Then the engine copies and removes by itself, with all its checks between the two.
pub async fn a_rename_that_isnt_possible_is_refused<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; rename);
    let file = scene.place("file", b"bytes").await?;
    let renamed = scene.plug.rename(&at("file"), file.tag, &at("renamed"), None).await;
    refused(renamed, FaultKind::Unsupported)?;
    scene.holds("file", b"bytes").await?;
    scene.absent("renamed").await?;
    Ok(Verdict::Kept)
}
