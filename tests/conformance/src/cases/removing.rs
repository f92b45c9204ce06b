//! `Plug::remove`.
//!
//! The only call that makes a content disappear from a service. It names the state that may go,
//! and what goes is kept in the trash where there is one. A directory goes only when it is
//! empty, whoever filled it.

use onitu_plug::{FaultKind, Plug, Tag};

use crate::promise::{Promise, Verdict, needs, needs_no, refused, require};
use crate::scene::{Scene, at};
use crate::subject::Subject;

/// A file in the expected state is removed.
///
/// And nothing else: neighbours stay.
pub async fn the_expected_file_is_removed<S: Subject>(scene: Scene<S>) -> Promise {
    scene.subject.write(&at("file"), b"bytes").await?;
    scene.place("other", b"bytes").await?;
    scene.plug.remove(&at("file"), scene.there("file").await?.tag).await?;
    scene.absent("file").await?;
    scene.holds("other", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// Removing what is already gone succeeds.
///
/// Orders are given again whenever an answer was lost; the second time finds nothing.
pub async fn removing_what_is_already_gone_succeeds<S: Subject>(scene: Scene<S>) -> Promise {
    let state = scene.place("file", b"bytes").await?;
    scene.plug.remove(&at("file"), state.tag).await?;
    scene.plug.remove(&at("file"), state.tag).await?;
    scene.plug.remove(&at("never/was/there"), Tag([1; 6])).await?;
    Ok(Verdict::Kept)
}

/// Another state is left alone.
///
/// An edit beats a deletion.
pub async fn another_state_is_not_removed<S: Subject>(scene: Scene<S>) -> Promise {
    let old = scene.place("file", b"old").await?;
    scene.subject.write(&at("file"), b"new").await?;
    refused(scene.plug.remove(&at("file"), old.tag).await, FaultKind::Changed)?;
    scene.holds("file", b"new").await?;
    Ok(Verdict::Kept)
}

/// A directory that still holds something is `NotEmpty` and left alone.
///
/// Something appeared in it that nobody has seen yet, or that can't be synchronized.
pub async fn a_directory_that_holds_something_is_not_removed<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    scene.place("directory/file", b"bytes").await?;
    let tag = scene.there("directory").await?.tag;
    refused(scene.plug.remove(&at("directory"), tag).await, FaultKind::NotEmpty)?;
    scene.holds("directory/file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// An empty directory is removed.
///
/// Its parent, empty or not, was not part of the order.
pub async fn an_empty_directory_is_removed<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    let made = scene.plug.make_directory(&at("a/b"), None).await?;
    scene.plug.remove(&at("a/b"), made.tag).await?;
    scene.absent("a/b").await?;
    scene.there("a").await?;
    Ok(Verdict::Kept)
}

/// Where empty directories aren't kept, the last file takes its directory with it.
///
/// A directory that seems to stay would be brought to the services that keep directories, again
/// and again.
pub async fn the_last_file_takes_a_directory_that_isnt_kept_with_it<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    needs_no!(scene; directories);
    let file = scene.place("a/b/file", b"bytes").await?;
    scene.plug.remove(&at("a/b/file"), file.tag).await?;
    scene.absent("a/b").await?;
    require!(scene.list("").await?.is_empty(), "an empty directory is listed");
    Ok(Verdict::Kept)
}

/// What was removed goes to the trash, each time.
///
/// Both times: a trash that keeps one file per name loses the other.
pub async fn what_was_removed_goes_to_the_trash<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    for bytes in ["first bytes", "second bytes"] {
        let state = scene.place("directory/file", bytes.as_bytes()).await?;
        scene.plug.remove(&at("directory/file"), state.tag).await?;
    }
    if scene.subject.trash().await?.is_none() {
        return Ok(Verdict::NoDoor("way to look into the trash"));
    }
    for lost in ["first bytes", "second bytes"] {
        require!(scene.trash_has(lost.as_bytes()).await?, "`{lost}` is not in the trash");
    }
    Ok(Verdict::Kept)
}

/// The root can't be removed.
///
/// No order means it; a mistake in the engine must not reach so far.
pub async fn the_root_is_not_removed<S: Subject>(scene: Scene<S>) -> Promise {
    let tag = scene.there("").await?.tag;
    require!(scene.plug.remove(&at(""), tag).await.is_err(), "the root was removed");
    scene.plug.check().await?;
    scene.place("file", b"bytes").await?;
    Ok(Verdict::Kept)
}
