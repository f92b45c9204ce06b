//! `Plug::connect` and `Plug::check`.
//!
//! A storage that is away must never be taken for an empty one: of all the ways in which
//! synchronizers lost their users' files, this was the most common. The cases that take a
//! storage away need a subject that can do so
//! ([`Subject::take_away`]); a driver for a remote service does it
//! by stopping its test server.

use onitu_plug::{FaultKind, Found, Plug, Sink};
use tokio::sync::mpsc;

use crate::promise::{Promise, Verdict, refused, require, same, through};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// A storage that is there passes its check.
///
/// The check runs every few seconds; one that fails without reason would stop the service.
pub async fn a_storage_that_is_there_passes_its_check<S: Subject>(scene: Scene<S>) -> Promise {
    scene.plug.check().await?;
    Ok(Verdict::Kept)
}

/// What was placed is there after a crash of the driver, in the same state.
///
/// After a restart every path is compared by its tag. Tags that don't survive a restart make
/// each start as dear as the first, and renames unrecognizable.
pub async fn a_new_connection_finds_the_same_states<S: Subject>(scene: Scene<S>) -> Promise {
    let placed = scene.place("a/file", b"bytes").await?;
    let scene = scene.reconnect().await?;
    same("the tag", &scene.there("a/file").await?.tag, &placed.tag)?;
    scene.holds("a/file", b"bytes").await?;
    Ok(Verdict::Kept)
}

/// A storage that isn't there is `Unavailable`, and nothing is created in its place.
///
/// The original Onitu created the folder it missed, found it empty, and deleted every file
/// elsewhere.
pub async fn a_missing_storage_is_unavailable_and_not_created<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let Scene { subject, plug } = scene;
    drop(plug);
    through!(subject.take_away(), "way to take the storage away");
    for known in [false, true] {
        let connected = subject.connect(known).await.map(drop);
        if let Err(fault) = &connected {
            require!(!fault.message.is_empty(), "nobody is told what to do");
        }
        refused(connected, FaultKind::Unavailable)?;
        require!(!subject.stands_again(), "something was created in the storage's place");
    }
    Ok(Verdict::Kept)
}

/// A storage that goes away while it is connected is noticed by the check, and nothing that is
/// asked meanwhile is answered as if it were empty.
///
/// Disks are unmounted and servers restarted while drivers run. An answer of "nothing there" in
/// that moment is a deletion of everything.
pub async fn a_storage_that_goes_away_is_unavailable_not_empty<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    scene.place("file", b"bytes").await?;
    through!(scene.subject.take_away(), "way to take the storage away");
    refused(scene.plug.check().await, FaultKind::Unavailable)?;
    let entries = scene.list("").await.map(|entries| entries.len());
    require!(entries != Ok(0), "a storage that is away was listed as empty");
    let placed = scene.place("another", b"bytes").await;
    require!(!scene.subject.stands_again(), "something was created in the storage's place");
    through!(scene.subject.bring_back(), "way to bring the storage back");
    let scene = scene.reconnect().await?;
    scene.holds("file", b"bytes").await?;
    if placed.is_ok() {
        scene.holds("another", b"bytes").await?;
    }
    Ok(Verdict::Kept)
}

/// A storage that goes away amid a listing makes it fail, if it can't be completed.
///
/// What a complete listing lacks counts as deleted.
pub async fn a_listing_that_is_cut_off_never_looks_complete<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let names: Vec<String> = (0..2_500).map(|number| format!("many/{number}")).collect();
    scene.users_write(&names, b"").await?;
    let (sender, mut receiver) = mpsc::channel(1);
    let (plug, many) = (scene.plug.clone(), at("many"));
    let listing = tokio::spawn(async move { plug.list(&many, sender).await });
    let mut found: Vec<Found> = receiver.recv().await.unwrap_or_default();
    through!(scene.subject.take_away(), "way to take the storage away");
    while let Some(page) = receiver.recv().await {
        found.extend(page);
    }
    let complete = listing.await?.is_ok();
    let count = found.len();
    require!(!complete || count == names.len(), "{count} of 2500 entries looked complete");
    Ok(Verdict::Kept)
}

/// A storage that Onitu knows, whose marker is gone, is another one: `Unavailable`, not empty.
///
/// An empty directory where a disk used to be mounted looks like a folder whose files were all
/// deleted. The marker tells them apart.
pub async fn a_known_storage_without_its_marker_is_unavailable<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let Scene { subject, plug } = scene;
    plug.check().await?;
    through!(subject.lose_marker(), "marker that can be lost");
    refused(plug.check().await, FaultKind::Unavailable)?;
    drop(plug);
    refused(subject.connect(true).await.map(drop), FaultKind::Unavailable)?;
    subject.connect(false).await?.check().await?;
    Ok(Verdict::Kept)
}

/// What an earlier incarnation left half written is not seen, and doesn't disturb.
///
/// Half a file under a user's name would be taken for the user's, and sent to every other
/// service.
pub async fn leftovers_of_a_crash_are_out_of_sight<S: Subject>(scene: Scene<S>) -> Promise {
    let content = file(b"half and half");
    let mut sink = scene.plug.write(&at("file"), &content, 7).await?;
    sink.resumed().await?;
    sink.write("half".into()).await?;
    drop(sink);
    let scene = scene.reconnect().await?;
    require!(scene.list("").await?.is_empty(), "something is there after a crash");
    scene.place("file", b"other bytes").await?;
    scene.holds("file", b"other bytes").await?;
    Ok(Verdict::Kept)
}
