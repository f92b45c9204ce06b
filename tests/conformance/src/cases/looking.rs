//! `Plug::look` and the tags it tells.
//!
//! Everything that the engine believes of a service is what a look told, so a look has three
//! answers: this stands there, certainly nothing does, or a fault. The tag is the short name of
//! a state: as long as it is the same, nothing has changed, and what has another one was
//! changed by somebody. Both directions are tested, since one costs traffic and the other costs
//! edits.

use onitu_plug::{Content, FaultKind, Kind};

use crate::promise::{Promise, Verdict, needs, refused, require, same, through};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// Where nothing was written, nothing is.
///
/// Being certain that nothing is there is what lets the engine place a file without asking
/// anybody.
pub async fn nothing_is_where_nothing_was_written<S: Subject>(scene: Scene<S>) -> Promise {
    scene.absent("file").await?;
    scene.absent("no/such/directory/file").await?;
    Ok(Verdict::Kept)
}

/// A path below a file leads to nothing, which is certain and no fault.
///
/// A directory may have become a file meanwhile; its former children are gone, and a fault here
/// would hold them back for ever.
pub async fn nothing_is_below_a_file<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"bytes").await?;
    scene.absent("file/below").await?;
    Ok(Verdict::Kept)
}

/// The root is a directory, even of an empty storage.
///
/// Scans begin there, also on the first day.
pub async fn the_root_is_a_directory<S: Subject>(scene: Scene<S>) -> Promise {
    same("the root", &scene.there("").await?.content, &Content::DIRECTORY)?;
    Ok(Verdict::Kept)
}

/// A file is told as one, with its size.
///
/// The size decides whether a checksum is worth computing and how the file travels.
pub async fn a_file_is_told_with_its_size<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"seven b").await?;
    let content = scene.there("file").await?.content;
    same("the kind", &content.kind, &Kind::File)?;
    same("the size", &content.size, &7)?;
    Ok(Verdict::Kept)
}

/// A directory has neither size nor time, so that two services agree on it.
///
/// A time or size of a directory differs between any two services, and would be a change of the
/// directory at each look.
pub async fn a_directory_is_told_as_one<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("directory/file", b"bytes").await?;
    same("the directory", &scene.there("directory").await?.content, &Content::DIRECTORY)?;
    Ok(Verdict::Kept)
}

/// A checksum is told only where it is right.
///
/// Some services know checksums. A stale one would make two different files count as equal, and
/// one of them would be dropped.
pub async fn a_checksum_that_is_told_is_right<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"bytes").await?;
    scene.subject.write(&at("file"), b"other").await?;
    let told = scene.there("file").await?.content.checksum;
    require!(told.is_none() || told == file(b"other").checksum, "a wrong checksum is told");
    Ok(Verdict::Kept)
}

/// The same state has the same tag each time.
///
/// A tag that moves by itself is a change that nobody made: traffic for ever, and conflicts
/// with a single writer.
pub async fn the_same_state_has_the_same_tag<S: Subject>(scene: Scene<S>) -> Promise {
    scene.subject.write(&at("file"), b"bytes").await?;
    let first = scene.there("file").await?;
    scene.place("another", b"bytes").await?;
    scene.read("file", &first).await?;
    same("the second look", &scene.there("file").await?, &first)?;
    Ok(Verdict::Kept)
}

/// Other bytes have another tag, even where their number is the same.
///
/// This is what protects an edit from being overwritten: with the old tag it would pass for the
/// state that an order expects, and be replaced.
pub async fn other_bytes_have_another_tag<S: Subject>(scene: Scene<S>) -> Promise {
    scene.subject.write(&at("file"), b"bytes").await?;
    let first = scene.there("file").await?;
    scene.subject.write(&at("file"), b"other").await?;
    let second = scene.there("file").await?;
    require!(first.tag != second.tag, "other bytes of the same number have the same tag");
    scene.subject.append(&at("file"), b" and more").await?;
    let third = scene.there("file").await?;
    require!(second.tag != third.tag, "bytes were appended, the tag is the same");
    Ok(Verdict::Kept)
}

/// Another mtime has another tag.
///
/// Otherwise a restored or touched file would be out of step and nobody would notice.
pub async fn another_mtime_has_another_tag<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime);
    let first = scene.place("file", b"bytes").await?;
    let mtime_ns = first.content.mtime_ns + 5_000_000_000;
    let executable = first.content.executable;
    scene.subject.set_attributes(&at("file"), mtime_ns, executable).await?;
    let second = scene.there("file").await?;
    require!(first.tag != second.tag, "the mtime changed, the tag is the same");
    same("the mtime", &second.content.mtime_ns, &mtime_ns)?;
    Ok(Verdict::Kept)
}

/// Another executable bit has another tag.
///
/// A script that was made executable on one service should run on the others.
pub async fn another_executable_bit_has_another_tag<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime, executable);
    let first = scene.place("file", b"bytes").await?;
    scene.subject.set_attributes(&at("file"), first.content.mtime_ns, true).await?;
    let second = scene.there("file").await?;
    require!(second.content.executable, "the executable bit isn't told");
    require!(first.tag != second.tag, "the executable bit changed, the tag is the same");
    Ok(Verdict::Kept)
}

/// A directory's tag stays the same whatever happens inside: it is no change of the directory.
///
/// A directory is removed and replaced by its tag. If its children changed it, no order about a
/// directory in use could ever be carried out.
pub async fn a_directorys_tag_outlives_changes_inside<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("directory/first", b"bytes").await?;
    let before = scene.there("directory").await?;
    scene.place("directory/second", b"bytes").await?;
    scene.subject.write(&at("directory/third"), b"bytes").await?;
    scene.subject.remove(&at("directory/first")).await?;
    same("the directory", &scene.there("directory").await?, &before)?;
    Ok(Verdict::Kept)
}

/// A file that its user renamed keeps its tag, where the driver says so.
///
/// A scan recognizes by it the files that were renamed while Onitu was off; without, each of
/// them is sent again.
pub async fn a_tag_survives_a_rename<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; tag_survives_rename);
    let before = scene.place("file", b"bytes").await?;
    scene.subject.rename(&at("file"), &at("directory/renamed")).await?;
    same("the tag", &scene.there("directory/renamed").await?.tag, &before.tag)?;
    scene.absent("file").await?;
    Ok(Verdict::Kept)
}

/// What is neither file, directory nor link is `Unsupported`: there, and not to be touched.
///
/// Opening a pipe waits for ever, and reading a device may have no end. It is there, though:
/// the path is neither free nor absent.
pub async fn a_strange_thing_is_unsupported<S: Subject>(scene: Scene<S>) -> Promise {
    through!(scene.subject.make_strange(&at("strange")), "way to make a strange thing");
    refused(scene.look("strange").await, FaultKind::Unsupported)?;
    refused(scene.place("strange", b"bytes").await, FaultKind::Changed)?;
    refused(scene.look("strange").await, FaultKind::Unsupported)?;
    Ok(Verdict::Kept)
}
