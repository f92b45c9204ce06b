//! The connection ends in the middle of something, and disks are full.

mod fixture;

use std::fs;
use std::path::Path as File;
use std::time::Duration;

use fixture::{connect, connect_known};
use onitu_driver_sftp::Sftp;
use onitu_plug::{
    Bytes, Checksum, Content, Fault, FaultKind, Hints, Kind, Path, Plug, Sink, Source, State,
    TrashQuery,
};
use onitu_test_sshd::{Sshd, sftp_server};
use tokio::time::timeout;

const MB: usize = 1024 * 1024;

fn at(text: &str) -> Path {
    Path::new(text).expect("a path")
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| at.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0]).collect()
}

fn content(bytes: &[u8]) -> Content {
    Content {
        kind: Kind::File,
        size: bytes.len() as u64,
        mtime_ns: 1_600_000_000_000_000_000,
        checksum: Some(Checksum::of(bytes)),
        ..Content::DIRECTORY
    }
}

async fn place(plug: &Sftp, path: &str, bytes: &[u8]) -> Result<State, Fault> {
    let content = content(bytes);
    let mut sink = plug.write(&at(path), &content, 1).await?;
    let (resumed, _) = sink.resumed().await?;
    for chunk in bytes[resumed as usize..].chunks(MB) {
        sink.write(Bytes::copy_from_slice(chunk)).await?;
    }
    sink.place(content, None).await
}

/// What stands in the driver's folder of temporary files, the clock aside.
fn leftovers(root: &File) -> Vec<String> {
    let names = fs::read_dir(root.join(".onitu/tmp")).expect("a folder").flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name != "clock").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_was_cut_goes_on_where_it_was_and_leaves_nothing() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let (bytes, half) = (pattern(24 * MB), 12 * MB);
    let content = content(&bytes);
    let plug = connect(server.options(root.path())).await.expect("connected");
    let mut sink = plug.write(&at("film"), &content, 7).await.expect("begun");
    sink.resumed().await.expect("nothing");
    for chunk in bytes[..half].chunks(MB) {
        sink.write(Bytes::copy_from_slice(chunk)).await.expect("written");
    }
    server.cut();
    let mut failed = None;
    for chunk in bytes[half..].chunks(MB) {
        if let Err(fault) = sink.write(Bytes::copy_from_slice(chunk)).await {
            failed = Some(fault);
            break;
        }
    }
    let fault = match failed {
        Some(fault) => {
            drop(sink);
            fault
        }
        None => sink.place(content, None).await.expect_err("the connection is gone"),
    };
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    assert_eq!(plug.look(&at("film")).await.expect_err("gone").kind, FaultKind::Unavailable);
    assert!(!root.path().join("film").exists(), "nothing incomplete is seen");
    drop(plug);

    let plug = connect_known(server.options(root.path()), true).await.expect("connected again");
    let mut sink = plug.write(&at("film"), &content, 7).await.expect("begun");
    let (resumed, mut hasher) = sink.resumed().await.expect("taken up");
    assert!(resumed > 0 && resumed <= bytes.len() as u64, "{resumed} bytes were resumed");
    let rest = &bytes[resumed as usize..];
    hasher.update(rest);
    assert_eq!(Some(hasher.finish()), content.checksum);
    for chunk in rest.chunks(MB) {
        sink.write(Bytes::copy_from_slice(chunk)).await.expect("written");
    }
    sink.place(content, None).await.expect("placed");
    assert!(fs::read(root.path().join("film")).expect("a file") == bytes);
    assert_eq!(leftovers(root.path()), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_whose_connection_is_cut_is_told_and_not_given_less() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    fs::write(root.path().join("film"), pattern(24 * MB)).expect("written");
    let plug = connect(server.options(root.path())).await.expect("connected");
    let state = plug.look(&at("film")).await.expect("a look").expect("a file");
    let mut source = plug.read(&at("film"), state.tag, 0).await.expect("opened");
    assert!(!source.next(65_536).await.expect("bytes").is_empty());
    server.cut();
    let mut read = 65_536;
    let fault = loop {
        match source.next(MB as u32).await {
            Ok(bytes) if bytes.is_empty() => panic!("{read} bytes looked like all of them"),
            Ok(bytes) => read += bytes.len(),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_ends_the_watch_and_whoever_waits_for_it() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let plug = connect(server.options(root.path())).await.expect("connected");
    let watch = plug.watch(Hints::default());
    let cut = async {
        plug.settle().await.expect("a round");
        server.cut();
        plug.settle().await.expect_err("no connection")
    };
    let ended = timeout(Duration::from_secs(20), async { tokio::join!(watch, cut) }).await;
    let (watch, settle) = ended.expect("both end");
    assert_eq!(watch.expect_err("lost").kind, FaultKind::Unavailable);
    assert_eq!(settle.kind, FaultKind::Unavailable);
    assert_eq!(plug.check().await.expect_err("lost").kind, FaultKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_again_and_again_while_files_are_replaced_none_is_lost_or_half() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let options = server.options(root.path());
    let texts: Vec<Vec<u8>> = (0..12_usize).map(|round| vec![b'a' + round as u8; 2_000]).collect();
    let mut last = 0;
    let plug = connect(options.clone()).await.expect("connected");
    let mut state = place(&plug, "file", &texts[0]).await.expect("placed");
    drop(plug);
    for (round, text) in texts.iter().enumerate().skip(1) {
        let plug = connect_known(options.clone(), true).await.expect("connected");
        if let Some(found) = plug.look(&at("file")).await.expect("a look") {
            state = found;
        }
        let content = content(text);
        let mut sink = plug.write(&at("file"), &content, 9).await.expect("begun");
        sink.resumed().await.expect("nothing");
        sink.write(Bytes::copy_from_slice(text)).await.expect("written");
        let expect = root.path().join("file").exists().then_some(state.tag);
        let placing = tokio::spawn(sink.place(content, expect));
        for _ in 0..round * 40 {
            tokio::task::yield_now().await;
        }
        server.cut();
        if placing.await.expect("no panic").is_ok() {
            last = round;
        }
        let kept = contents(root.path());
        assert!(kept.contains(&texts[last]), "round {round}: what was placed is gone");
        if let Ok(found) = fs::read(root.path().join("file")) {
            assert!(texts.contains(&found), "round {round}: half a file is seen");
            last = texts.iter().position(|it| *it == found).expect("one of them");
        }
    }
}

/// The bytes of all files below, those in the trash included.
fn contents(directory: &File) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a folder").flatten() {
        if entry.path().is_dir() {
            found.extend(contents(&entry.path()));
        } else {
            found.extend(fs::read(entry.path()).ok());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_user_may_not_write_is_denied_and_the_rest_goes_on() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let plug = connect(server.options(root.path())).await.expect("connected");
    // Not even root may write here.
    fs::create_dir(root.path().join("closed")).expect("a folder");
    let closed = std::os::unix::fs::symlink("/proc/self", root.path().join("closed/link"));
    closed.expect("a link");
    let fault = place(&plug, "closed/link/file", b"bytes").await.expect_err("no directory");
    assert_eq!(fault.kind, FaultKind::NotADirectory, "{fault}");
    place(&plug, "open/file", b"bytes").await.expect("placed");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_leftovers_are_removed_when_it_connects_and_young_ones_stay() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    drop(connect(server.options(root.path())).await.expect("connected"));
    let tmp = root.path().join(".onitu/tmp");
    for (name, age_s) in [("new-old", 90_000), ("resume-old", 90_000), ("resume-young", 60)] {
        fs::write(tmp.join(name), "bytes").expect("written");
        let when = fs::metadata(tmp.join(name)).and_then(|it| it.modified()).expect("a time")
            - Duration::from_secs(age_s);
        let times = fs::FileTimes::new().set_accessed(when).set_modified(when);
        let file = fs::File::options().write(true).open(tmp.join(name)).expect("a file");
        file.set_times(times).expect("set");
    }
    let plug = connect_known(server.options(root.path()), true).await.expect("connected");
    // Asked behind them, in the same lane or another: they are gone soon.
    for _ in 0..200 {
        plug.check().await.expect("there");
        if leftovers(root.path()).len() == 1 {
            break;
        }
    }
    assert_eq!(leftovers(root.path()), ["resume-young"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_any_extension_is_as_good() {
    let denied = "posix-rename,hardlink,fsync,statvfs,limits";
    let line = format!("Subsystem sftp {} -P {denied}", sftp_server());
    let (server, root) = (Sshd::start_with(&[&line]), tempfile::tempdir().expect("a folder"));
    let plug = connect(server.options(root.path())).await.expect("connected");
    let bytes = pattern(3 * MB + 1);
    let first = place(&plug, "a/film", &bytes).await.expect("placed");
    let moved = plug.rename(&at("a/film"), first.tag, &at("b/film"), None).await.expect("renamed");
    assert!(!root.path().join("a/film").exists());
    let content = content(b"another");
    let mut sink = plug.write(&at("b/film"), &content, 2).await.expect("begun");
    sink.resumed().await.expect("nothing");
    sink.write(Bytes::from_static(b"another")).await.expect("written");
    let second = sink.place(content, Some(moved.tag)).await.expect("replaced");
    plug.remove(&at("b/film"), second.tag).await.expect("removed");
    let query = TrashQuery { below: at("b"), after_ms: 0, cursor: None, limit: 10 };
    let kept = plug.trash(&query).await.expect("a page").items;
    assert_eq!(kept.len(), 2, "{kept:?}");
    plug.restore(&kept[1].id, &at("film"), None).await.expect("restored");
    assert!(fs::read(root.path().join("film")).expect("a file") == bytes);
    assert_eq!(leftovers(root.path()), Vec::<String>::new());
}
