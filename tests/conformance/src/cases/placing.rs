//! `Sink::place`.
//!
//! The moment in which a user's file may be overwritten. Each case sets up what stands at the
//! path, says what is expected there, and looks afterwards: the expected state is replaced in
//! one step, and goes to the trash; anything else stays byte for byte, and the driver says that
//! it met it. The races in [`super::crowds`] ask the same questions with a user who is quick.

use onitu_plug::{Content, FaultKind, Plug, Sink};

use crate::promise::{Broken, Promise, Verdict, needs, refused, require, same};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// Missing parent directories are made when it is placed.
///
/// The order for a file may come before that for its directory.
pub async fn missing_parents_are_made<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("a/b/c/file", b"bytes").await?;
    scene.holds("a/b/c/file", b"bytes").await?;
    same("`a/b`", &scene.there("a/b").await?.content, &Content::DIRECTORY)?;
    Ok(Verdict::Kept)
}

/// The state that is told is the one that is there.
///
/// The tag is remembered as what this service holds; with another one the next look finds a
/// change and the file goes round in circles.
pub async fn placing_tells_the_state_that_is_there<S: Subject>(scene: Scene<S>) -> Promise {
    let placed = scene.place("file", b"bytes").await?;
    let looked = scene.there("file").await?;
    same("the tag", &looked.tag, &placed.tag)?;
    same("the size", &looked.content.size, &placed.content.size)?;
    require!(looked.content.same_attributes(&placed.content), "the attributes differ");
    scene.read("file", &placed).await?;
    Ok(Verdict::Kept)
}

/// It has the mtime it was given.
///
/// Sorting photographs by date is a reason to synchronize them at all.
pub async fn a_placed_file_has_its_mtime<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime);
    for (name, mtime_ns) in [("old", 981_173_106_000_000_000), ("new", 1_700_000_000_000_000_000)] {
        let content = Content { mtime_ns, ..file(b"bytes") };
        let placed = scene.place_content(name, content, b"bytes", None).await?;
        same("the mtime told", &placed.content.mtime_ns, &mtime_ns)?;
        same("the mtime", &scene.there(name).await?.content.mtime_ns, &mtime_ns)?;
    }
    Ok(Verdict::Kept)
}

/// A time finer, older or later than the storage can keep is told as it is kept, not as it was
/// wished for: else the engine would set it again for ever.
///
/// Protocols keep seconds, file systems have limits, and cameras live in 1970.
pub async fn a_strange_mtime_is_told_as_it_is_kept<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime);
    for (name, mtime_ns) in [
        ("fine", 1_600_000_000_123_456_789),
        ("epoch", 0),
        ("before", -1_000_000_001),
        ("late", 7_258_118_400_000_000_000),
    ] {
        let content = Content { mtime_ns, ..file(b"bytes") };
        let placed = scene.place_content(name, content, b"bytes", None).await?;
        let looked = scene.there(name).await?;
        same("the mtime told", &placed.content.mtime_ns, &looked.content.mtime_ns)?;
        same("the tag", &placed.tag, &looked.tag)?;
    }
    Ok(Verdict::Kept)
}

/// It has the executable bit it was given.
///
/// Both ways: a text that becomes executable is a nuisance, and sometimes a danger.
pub async fn a_placed_file_has_its_executable_bit<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; executable);
    for (name, executable) in [("program", true), ("text", false)] {
        let content = Content { executable, ..file(b"bytes") };
        scene.place_content(name, content, b"bytes", None).await?;
        same("the bit", &scene.there(name).await?.content.executable, &executable)?;
    }
    Ok(Verdict::Kept)
}

/// An attribute the storage can't keep is told as its neutral value, the same each time.
///
/// A made-up time would travel to services that do keep times.
pub async fn attributes_that_cant_be_kept_are_not_invented<S: Subject>(scene: Scene<S>) -> Promise {
    let content = Content { executable: true, ..file(b"bytes") };
    let placed = scene.place_content("file", content, b"bytes", None).await?;
    let able = scene.abilities();
    require!(able.executable || !placed.content.executable, "an executable bit is told");
    require!(able.mtime || placed.content.mtime_ns == 0, "an mtime is told: {placed:?}");
    Ok(Verdict::Kept)
}

/// A file in the expected state is replaced.
///
/// An update is the ordinary case, and the new state must be told apart from the old one.
pub async fn the_expected_file_is_replaced<S: Subject>(scene: Scene<S>) -> Promise {
    scene.subject.write(&at("file"), b"bytes").await?;
    let old = scene.there("file").await?;
    let new = scene.place_over("file", b"other bytes", Some(old.tag)).await?;
    require!(old.tag != new.tag, "a replaced file has the tag of the old one");
    scene.holds("file", b"other bytes").await?;
    Ok(Verdict::Kept)
}

/// Where nothing is expected, something is left alone.
///
/// A user made it while the transfer was under way. It is the first thing to check and the last
/// thing to lose.
pub async fn an_unexpected_file_is_left_alone<S: Subject>(scene: Scene<S>) -> Promise {
    let mut sink = scene.begin("file", &file(b"bytes")).await?;
    sink.write("bytes".into()).await?;
    scene.subject.write(&at("file"), b"user's").await?;
    refused(sink.place(file(b"bytes"), None).await, FaultKind::Changed)?;
    scene.holds("file", b"user's").await?;
    Ok(Verdict::Kept)
}

/// Another state than the expected one is left alone.
///
/// The edit was made a moment ago, and nobody else has it yet.
pub async fn another_state_than_expected_is_left_alone<S: Subject>(scene: Scene<S>) -> Promise {
    let old = scene.place("file", b"old").await?;
    let mut sink = scene.begin("file", &file(b"bytes")).await?;
    sink.write("bytes".into()).await?;
    scene.subject.write(&at("file"), b"new").await?;
    refused(sink.place(file(b"bytes"), Some(old.tag)).await, FaultKind::Changed)?;
    scene.holds("file", b"new").await?;
    Ok(Verdict::Kept)
}

/// Where something is expected and nothing is, nothing is placed: it was deleted.
///
/// The deletion is news that hasn't arrived; bringing the file back would undo it for
/// everybody.
pub async fn a_deleted_file_is_not_brought_back<S: Subject>(scene: Scene<S>) -> Promise {
    let old = scene.place("file", b"old").await?;
    scene.subject.remove(&at("file")).await?;
    refused(scene.place_over("file", b"new", Some(old.tag)).await, FaultKind::Changed)?;
    scene.absent("file").await?;
    Ok(Verdict::Kept)
}

/// What can't be placed is discarded: nothing of it is seen, nothing resumed.
///
/// The next attempt is for another state; what was written for this one helps nobody.
pub async fn what_was_not_placed_is_discarded<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"there").await?;
    let content = file(b"bytes");
    let mut sink = scene.plug.write(&at("file"), &content, 41).await?;
    sink.resumed().await?;
    sink.write("bytes".into()).await?;
    refused(sink.place(content, None).await, FaultKind::Changed)?;
    same("the root", &scene.names("").await?, &["file".to_owned()].into())?;
    let mut sink = scene.plug.write(&at("file"), &content, 41).await?;
    same("what can be resumed", &sink.resumed().await?.0, &0)?;
    Ok(Verdict::Kept)
}

/// What was replaced goes to the trash.
///
/// So that a wrong order, or a regretted edit on another service, can be undone with `onitu
/// restore`.
pub async fn what_was_replaced_goes_to_the_trash<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; trash);
    let mut state = scene.place("file", b"first bytes").await?;
    for bytes in ["second bytes", "third bytes"] {
        state = scene.place_over("file", bytes.as_bytes(), Some(state.tag)).await?;
    }
    if scene.subject.trash().await?.is_none() {
        return Ok(Verdict::NoDoor("way to look into the trash"));
    }
    for lost in ["first bytes", "second bytes"] {
        require!(scene.trash_has(lost.as_bytes()).await?, "`{lost}` is not in the trash");
    }
    Ok(Verdict::Kept)
}

/// An empty directory may be replaced by a file.
///
/// A directory became a file elsewhere, and its children were removed before.
pub async fn an_empty_directory_may_be_replaced<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; directories);
    scene.subject.make_directory(&at("thing")).await?;
    let tag = scene.there("thing").await?.tag;
    refused(scene.place("thing", b"bytes").await, FaultKind::Changed)?;
    scene.place_over("thing", b"bytes", Some(tag)).await?;
    scene.holds("thing", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// A directory that holds something is `NotEmpty` and stays.
///
/// What it holds may be known to nobody.
pub async fn a_directory_that_holds_something_is_not_replaced<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    scene.place("thing/file", b"bytes").await?;
    let tag = scene.there("thing").await?.tag;
    refused(scene.place_over("thing", b"other", Some(tag)).await, FaultKind::NotEmpty)?;
    scene.holds("thing/file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// A parent that is a file is `NotADirectory`, and stays.
///
/// A file against a directory is a conflict, which the engine decides; the driver only says
/// what it met.
pub async fn a_parent_that_is_a_file_is_not_a_directory<S: Subject>(scene: Scene<S>) -> Promise {
    scene.place("file", b"bytes").await?;
    refused(scene.place("file/below", b"other").await, FaultKind::NotADirectory)?;
    refused(scene.place("file/far/below", b"other").await, FaultKind::NotADirectory)?;
    scene.holds("file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// Whoever reads while a file is replaced again and again sees one whole content or is told.
///
/// Replacing is one step for whoever looks, or it is no replacing but a deletion and a new
/// file.
pub async fn a_reader_never_sees_a_half_placed_file<S: Subject>(scene: Scene<S>) -> Promise {
    let whole = |number: u8| vec![number; 150_000 + usize::from(number)];
    let mut state = scene.place("file", &whole(0)).await?;
    let read = async {
        for _ in 0..200 {
            let Some(seen) = scene.look("file").await? else {
                return Err(Broken::new("for a moment nothing was there"));
            };
            match scene.read("file", &seen).await {
                Ok(bytes) => {
                    let first = bytes.first().copied().unwrap_or_default();
                    require!(bytes == whole(first), "a mixture of two contents was read");
                }
                Err(fault) => refused(Err::<(), _>(fault), FaultKind::Changed)?,
            }
        }
        Ok(())
    };
    let write = async {
        for number in 1..30 {
            state = scene.place_over("file", &whole(number), Some(state.tag)).await?;
        }
        Ok(())
    };
    let (read, written): (Result<(), Broken>, Result<(), Broken>) = tokio::join!(read, write);
    read.and(written).map(|()| Verdict::Kept)
}
