//! `Plug::write` and a `Sink` before it is placed.
//!
//! Between the first byte and the placing, hours may pass, the network may go and the machine
//! may crash. Until then nothing must be seen under a user's name, and afterwards nothing may
//! be left but what the same write takes up again. Whether it does so is the driver's choice;
//! that it mixes nothing is not.

use onitu_plug::{FaultKind, Hasher, Plug, Sink};

use crate::promise::{Promise, Verdict, refused, require, same, through};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

use super::reading::pattern;

/// What is written is invisible until it is placed, its new parents too.
///
/// Whoever looks at the folder meanwhile must not open half a film.
pub async fn a_sink_is_invisible_until_it_is_placed<S: Subject>(scene: Scene<S>) -> Promise {
    let content = file(b"bytes");
    let mut sink = scene.begin("new/directory/file", &content).await?;
    sink.write("bytes".into()).await?;
    scene.absent("new/directory/file").await?;
    scene.absent("new").await?;
    require!(scene.list("").await?.is_empty(), "something is seen before it was placed");
    sink.place(content, None).await?;
    scene.holds("new/directory/file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// Dropped before it was placed, it leaves nothing under a user's name.
///
/// Transfers are cancelled all the time: the file was edited again, or the other side went
/// away.
pub async fn a_sink_that_is_dropped_leaves_nothing_under_a_users_name<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let mut sink = scene.begin("directory/file", &file(b"bytes")).await?;
    sink.write("byt".into()).await?;
    drop(sink);
    let found = scene.list("").await?;
    require!(found.is_empty(), "a dropped sink left {found:?}");
    Ok(Verdict::Kept)
}

/// A file that is there stays as it is while its replacement is written and dropped.
///
/// A failed update must not cost the version before it.
pub async fn a_dropped_replacement_leaves_the_old_file<S: Subject>(scene: Scene<S>) -> Promise {
    let old = scene.place("file", b"bytes").await?;
    let mut sink = scene.begin("file", &file(b"other bytes")).await?;
    sink.write("other".into()).await?;
    scene.holds("file", b"bytes").await?;
    drop(sink);
    same("the state", &scene.there("file").await?.tag, &old.tag)?;
    scene.holds("file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// Given up, it leaves nothing to be seen, and nothing to be resumed.
///
/// Contents that were given up must not fill the disk, or be continued with bytes of another
/// version.
pub async fn a_discarded_sink_leaves_nothing<S: Subject>(scene: Scene<S>) -> Promise {
    let content = file(&pattern(300_000));
    let mut sink = scene.plug.write(&at("file"), &content, 5).await?;
    sink.resumed().await?;
    sink.write(pattern(200_000).into()).await?;
    sink.discard().await;
    require!(scene.list("").await?.is_empty(), "a discarded sink left something");
    let mut sink = scene.plug.write(&at("file"), &content, 5).await?;
    same("what can be resumed", &sink.resumed().await?.0, &0)?;
    Ok(Verdict::Kept)
}

/// A new key begins with nothing.
///
/// The hash of nothing is the beginning of every checksum.
pub async fn a_new_write_has_nothing_to_resume<S: Subject>(scene: Scene<S>) -> Promise {
    let mut sink = scene.plug.write(&at("file"), &file(b"bytes"), 3).await?;
    let (count, hasher) = sink.resumed().await?;
    same("what can be resumed", &count, &0)?;
    same("its checksum", &hasher.finish(), &Hasher::default().finish())?;
    Ok(Verdict::Kept)
}

/// With the same key, what was written before is taken up where it ended, or written again;
/// either way the file is whole.
///
/// After a crash the runtime sends only the rest, and checks the whole by the hash that was
/// told.
pub async fn an_interrupted_write_is_resumed_with_its_key<S: Subject>(scene: Scene<S>) -> Promise {
    let bytes = pattern(700_001);
    let content = file(&bytes);
    let mut sink = scene.plug.write(&at("file"), &content, 11).await?;
    sink.resumed().await?;
    sink.write(bytes[..300_000].to_vec().into()).await?;
    sink.write(bytes[300_000..400_000].to_vec().into()).await?;
    drop(sink);
    let scene = scene.reconnect().await?;
    let mut sink = scene.plug.write(&at("file"), &content, 11).await?;
    let (count, mut hasher) = sink.resumed().await?;
    require!(count <= 400_000, "{count} bytes were resumed, only 400000 were written");
    let rest = &bytes[usize::try_from(count).unwrap_or(usize::MAX)..];
    hasher.update(rest);
    same("the checksum", &Some(hasher.finish()), &content.checksum)?;
    sink.write(rest.to_vec().into()).await?;
    sink.place(content, None).await?;
    scene.holds("file", &bytes).await?;
    Ok(Verdict::Kept)
}

/// Another key takes up nothing of it: it is another content.
///
/// Chunks of two versions in one file were one of the ways in which the original Onitu damaged
/// contents.
pub async fn another_key_resumes_nothing<S: Subject>(scene: Scene<S>) -> Promise {
    let mut sink = scene.plug.write(&at("file"), &file(b"first bytes"), 21).await?;
    sink.resumed().await?;
    sink.write("first".into()).await?;
    drop(sink);
    let content = file(b"second");
    let mut sink = scene.plug.write(&at("file"), &content, 22).await?;
    same("what can be resumed", &sink.resumed().await?.0, &0)?;
    sink.write("second".into()).await?;
    sink.place(content, None).await?;
    scene.holds("file", b"second").await?;
    Ok(Verdict::Kept)
}

/// What was placed is not resumed by a later write with the same key.
///
/// A second order for the same content begins anew, whatever became of the first file.
pub async fn a_placed_write_is_not_resumed<S: Subject>(scene: Scene<S>) -> Promise {
    let content = file(b"bytes");
    let mut sink = scene.plug.write(&at("file"), &content, 31).await?;
    sink.resumed().await?;
    sink.write("bytes".into()).await?;
    sink.place(content, None).await?;
    let mut sink = scene.plug.write(&at("file"), &content, 31).await?;
    same("what can be resumed", &sink.resumed().await?.0, &0)?;
    scene.holds("file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// Where there is no space, `Full` says so, sooner or later; nothing is seen and nothing is lost.
///
/// Full disks are ordinary. The engine pauses the service and goes on when there is room.
pub async fn no_space_is_told_and_loses_nothing<S: Subject>(scene: Scene<S>) -> Promise {
    let old = scene.place("file", b"bytes").await?;
    through!(scene.subject.limit_space(100_000), "way to limit the space");
    let bytes = pattern(1_000_000);
    refused(scene.place("large", &bytes).await, FaultKind::Full)?;
    refused(scene.place_over("file", &bytes, Some(old.tag)).await, FaultKind::Full)?;
    scene.absent("large").await?;
    scene.holds("file", b"bytes").await?;
    scene.place("small", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// The root itself can't be written, and neither can the driver's own files, even where another
/// service has such names: they are refused, not taken for a user's.
///
/// Another service's marker, written over this one's, would make the two look like one.
pub async fn the_drivers_own_names_are_refused<S: Subject>(scene: Scene<S>) -> Promise {
    let written = scene.place(".onitu/service", b"another service").await;
    require!(written.is_err(), "a file among the driver's own was written");
    refused(written, FaultKind::InvalidName)?;
    scene.plug.check().await?;
    scene.reconnect().await?.plug.check().await?;
    Ok(Verdict::Kept)
}
