//! `Plug::watch`, `Plug::settle` and the hints they give.
//!
//! Hints make Onitu quick; scans make it right. So a hint may come twice, or for a directory
//! instead of a file, or be replaced by a rescan of everything: each of these counts as heard.
//! Only silence is a broken promise.

use std::time::Duration;

use onitu_plug::{Plug, Sink};

use crate::hearing::Hearing;
use crate::promise::{Promise, Verdict, needs, require};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// Files written, changed and removed by their user are hinted at.
///
/// Freshness is milliseconds, not the next scan.
pub async fn a_users_edits_are_hinted_at<S: Subject>(scene: Scene<S>) -> Promise {
    let mut hearing = Hearing::begin(&scene).await?;
    for directory in ["", "directory/", "directory/"] {
        let name = format!("{directory}file");
        scene.subject.write(&at(&name), b"bytes").await?;
        hearing.hears_of(&[&name]).await?;
        hearing.forget().await?;
        scene.subject.append(&at(&name), b" and more").await?;
        hearing.hears_of(&[&name]).await?;
        hearing.forget().await?;
        scene.subject.remove(&at(&name)).await?;
        hearing.hears_of(&[&name]).await?;
        hearing.forget().await?;
    }
    Ok(Verdict::Kept)
}

/// A rename is hinted at under both names.
///
/// With one name only, the file would be doubled or deleted until the next scan.
pub async fn a_users_rename_is_hinted_at_under_both_names<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    scene.subject.write(&at("old"), b"bytes").await?;
    let mut hearing = Hearing::begin(&scene).await?;
    scene.subject.rename(&at("old"), &at("new")).await?;
    hearing.hears_of(&["old", "new"]).await?;
    Ok(Verdict::Kept)
}

/// A directory that is renamed is hinted at with everything in it.
///
/// Watches follow the directory or its name; both go wrong in their own way after a rename.
pub async fn a_renamed_directory_is_hinted_at_as_a_whole<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename, directories);
    scene.subject.write(&at("old/sub/file"), b"bytes").await?;
    let mut hearing = Hearing::begin(&scene).await?;
    scene.subject.rename(&at("old"), &at("new")).await?;
    hearing.hears_of(&["old", "new", "new/sub/file"]).await?;
    hearing.forget().await?;
    scene.subject.write(&at("new/sub/file"), b"other").await?;
    hearing.hears_of(&["new/sub/file"]).await?;
    Ok(Verdict::Kept)
}

/// Changed attributes are hinted at.
///
/// Some watches tell of contents only.
pub async fn changed_attributes_are_hinted_at<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; mtime, executable);
    scene.subject.write(&at("file"), b"bytes").await?;
    let mut hearing = Hearing::begin(&scene).await?;
    scene.subject.set_attributes(&at("file"), 1_000_000_000_000_000_000, true).await?;
    hearing.hears_of(&["file"]).await?;
    Ok(Verdict::Kept)
}

/// What appears in new directories while their watch is being set is hinted at.
///
/// Of 500 files in 40 new directories, the original Onitu saw as few as 18: they were there
/// before the watch was.
pub async fn what_appears_in_a_new_directory_is_hinted_at<S: Subject>(scene: Scene<S>) -> Promise {
    let mut hearing = Hearing::begin(&scene).await?;
    let names: Vec<String> =
        (0..200).map(|number| format!("new {}/a/b/file {number}", number % 20)).collect();
    scene.users_write(&names, b"bytes").await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    hearing.hears_of(&names).await?;
    Ok(Verdict::Kept)
}

/// A storm of edits ends in hints or in a rescan, never in silence.
///
/// Queues have an end. What was dropped is told by a rescan.
pub async fn a_storm_is_not_passed_over<S: Subject>(scene: Scene<S>) -> Promise {
    let mut hearing = Hearing::begin(&scene).await?;
    let names: Vec<String> = (0..1_500).map(|number| format!("storm/{number}")).collect();
    scene.users_write(&names, b"bytes").await?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    hearing.hears_of(&names).await?;
    Ok(Verdict::Kept)
}

/// Settled means hinted: when it returns, changes made before are to be taken at once.
///
/// `onitu wait` and the brake on deletions rest on it: when it returns, silence means that
/// nothing happened.
pub async fn settling_waits_for_the_hints<S: Subject>(scene: Scene<S>) -> Promise {
    let mut hearing = Hearing::begin(&scene).await?;
    for round in 0..20 {
        let name = format!("file {round}");
        scene.subject.write(&at(&name), b"bytes").await?;
        scene.plug.settle().await?;
        while hearing.listen(Duration::from_millis(1)).await {}
        require!(hearing.covers(&at(&name)), "settled before `{name}` was hinted at");
    }
    Ok(Verdict::Kept)
}

/// The driver's own temporary files are not hinted at.
///
/// Each transfer would cause looks at names that are gone a moment later.
pub async fn temporary_files_are_not_hinted_at<S: Subject>(scene: Scene<S>) -> Promise {
    let mut hearing = Hearing::begin(&scene).await?;
    let mut sink = scene.begin("directory/file", &file(b"bytes")).await?;
    sink.write("bytes".into()).await?;
    scene.plug.settle().await?;
    hearing.listen(Duration::from_millis(300)).await;
    let heard: Vec<_> = hearing.heard().map(ToString::to_string).collect();
    require!(heard.is_empty(), "temporary files were hinted at: {heard:?}");
    sink.place(file(b"bytes"), None).await?;
    scene.plug.settle().await?;
    hearing.listen(Duration::from_millis(300)).await;
    let known = |path: &str| path == "directory" || path == "directory/file";
    let heard: Vec<_> = hearing.heard().map(ToString::to_string).collect();
    require!(heard.iter().all(|path| known(path)), "more than the file was hinted at: {heard:?}");
    Ok(Verdict::Kept)
}

/// The watch goes on until it is dropped.
///
/// One that returns early costs a connection and a scan.
pub async fn the_watch_goes_on_until_dropped<S: Subject>(scene: Scene<S>) -> Promise {
    let mut hearing = Hearing::begin(&scene).await?;
    for round in 0..3 {
        let name = format!("file {round}");
        scene.subject.write(&at(&name), b"bytes").await?;
        hearing.hears_of(&[&name]).await?;
    }
    require!(!hearing.ended(), "the watch ended by itself");
    Ok(Verdict::Kept)
}

/// After a watch was dropped another one hears.
///
/// The runtime begins anew after each fault; a storage that allows one watch only would be deaf
/// from then on.
pub async fn a_watch_can_be_set_again<S: Subject>(scene: Scene<S>) -> Promise {
    for round in 0..3 {
        let mut hearing = Hearing::begin(&scene).await?;
        let name = format!("round {round}/file");
        scene.subject.write(&at(&name), b"bytes").await?;
        hearing.hears_of(&[&name]).await?;
    }
    Ok(Verdict::Kept)
}
