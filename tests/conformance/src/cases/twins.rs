//! Twins: names that the storage can't tell from each other.
//!
//! The engine compares names byte for byte and holds what comes second under another name. It can
//! do so only where the driver never takes one name for its twin. Which names are twins is the
//! storage's own business; each case asks it with a few that usually are.

use onitu_plug::{Content, FaultKind, Plug, Sink};

use crate::hearing::Hearing;
use crate::promise::{Broken, Promise, Verdict, needs_no, refused, require, same};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

/// Names that some storages can't tell from each other: by case, by case beyond ASCII, by the
/// spelling of a letter.
const PAIRS: [(&str, &str); 3] =
    [("name.txt", "NAME.txt"), ("äpfel", "ÄPFEL"), ("caf\u{e9}", "cafe\u{301}")];

/// A pair of twins, the first of which stands.
type Twins = (&'static str, &'static str);

/// Places the first of each pair and tells which of the others can't be placed beside it.
async fn pairs<S: Subject>(scene: &Scene<S>) -> Result<Vec<Twins>, Broken> {
    let mut twins = Vec::new();
    for (first, other) in PAIRS {
        scene.place(first, first.as_bytes()).await?;
        match scene.place(other, b"other").await {
            Err(fault) if fault.kind == FaultKind::Taken => twins.push((first, other)),
            placed => drop(placed?),
        }
    }
    require!(!twins.is_empty(), "the names are said not to be exact, but no two were folded");
    Ok(twins)
}

/// A twin is nothing of what stands.
///
/// Taken for the other file, it would be recorded with its bytes: an edit of one would then be
/// an edit of both, and a deletion too.
pub async fn a_twin_is_not_what_stands<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    for (first, twin) in pairs(&scene).await? {
        let tag = scene.there(first).await?.tag;
        scene.absent(twin).await?;
        refused(scene.plug.read(&at(twin), tag, 0).await, FaultKind::Changed)?;
        scene.holds(first, first.as_bytes()).await?;
    }
    Ok(Verdict::Kept)
}

/// Names are listed as they were made.
///
/// A listing that folded them would rename every file on all other services.
pub async fn names_are_listed_as_they_were_made<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    let pairs = pairs(&scene).await?;
    let listed = scene.names("").await?;
    for (first, twin) in pairs {
        require!(listed.contains(first), "`{first}` is listed as one of {listed:?}");
        require!(!listed.contains(twin), "`{twin}` was refused, and is listed");
    }
    Ok(Verdict::Kept)
}

/// A twin can't be placed, and what stands stays.
///
/// This is the loss that all of this is about: one of two files is gone, and nobody said so.
pub async fn a_twin_is_not_placed<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    for (first, twin) in pairs(&scene).await? {
        let old = scene.there(first).await?;
        // As if what stands were expected: it isn't this path's.
        let placed = scene.place_over(twin, b"twin", Some(old.tag)).await;
        require!(placed.is_err(), "`{twin}` was placed over `{first}`");
        refused(scene.place(twin, b"twin").await, FaultKind::Taken)?;
        same("the tag", &scene.there(first).await?.tag, &old.tag)?;
        scene.holds(first, first.as_bytes()).await?;
        scene.absent(twin).await?;
    }
    Ok(Verdict::Kept)
}

/// A twin that appears while a file is written is not overwritten.
///
/// Between the first byte and the last lies all the time in the world.
pub async fn a_twin_that_came_in_between_stays<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    for (first, twin) in pairs(&scene).await? {
        let (first, twin) = (format!("new-{first}"), format!("new-{twin}"));
        let content = file(b"");
        let sink = scene.begin(&twin, &content).await?;
        scene.place(&first, b"first").await?;
        refused(sink.place(content, None).await, FaultKind::Taken)?;
        scene.holds(&first, b"first").await?;
        scene.absent(&twin).await?;
    }
    Ok(Verdict::Kept)
}

/// A twin is neither removed nor given other attributes.
///
/// The engine asks for a path that was there a moment ago; what stands now is another's.
pub async fn what_stands_is_not_changed_as_its_twin<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    for (first, twin) in pairs(&scene).await? {
        let old = scene.there(first).await?;
        scene.plug.remove(&at(twin), old.tag).await?;
        scene.holds(first, first.as_bytes()).await?;
        if scene.abilities().mtime {
            let content = Content { mtime_ns: 7_000_000_000, ..old.content };
            let set = scene.plug.set_attributes(&at(twin), old.tag, &content).await;
            refused(set, FaultKind::Changed)?;
        }
        same("the tag", &scene.there(first).await?.tag, &old.tag)?;
    }
    Ok(Verdict::Kept)
}

/// Nothing is renamed over a twin, or as one.
///
/// A rename is a replacement too.
pub async fn nothing_is_renamed_to_a_twin<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    if !scene.abilities().rename {
        return Ok(Verdict::NotApplicable("rename"));
    }
    for (number, (first, twin)) in pairs(&scene).await?.into_iter().enumerate() {
        let (old, from) = (scene.there(first).await?, format!("file-{number}"));
        let file = scene.place(&from, b"bytes").await?;
        let renamed = scene.plug.rename(&at(&from), file.tag, &at(twin), None).await;
        refused(renamed, FaultKind::Taken)?;
        let renamed = scene.plug.rename(&at(twin), old.tag, &at("elsewhere"), None).await;
        refused(renamed, FaultKind::Changed)?;
        scene.holds(&from, b"bytes").await?;
        scene.holds(first, first.as_bytes()).await?;
        scene.absent("elsewhere").await?;
    }
    Ok(Verdict::Kept)
}

/// A file that is renamed to a twin of its own name is spelled anew, or left as it is.
///
/// Somebody has corrected the case of a letter. Where one step can't do that, the engine takes
/// two.
pub async fn a_name_is_spelled_anew_or_left<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    if !scene.abilities().rename {
        return Ok(Verdict::NotApplicable("rename"));
    }
    for (first, twin) in pairs(&scene).await? {
        let old = scene.there(first).await?;
        let renamed = scene.plug.rename(&at(first), old.tag, &at(twin), None).await;
        if renamed.is_err() {
            refused(renamed, FaultKind::Taken)?;
            scene.holds(first, first.as_bytes()).await?;
            continue;
        }
        scene.absent(first).await?;
        scene.holds(twin, first.as_bytes()).await?;
        require!(scene.names("").await?.contains(twin), "`{twin}` is not listed");
    }
    Ok(Verdict::Kept)
}

/// A directory has twins as well: nothing is below one.
///
/// A whole tree would be merged into another.
pub async fn nothing_is_below_a_twin_of_a_directory<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    for (first, twin) in pairs(&scene).await? {
        let (first, twin) = (format!("in-{first}"), format!("in-{twin}"));
        let (file, other) = (format!("{first}/file"), format!("{twin}/file"));
        let tag = scene.place(&file, b"bytes").await?.tag;
        scene.absent(&twin).await?;
        scene.absent(&other).await?;
        refused(scene.list(&twin).await, FaultKind::NotFound)?;
        refused(scene.plug.read(&at(&other), tag, 0).await, FaultKind::Changed)?;
        refused(scene.place(&other, b"other").await, FaultKind::Taken)?;
        refused(scene.place(&format!("{twin}/new"), b"new").await, FaultKind::Taken)?;
        if scene.abilities().directories {
            let made = scene.plug.make_directory(&at(&twin), None).await;
            refused(made, FaultKind::Taken)?;
        }
        if scene.abilities().rename {
            let into = scene.plug.rename(&at(&file), tag, &at(&other), None).await;
            refused(into, FaultKind::Taken)?;
        }
        scene.plug.remove(&at(&other), tag).await?;
        scene.holds(&file, b"bytes").await?;
        same("the listing", &scene.names(&first).await?, &["file".to_owned()].into())?;
    }
    Ok(Verdict::Kept)
}

/// A twin of the driver's own names is not its own, and is not let in there.
///
/// `.ONITU` would be `.onitu`, with the trash of everybody's files.
pub async fn a_twin_of_the_drivers_own_names_is_refused<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    let placed = scene.place(".ONITU/trash/x", b"bytes").await;
    if placed.is_ok() {
        // It keeps nothing there that could be harmed.
        scene.holds(".ONITU/trash/x", b"bytes").await?;
        return Ok(Verdict::Kept);
    }
    refused(placed, FaultKind::Taken)?;
    scene.absent(".ONITU").await?;
    Ok(Verdict::Kept)
}

/// A user's edit is hinted at under the name as it was made, however its user spelled it.
///
/// A hint about the twin makes the engine look where nothing is, and miss the edit.
pub async fn hints_are_spelled_as_names_were_made<S: Subject>(scene: Scene<S>) -> Promise {
    needs_no!(scene; exact_names);
    if !scene.subject.has_door() {
        return Ok(Verdict::NoDoor("way to edit without the driver"));
    }
    let pairs = pairs(&scene).await?;
    let mut hearing = Hearing::begin(&scene).await?;
    for (first, twin) in pairs {
        scene.subject.append(&at(twin), b" and more").await?;
        hearing.hears_of(&[first]).await?;
        hearing.forget().await?;
        scene.subject.remove(&at(twin)).await?;
        hearing.hears_of(&[first]).await?;
    }
    Ok(Verdict::Kept)
}
