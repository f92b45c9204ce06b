//! Whenever the power fails, each name is whole, old or new; what was answered is there; and what
//! was replaced or removed is kept. Every call that changes the disk is written down, and after
//! each of them the disk fails in every way that what isn't flushed yet allows.

mod model;
mod story;

use std::rc::Rc;

use onitu_plug::conflict;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::task::LocalSet;

use self::model::Seen;
use self::story::{Story, Tale, answered, anything, placed, turn};
use super::*;
use crate::disk;
use crate::disk::record::{Op, before, remark};

/// Enough that every unsure change was lost and kept alone, for the shortest of the stories.
const CRASHES_MIN: u64 = 15;

#[track_caller]
fn holds(story: &Story) {
    let crashes = story.check().unwrap_or_else(|why| panic!("{why}"));
    assert!(crashes >= CRASHES_MIN, "only {crashes} crashes were tried");
}

async fn put_new(name: &str, bytes: &[u8]) -> Story {
    let mut tale = Tale::begin(&[("beside", b"untouched")]).await;
    let step = tale.step(vec![turn(name, None, placed(bytes))]);
    tale.home.put(name, bytes, None).await.expect("placed");
    answered(step);
    tale.end()
}

async fn replace(bytes: &[u8]) -> Story {
    let mut tale = Tale::begin(&[("d/file", b"the old content")]).await;
    let step = tale.step(vec![turn("d/file", tale.seen("d/file"), placed(bytes))]);
    tale.keeps(step, b"the old content");
    let tag = tale.home.tag("d/file").await;
    tale.home.put("d/file", bytes, Some(tag)).await.expect("placed");
    answered(step);
    tale.end()
}

#[tokio::test]
async fn a_new_file_is_whole_or_absent() {
    for bytes in [&b"small"[..], b"", &noise(2 << 20)] {
        holds(&put_new("file", bytes).await);
    }
}

#[tokio::test]
async fn a_file_in_new_directories_is_whole_or_absent_and_can_be_reached() {
    holds(&put_new("new/newer/newest/file", b"small").await);
    holds(&put_new("new/newer/file", &noise(1 << 20)).await);
}

#[tokio::test]
async fn a_replaced_file_is_old_or_new_and_the_old_one_is_kept() {
    holds(&replace(b"the new content").await);
    holds(&replace(&noise(2 << 20)).await);
}

#[tokio::test]
async fn a_file_replaced_again_and_again_loses_none_of_its_contents() {
    let mut tale = Tale::begin(&[("file", b"content 0")]).await;
    for round in 1..6 {
        let new = format!("content {round}");
        let step = tale.step(vec![turn("file", tale.seen("file"), placed(new.as_bytes()))]);
        tale.keeps(step, format!("content {}", round - 1).as_bytes());
        let tag = tale.home.tag("file").await;
        tale.home.put("file", new.as_bytes(), Some(tag)).await.expect("placed");
        answered(step);
    }
    holds(&tale.end());
}

#[tokio::test]
async fn fifty_files_placed_together_are_each_whole() {
    let mut tale = Tale::begin(&[("d1/f1", b"replaced in passing")]).await;
    let mut steps = Vec::new();
    for number in 0..50 {
        let name = format!("d{}/f{number}", number % 7);
        let bytes = format!("bytes of {number}").into_bytes();
        let step = tale.step(vec![turn(&name, tale.seen(&name), placed(&bytes))]);
        steps.push((step, name, bytes));
    }
    tale.keeps(1, b"replaced in passing");
    let old = tale.home.tag("d1/f1").await;
    let tale = Rc::new(tale);
    let tasks = LocalSet::new();
    for (step, name, bytes) in steps {
        let tale = Rc::clone(&tale);
        tasks.spawn_local(async move {
            let expect = (name == "d1/f1").then_some(old);
            tale.home.put(&name, &bytes, expect).await.expect("placed");
            answered(step);
        });
    }
    tasks.await;
    holds(&Rc::into_inner(tale).expect("all tasks are done").end());
}

#[tokio::test]
async fn a_rename_is_done_or_not_and_what_it_replaces_is_kept() {
    for (to, is_taken) in [("e/f/b", false), ("taken", true)] {
        let files = [("a", &b"renamed"[..]), ("taken", b"what was there")];
        let mut tale = Tale::begin(&files).await;
        let (from, there) = (tale.seen("a"), tale.seen(to));
        let step = tale.step(vec![
            // While the two change names, the old name shows what stood under the new one.
            turn("a", from.clone(), None).meanwhile(there.clone()),
            turn(to, there, from),
        ]);
        tale.keeps(step, b"renamed");
        tale.keeps(step, b"what was there");
        let expect = if is_taken { Some(tale.home.tag(to).await) } else { None };
        let tag = tale.home.tag("a").await;
        tale.home.local.rename(&path("a"), tag, &path(to), expect).await.expect("renamed");
        answered(step);
        holds(&tale.end());
    }
}

#[tokio::test]
async fn what_is_removed_is_there_or_in_the_trash() {
    let mut tale = Tale::begin(&[("d/file", b"removed")]).await;
    let step = tale.step(vec![turn("d/file", tale.seen("d/file"), None)]);
    tale.keeps(step, b"removed");
    let tag = tale.home.tag("d/file").await;
    tale.home.local.remove(&path("d/file"), tag).await.expect("removed");
    answered(step);
    holds(&tale.end());
}

#[tokio::test]
async fn a_link_is_whole_or_absent_and_so_is_what_replaces_it() {
    let mut tale = Tale::begin(&[]).await;
    let seen = |target: &str| Some(Seen::Link(target.as_bytes().to_vec()));
    let step = tale.step(vec![turn("d/link", None, seen("one"))]);
    let state = tale.home.place("d/link", link("one"), b"one", None).await.expect("placed");
    answered(step);
    let step = tale.step(vec![turn("d/link", seen("one"), seen("two"))]);
    tale.keeps(step, b"one");
    tale.home.place("d/link", link("two"), b"two", Some(state.tag)).await.expect("placed");
    answered(step);
    holds(&tale.end());
}

#[tokio::test]
async fn what_was_saved_in_the_last_instant_is_kept_under_a_conflict_name() {
    let mut tale = Tale::begin(&[("f", b"as it was known")]).await;
    let users = b"saved in the last instant";
    let saved = Some(Seen::File(Rc::new(users.to_vec()), (0, 0)));
    let aside = conflict::conflict_path(&path("f"), "home", Checksum::of(users), 7);
    let aside = aside.as_str();
    let instant = tale.step(vec![]);
    let step = tale.step(vec![
        turn("f", tale.seen("f"), placed(b"from elsewhere")).meanwhile(saved.clone()),
        turn(aside, None, saved),
        anything(".saving"),
    ]);
    tale.keeps_afterwards(instant, users);
    let root = fs::File::open(tale.home.folder.path()).expect("the root");
    let hook = root.try_clone().expect("the root");
    let tag = tale.home.tag("f").await;
    before("exchange", root, move || {
        save(&hook, users)?;
        remark(2 * instant + 1);
        Ok(())
    });
    tale.home.put("f", b"from elsewhere", Some(tag)).await.expect("placed");
    answered(step);
    assert_eq!(tale.home.bytes(aside), users);
    holds(&tale.end());
}

/// As a careful editor saves `f`: beside it, flushed, and renamed.
fn save(root: &fs::File, bytes: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = disk::openat(root, ".saving", flags, Mode::from_raw_mode(0o644))?;
    disk::pwrite(&file, bytes, 0)?;
    disk::fsync(&file)?;
    disk::renameat(root, ".saving", root, "f")?;
    disk::fsync(root)
}

#[tokio::test]
async fn an_interrupted_file_that_is_taken_up_again_is_whole_or_absent() {
    let bytes = noise(3 << 20);
    let mut tale = Tale::begin(&[]).await;
    let step = tale.step(vec![turn("large", None, placed(&bytes))]);
    let content = file(&bytes);
    let begun = tale.home.local.write(&path("large"), &content, 7).await;
    let mut sink = begun.expect("begun");
    sink.write(Bytes::copy_from_slice(&bytes[..2 << 20])).await.expect("written");
    drop(sink);
    tale.restart().await;
    let begun = tale.home.local.write(&path("large"), &content, 7).await;
    let mut sink = begun.expect("begun again");
    assert_eq!(sink.resumed().await.expect("resumed").0, 2 << 20);
    sink.write(Bytes::copy_from_slice(&bytes[2 << 20..])).await.expect("written");
    sink.place(content, None).await.expect("placed");
    answered(step);
    holds(&tale.end());
}

#[tokio::test]
async fn a_directory_made_by_an_attempt_that_failed_is_as_sure_as_any() {
    let mut tale = Tale::begin(&[]).await;
    let root = fs::File::open(tale.home.folder.path()).expect("the root");
    let hook = root.try_clone().expect("the root");
    before("mkdir", root, move || {
        // Made here, so that the next one in it can be made to fail.
        disk::mkdirat(&hook, "a", Mode::from_raw_mode(0o755))?;
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&hook, "a", flags, Mode::empty())?;
        before("mkdir", made, || Err(Errno::NOSPC));
        Ok(())
    });
    let failed = tale.home.put("a/b/file", b"bytes", None).await;
    assert_eq!(kind_of(failed), FaultKind::Full);
    let step = tale.step(vec![turn("a/b/file", None, placed(b"bytes"))]);
    tale.home.put("a/b/file", b"bytes", None).await.expect("placed");
    answered(step);
    holds(&tale.end());
}

/// A check that finds nothing wrong with a driver that flushes nothing would be worth nothing.
#[tokio::test]
async fn a_driver_that_does_not_flush_is_found_out() {
    let stories = [
        put_new("new/file", b"small").await,
        put_new("file", &noise(1 << 20)).await,
        replace(b"the new content").await,
    ];
    let is_flush = |op: &Op| matches!(op, Op::Sync { .. } | Op::SyncAll { .. });
    for story in stories {
        holds(&story);
        let flushes = story.count(is_flush);
        assert!(flushes > 0);
        story.without(is_flush).check().expect_err("nothing is flushed");
        // Nor does it flush in vain: the first flush is that of the bytes, the last that of the
        // name.
        for left_out in [0, flushes - 1] {
            let mut at = 0;
            let cut = story.without(|op| {
                at += usize::from(is_flush(op));
                is_flush(op) && at == left_out + 1
            });
            cut.check().expect_err("one flush is missing");
        }
    }
}

/// The order of the calls matters, not only which there are.
#[tokio::test]
async fn a_driver_that_renames_before_it_flushes_is_found_out() {
    let story = put_new("file", b"small").await;
    let why = story.flushed_last().check().expect_err("renamed too early");
    assert!(why.contains("`file` is a file of"), "{why}");
}

#[test]
fn nothing_changes_the_disk_but_through_its_door() {
    let doors = [
        "mkdirat",
        "symlinkat",
        "linkat",
        "renameat",
        "renameat_with",
        "unlinkat",
        "pwrite",
        "pwritev",
        "copy_file_range",
        "ftruncate",
        "fallocate",
        "futimens",
        "utimensat",
        "fsync",
        "fdatasync",
        "syncfs",
    ];
    let mut waiting = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(at) = waiting.pop() {
        for entry in fs::read_dir(&at).expect("there").flatten() {
            let (file, name) = (entry.path(), entry.file_name());
            if file.is_dir() && name != "tests" {
                waiting.push(file);
            } else if file.is_file() && name != "tests.rs" && name != "disk.rs" {
                read += 1;
                let text = fs::read_to_string(&file).expect("readable");
                let imported = text.split(';').filter(|part| part.contains("use rustix::"));
                let called = text.split("rustix::fs::").skip(1);
                for part in
                    imported.chain(called.map(|call| call.split(['(', ';', '{']).next().unwrap()))
                {
                    let mut words = part.split(|c: char| !c.is_alphanumeric() && c != '_');
                    let word = words.find(|word| doors.contains(word));
                    assert_eq!(word, None, "{}: it belongs in `disk`", file.display());
                }
            }
        }
    }
    assert!(read > 20, "{read} files");
}
