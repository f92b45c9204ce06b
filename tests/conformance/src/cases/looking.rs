//! `Plug::look` and the tags it tells.

use onitu_plug::{Content, FaultKind, Kind};

use crate::promise::{Promise, Verdict, needs, refused, require, same, through};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// Where nothing was written, nothing is.
pub async fn nothing_is_where_nothing_was_written<S: Subject>(scene: Scene<S>) -> Promise {
    scene.absent("file").await?;
    scene.absent("no/such/directory/file").await?;
    Ok(Verdict::Kept)
}

/// A path below a file leads to nothing, which is certain and no fault.
pub async fn nothing_is_below_a_file<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"bytes").await?;
    scene.absent("file/below").await?;
    Ok(Verdict::Kept)
}

/// The root is a directory, even of an empty storage.
pub async fn the_root_is_a_directory<S: Subject>(scene: Scene<S>) -> Promise {
    same("the root", &scene.there("").await?.content, &Content::DIRECTORY)?;
    Ok(Verdict::Kept)
}

/// A file is told as one, with its size.
pub async fn a_file_is_told_with_its_size<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"seven b").await?;
    let content = scene.there("file").await?.content;
    same("the kind", &content.kind, &Kind::File)?;
    same("the size", &content.size, &7)?;
    Ok(Verdict::Kept)
}

/// A directory has neither size nor time, so that two services agree on it.
pub async fn a_directory_is_told_as_one<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("directory/file", b"bytes").await?;
    same("the directory", &scene.there("directory").await?.content, &Content::DIRECTORY)?;
    Ok(Verdict::Kept)
}

/// A checksum is told only where it is right.
pub async fn a_checksum_that_is_told_is_right<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"bytes").await?;
    scene.subject.write(&at("file"), b"other").await?;
    let told = scene.there("file").await?.content.checksum;
    require!(told.is_none() || told == file(b"other").checksum, "a wrong checksum is told");
    Ok(Verdict::Kept)
}

/// The same state has the same tag each time.
pub async fn the_same_state_has_the_same_tag<S: Subject>(scene: Scene<S>) -> Promise {
    scene.subject.write(&at("file"), b"bytes").await?;
    let first = scene.there("file").await?;
    scene.place("another", b"bytes").await?;
    scene.read("file", &first).await?;
    same("the second look", &scene.there("file").await?, &first)?;
    Ok(Verdict::Kept)
}

/// Other bytes have another tag, even where their number is the same.
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
pub async fn a_tag_survives_a_rename<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; tag_survives_rename);
    let before = scene.place("file", b"bytes").await?;
    scene.subject.rename(&at("file"), &at("directory/renamed")).await?;
    same("the tag", &scene.there("directory/renamed").await?.tag, &before.tag)?;
    scene.absent("file").await?;
    Ok(Verdict::Kept)
}

/// What is neither file, directory nor link is `Unsupported`: there, and not to be touched.
pub async fn a_strange_thing_is_unsupported<S: Subject>(scene: Scene<S>) -> Promise {
    through!(scene.subject.make_strange(&at("strange")), "way to make a strange thing");
    refused(scene.look("strange").await, FaultKind::Unsupported)?;
    refused(scene.place("strange", b"bytes").await, FaultKind::Changed)?;
    refused(scene.look("strange").await, FaultKind::Unsupported)?;
    Ok(Verdict::Kept)
}
