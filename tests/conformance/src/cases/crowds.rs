//! Many at once, and races with the user.
//!
//! The runtime calls a driver from many tasks, only never for one path at the same time; the
//! user observes no such rule. The races here are played some dozens of times and look at what
//! remains afterwards: whoever won, neither content may be lost. They are played only where the
//! subject's user has a door of their own.

use std::sync::Arc;
use std::time::Duration;

use onitu_plug::{FaultKind, Plug, Sink};
use tokio::time::timeout;

use crate::promise::{Broken, Promise, Verdict, needs, refused, require, same};
use crate::scene::{Scene, at, file};
use crate::subject::Subject;

use super::reading::pattern;

/// How many files a crowd has.
const CROWD: usize = 200;

/// Two hundred files placed at once are all whole.
///
/// The runtime has hundreds of orders under way. Temporary names that collide show here.
pub async fn two_hundred_files_placed_at_once_are_all_whole<S: Subject>(
    scene: Scene<S>,
) -> Promise {
    let scene = Arc::new(scene);
    let length = |number: usize| number * 997;
    let name = |number: usize| format!("directory {}/file {number}", number % 7);
    let tasks: Vec<_> = (0..CROWD)
        .map(|number| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move {
                let bytes = pattern(length(number));
                scene.place(&name(number), &bytes).await
            })
        })
        .collect();
    for (number, task) in tasks.into_iter().enumerate() {
        let placed = task.await??;
        same("the size", &placed.content.size, &(length(number) as u64))?;
    }
    for number in 0..CROWD {
        scene.holds(&name(number), &pattern(length(number))).await?;
    }
    Ok(Verdict::Kept)
}

/// Fifty readers of one file all read it whole.
///
/// Several services pull one new file at the same time.
pub async fn fifty_readers_of_one_file_all_read_it_whole<S: Subject>(scene: Scene<S>) -> Promise {
    let bytes = pattern(300_000);
    let state = scene.place("file", &bytes).await?;
    let scene = Arc::new(scene);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let scene = Arc::clone(&scene);
            tokio::spawn(async move { scene.read("file", &state).await })
        })
        .collect();
    for task in tasks {
        require!(task.await?? == bytes, "a reader read other bytes");
    }
    Ok(Verdict::Kept)
}

/// Files are renamed and removed at once without harm to their neighbours.
///
/// Directories are made, emptied and left by orders that know nothing of each other.
pub async fn neighbours_dont_disturb_each_other<S: Subject>(scene: Scene<S>) -> Promise {
    needs!(scene; rename);
    let scene = Arc::new(scene);
    let mut tasks = Vec::new();
    for number in 0..60 {
        let scene = Arc::clone(&scene);
        tasks.push(tokio::spawn(async move {
            let (name, new) = (format!("directory/{number}"), format!("other/{number}"));
            let bytes = name.clone().into_bytes();
            let state = scene.place(&name, &bytes).await?;
            match number % 3 {
                0 => scene.plug.remove(&at(&name), state.tag).await?,
                1 => drop(scene.plug.rename(&at(&name), state.tag, &at(&new), None).await?),
                _ => {}
            }
            Ok::<_, Broken>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    for number in 0..60 {
        let (name, new) = (format!("directory/{number}"), format!("other/{number}"));
        match number % 3 {
            0 => scene.absent(&name).await?,
            1 => scene.holds(&new, name.as_bytes()).await?,
            _ => scene.holds(&name, name.as_bytes()).await?,
        }
    }
    Ok(Verdict::Kept)
}

/// A call that is dropped halfway may have its effect or not, but none in between, and the path
/// can be worked with afterwards.
///
/// The runtime drops calls when it is told to stop, and when they take too long.
pub async fn a_call_that_is_dropped_leaves_a_whole_state<S: Subject>(scene: Scene<S>) -> Promise {
    let (old, new) = (pattern(50_000), pattern(60_000));
    for round in 0..40_u64 {
        let path = format!("round {round}/file");
        let state = scene.place(&path, &old).await?;
        let content = file(&new);
        let mut sink = scene.begin(&path, &content).await?;
        sink.write(new.clone().into()).await?;
        let mut placing = tokio::spawn(sink.place(content, Some(state.tag)));
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        if timeout(Duration::from_micros(round * 50), &mut placing).await.is_err() {
            placing.abort();
            let _ = placing.await;
        }
        let found = scene.there(&path).await?;
        match scene.read(&path, &found).await {
            Ok(bytes) => require!(bytes == old || bytes == new, "neither the old nor the new"),
            Err(fault) => refused(Err::<(), _>(fault), FaultKind::Changed)?,
        }
        let names = scene.names(&format!("round {round}")).await?;
        same("the directory", &names, &["file".to_owned()].into())?;
    }
    Ok(Verdict::Kept)
}

/// What a user saves in the very moment something is placed over it is not lost: it stays, or
/// becomes a conflict copy beside it, or is in the trash.
///
/// Between the last look and the replacement there is always an instant; only the storage
/// itself can close it.
pub async fn an_edit_in_the_last_instant_is_not_lost<S: Subject>(scene: Scene<S>) -> Promise {
    if !scene.subject.has_door() {
        return Ok(Verdict::NoDoor("user beside the driver"));
    }
    for round in 0..60 {
        let (path, edit) = (format!("race {round}/file"), format!("the user's edit {round}"));
        let old = scene.place(&path, b"old").await?;
        let content = file(b"new bytes");
        let mut sink = scene.begin(&path, &content).await?;
        sink.write("new bytes".into()).await?;
        let placing = tokio::spawn(sink.place(content, Some(old.tag)));
        let target = at(&path);
        scene.subject.write(&target, edit.as_bytes()).await?;
        if let Err(fault) = placing.await? {
            refused(Err::<(), _>(fault), FaultKind::Changed)?;
        }
        let kept = stands_in(&scene, &format!("race {round}"), edit.as_bytes()).await?
            || (scene.subject.trash().await?.is_some() && scene.trash_has(edit.as_bytes()).await?);
        require!(kept, "`{edit}` is lost");
    }
    Ok(Verdict::Kept)
}

/// What a user makes in the very moment something is placed where nothing was is not lost.
///
/// The same where nothing was: only an exclusive creation closes it.
pub async fn a_file_made_in_the_last_instant_is_not_lost<S: Subject>(scene: Scene<S>) -> Promise {
    if !scene.subject.has_door() {
        return Ok(Verdict::NoDoor("user beside the driver"));
    }
    for round in 0..60 {
        let (path, edit) = (format!("race {round}/file"), format!("the user's file {round}"));
        let content = file(b"new bytes");
        let mut sink = scene.begin(&path, &content).await?;
        sink.write("new bytes".into()).await?;
        let placing = tokio::spawn(sink.place(content, None));
        scene.subject.write(&at(&path), edit.as_bytes()).await?;
        if let Err(fault) = placing.await? {
            refused(Err::<(), _>(fault), FaultKind::Changed)?;
        }
        let kept = stands_in(&scene, &format!("race {round}"), edit.as_bytes()).await?;
        require!(kept, "`{edit}` is lost");
    }
    Ok(Verdict::Kept)
}

/// Whether one of the directory's files has these bytes.
async fn stands_in<S: Subject>(
    scene: &Scene<S>,
    directory: &str,
    bytes: &[u8],
) -> Result<bool, Broken> {
    for name in scene.names(directory).await? {
        let path = format!("{directory}/{name}");
        let state = scene.there(&path).await?;
        if scene.read(&path, &state).await? == bytes {
            return Ok(true);
        }
    }
    Ok(false)
}
