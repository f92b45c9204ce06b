//! `Plug::read` and `Source`.
//!
//! A source reads one state of one path. Files change while they are read, and a transfer takes
//! long, so each case that edits a file in the middle expects `Changed`, at the latest where
//! the end would be: then the runtime throws away what it has, and nothing is placed anywhere.

use onitu_plug::{FaultKind, Plug, Source, Tag};

use crate::promise::{Broken, Promise, Verdict, refused, require, same};
use crate::scene::{Scene, at};
use crate::subject::Subject;

/// Bytes that repeat nowhere at a distance a mistake would have.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mix = |at: usize| (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0];
    (0..length).map(mix).collect()
}

/// What was placed is read back byte for byte, whatever its length.
///
/// The first promise of all. The lengths stand around the edges of buffers and parts.
pub async fn what_was_placed_is_read_back<S: Subject>(scene: Scene<S>) -> Promise {
    for length in [0, 1, 4_095, 65_536, 100_003, 3 * 1024 * 1024 + 7] {
        let (name, bytes) = (format!("file of {length}"), pattern(length));
        scene.place(&name, &bytes).await?;
        scene.holds(&name, &bytes).await?;
    }
    Ok(Verdict::Kept)
}

/// Reading begins at the offset.
///
/// An interrupted transfer goes on where it stopped; one byte off, and the file is refused
/// after all of it was sent.
pub async fn reading_begins_at_the_offset<S: Subject>(scene: Scene<S>) -> Promise {
    let bytes = pattern(200_000);
    let state = scene.place("file", &bytes).await?;
    for offset in [0, 1, 65_536, 199_999, 200_000] {
        let mut source = scene.plug.read(&at("file"), state.tag, offset as u64).await?;
        let mut found = Vec::new();
        loop {
            let chunk = source.next(70_000).await?;
            if chunk.is_empty() {
                break;
            }
            found.extend_from_slice(&chunk);
        }
        require!(found == bytes[offset..], "from {offset} on other bytes were read");
    }
    Ok(Verdict::Kept)
}

/// No chunk has more bytes than were asked for, and the end stays the end.
///
/// The reader has room for as much as it asked for; credits are counted in bytes.
pub async fn no_chunk_is_larger_than_asked<S: Subject>(scene: Scene<S>) -> Promise {
    let state = scene.place("file", &pattern(1_000)).await?;
    let mut source = scene.plug.read(&at("file"), state.tag, 0).await?;
    let mut count = 0;
    loop {
        let chunk = source.next(7).await?;
        require!(chunk.len() <= 7, "{} bytes came where 7 were asked for", chunk.len());
        if chunk.is_empty() {
            break;
        }
        count += chunk.len();
    }
    same("the number of bytes", &count, &1_000)?;
    require!(source.next(7).await?.is_empty(), "bytes came after the end");
    Ok(Verdict::Kept)
}

/// The source tells what it reads.
///
/// Size and attributes travel ahead of the bytes.
pub async fn a_source_tells_what_it_reads<S: Subject>(scene: Scene<S>) -> Promise {
    let placed = scene.place("file", b"bytes").await?;
    let looked = scene.there("file").await?.content;
    let told = scene.plug.read(&at("file"), placed.tag, 0).await?.content();
    same("the size", &told.size, &5)?;
    same("the kind", &told.kind, &looked.kind)?;
    require!(told.same_attributes(&looked), "the attributes differ: {told:?}, {looked:?}");
    Ok(Verdict::Kept)
}

/// Another tag than the file's is `Changed`.
///
/// The order spoke of one state; sending another under its name would make two revisions one.
pub async fn reading_another_state_is_changed<S: Subject>(scene: Scene<S>) -> Promise {
    let old = scene.place("file", b"bytes").await?;
    scene.subject.write(&at("file"), b"other").await?;
    refused(scene.plug.read(&at("file"), old.tag, 0).await, FaultKind::Changed)?;
    Ok(Verdict::Kept)
}

/// Nothing there is `Changed` too: the tag was that of something.
///
/// The order is out of date, which is no failure of the service.
pub async fn reading_what_is_gone_is_changed<S: Subject>(scene: Scene<S>) -> Promise {
    let old = scene.place("file", b"bytes").await?;
    scene.subject.remove(&at("file")).await?;
    refused(scene.plug.read(&at("file"), old.tag, 0).await, FaultKind::Changed)?;
    refused(scene.plug.read(&at("no/such"), Tag([0; 6]), 0).await, FaultKind::Changed)?;
    Ok(Verdict::Kept)
}

/// Reads the source to its end; how far it came doesn't matter, how it ended does.
async fn drain(mut source: impl Source) -> Result<(), onitu_plug::Fault> {
    while !source.next(64 * 1024).await?.is_empty() {}
    Ok(())
}

/// A file of so many bytes, opened, with its first chunk read: a transfer on its way.
async fn opened<S: Subject>(
    scene: &Scene<S>,
    length: usize,
) -> Result<<S::Plug as Plug>::Source, Broken> {
    let state = scene.place("file", &pattern(length)).await?;
    let mut source = scene.plug.read(&at("file"), state.tag, 0).await?;
    require!(!source.next(64 * 1024).await?.is_empty(), "no bytes came");
    Ok(source)
}

/// A file that is replaced while it is read is `Changed`, never a mixture of both.
///
/// Half of one version and half of another is a file that nobody ever wrote.
pub async fn a_file_replaced_while_read_is_changed<S: Subject>(scene: Scene<S>) -> Promise {
    let source = opened(&scene, 1_000_000).await?;
    scene.subject.write(&at("file"), &pattern(1_000_001)).await?;
    refused(drain(source).await, FaultKind::Changed)?;
    Ok(Verdict::Kept)
}

/// A file that grows while it is read is `Changed`.
///
/// Logs and downloads are read while they are written to; what was read is the beginning of
/// something else.
pub async fn a_file_that_grows_while_read_is_changed<S: Subject>(scene: Scene<S>) -> Promise {
    let source = opened(&scene, 500_000).await?;
    scene.subject.append(&at("file"), b"one line more").await?;
    refused(drain(source).await, FaultKind::Changed)?;
    Ok(Verdict::Kept)
}

/// A file that vanishes while it is read is `Changed`.
///
/// It is not to be placed elsewhere after it was deleted here.
pub async fn a_file_that_vanishes_while_read_is_changed<S: Subject>(scene: Scene<S>) -> Promise {
    let source = opened(&scene, 500_000).await?;
    scene.subject.remove(&at("file")).await?;
    refused(drain(source).await, FaultKind::Changed)?;
    Ok(Verdict::Kept)
}

/// A change after the last byte was read is told instead of the end.
///
/// The last moment in which the runtime can still throw away what it read.
pub async fn a_change_before_the_end_is_told_at_the_end<S: Subject>(scene: Scene<S>) -> Promise {
    let source = opened(&scene, 10).await?;
    scene.subject.write(&at("file"), b"the others").await?;
    refused(drain(source).await, FaultKind::Changed)?;
    Ok(Verdict::Kept)
}

/// A directory has no bytes to read.
///
/// Some systems open directories like files, and give bytes that mean nothing.
pub async fn a_directory_is_not_read<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("directory/file", b"bytes").await?;
    let tag = scene.there("directory").await?.tag;
    let read = scene.plug.read(&at("directory"), tag, 0).await;
    require!(read.is_err(), "a directory was opened as if it had bytes");
    Ok(Verdict::Kept)
}
