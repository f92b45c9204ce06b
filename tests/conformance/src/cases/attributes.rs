//! `Plug::set_attributes`.
//!
//! Time and executable bit of a file that is there already, for revisions whose bytes are the
//! same. Only asked of storages that keep at least one of the two.

use onitu_plug::{Content, FaultKind, Plug, Tag};

use crate::promise::{Promise, Verdict, needs, refused, require, same};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// Mtime and executable bit are set, the bytes stay, and the new state is told.
///
/// A touched file is a new revision whose bytes need not travel.
pub async fn attributes_are_set_and_the_bytes_stay<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime, executable);
    let old = scene.place("file", b"bytes").await?;
    let content = Content {
        mtime_ns: old.content.mtime_ns + 60_000_000_000,
        executable: true,
        ..old.content
    };
    let set = scene.plug.set_attributes(&at("file"), old.tag, &content).await?;
    require!(set.tag != old.tag, "the state changed, the tag is the same");
    let looked = scene.there("file").await?;
    same("the tag", &looked.tag, &set.tag)?;
    require!(looked.content.same_attributes(&content), "they are {:?}", looked.content);
    scene.holds("file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// The executable bit can be taken away again.
///
/// The bit travels in both directions.
pub async fn the_executable_bit_can_be_taken_away<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; executable);
    let content = Content { executable: true, ..file(b"bytes") };
    let old = scene.place_content("file", content, b"bytes", None).await?;
    scene.plug.set_attributes(&at("file"), old.tag, &file(b"bytes")).await?;
    require!(!scene.there("file").await?.content.executable, "it is still executable");
    Ok(Verdict::Kept)
}

/// Another state keeps its attributes.
///
/// Setting a time on an edited file could hide the edit from whoever compares times.
pub async fn attributes_of_another_state_are_left_alone<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime);
    let old = scene.place("file", b"bytes").await?;
    scene.subject.write(&at("file"), b"other").await?;
    let now = scene.there("file").await?;
    let set = scene.plug.set_attributes(&at("file"), old.tag, &file(b"bytes")).await;
    refused(set, FaultKind::Changed)?;
    same("the state", &scene.there("file").await?.tag, &now.tag)?;
    Ok(Verdict::Kept)
}

/// What is gone has no attributes: `Changed`, and nothing is made.
///
/// The deletion is news that hasn't arrived; an empty file in its place would be a new one.
pub async fn attributes_of_what_is_gone_are_changed<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime);
    let set = scene.plug.set_attributes(&at("file"), Tag([1; 6]), &file(b"bytes")).await;
    refused(set, FaultKind::Changed)?;
    scene.absent("file").await?;
    Ok(Verdict::Kept)
}
