//! What the user who logs in may not do, told path by path while the rest goes on; and clocks that
//! disagree.

mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path as File;
use std::time::{Duration, SystemTime};

use fixture::connect;
use onitu_driver_sftp::Sftp;
use onitu_plug::{
    Bytes, Checksum, Content, Fault, FaultKind, Found, Hint, Hints, Kind, Path, Plug, Sink, State,
};
use onitu_test_sshd::Sshd;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

fn at(text: &str) -> Path {
    Path::new(text).expect("a path")
}

async fn place(plug: &Sftp, path: &str, bytes: &'static [u8]) -> Result<State, Fault> {
    let content = Content {
        kind: Kind::File,
        size: bytes.len() as u64,
        mtime_ns: 1_600_000_000_000_000_000,
        checksum: Some(Checksum::of(bytes)),
        ..Content::DIRECTORY
    };
    let mut sink = plug.write(&at(path), &content, 1).await?;
    sink.resumed().await?;
    sink.write(Bytes::from_static(bytes)).await?;
    sink.place(content, None).await
}

/// What a directory holds.
async fn list(plug: &Sftp, path: &Path) -> Result<Vec<Found>, Fault> {
    let (send, mut receive) = mpsc::channel(100);
    plug.list(path, send).await?;
    let mut all = Vec::new();
    while let Some(page) = receive.recv().await {
        all.extend(page);
    }
    Ok(all)
}

fn mode(path: &File, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_denies_is_told_of_that_path_and_the_rest_goes_on() {
    let (server, root) = (Sshd::start_unprivileged(), tempfile::tempdir().expect("a folder"));
    for directory in ["closed", "read only", "open"] {
        fs::create_dir(root.path().join(directory)).expect("made");
    }
    for file in ["closed/file", "read only/file", "open/secret", "open/file"] {
        fs::write(root.path().join(file), "bytes").expect("written");
    }
    Sshd::give(root.path());
    mode(&root.path().join("open/secret"), 0o000);
    mode(&root.path().join("read only"), 0o555);
    mode(&root.path().join("closed"), 0o000);
    let plug = connect(server.options(root.path())).await.expect("connected");

    let state = plug.look(&at("open/secret")).await.expect("a look").expect("a file");
    let fault = plug.read(&at("open/secret"), state.tag, 0).await.err().expect("denied");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    assert!(fault.message.contains("denies it to this user"), "{fault}");
    let fault = list(&plug, &at("closed")).await.expect_err("denied");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    // Unknown is not absent.
    let fault = plug.look(&at("closed/file")).await.expect_err("denied");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    for path in ["read only/new", "closed/new"] {
        let fault = place(&plug, path, b"bytes").await.expect_err("denied");
        assert_eq!(fault.kind, FaultKind::Denied, "{path}: {fault}");
    }
    let state = plug.look(&at("read only/file")).await.expect("a look").expect("a file");
    let fault = plug.remove(&at("read only/file"), state.tag).await.expect_err("denied");
    assert_eq!(fault.kind, FaultKind::Denied, "{fault}");
    assert!(root.path().join("read only/file").exists());

    assert_eq!(list(&plug, &at("open")).await.expect("a listing").len(), 2);
    place(&plug, "open/new", b"bytes").await.expect("placed");
    for directory in ["read only", "closed"] {
        mode(&root.path().join(directory), 0o755);
    }
}

/// A clock that is wrong: the server's own time decides, and no other is compared with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_whatever_time_its_clock_shows() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let plug = connect(server.options(root.path())).await.expect("connected");
    let file = root.path().join("file");
    let mut before = None;
    let now = fs::metadata(root.path()).and_then(|it| it.modified()).expect("a time");
    for (text, time) in [
        ("now", now),
        ("in a year", now + Duration::from_hours(24 * 365)),
        ("a year ago", now - Duration::from_hours(24 * 365)),
        ("at the beginning", SystemTime::UNIX_EPOCH),
        ("in a minute", now + Duration::from_mins(1)),
    ] {
        fs::write(&file, text).expect("written");
        let opened = fs::File::options().write(true).open(&file).expect("a file");
        opened.set_modified(time).expect("set");
        let state = plug.look(&at("file")).await.expect("a look").expect("a file");
        assert_ne!(Some(state.tag), before, "{text}");
        let found = list(&plug, &Path::root()).await.expect("a listing");
        assert_eq!(found, [Found::Entry { name: "file".to_owned(), state }], "{text}");
        before = Some(state.tag);
    }
}

/// Files of one size, edited in place again and again: several edits fall into one second, and the
/// directory's time stays what it was.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_within_the_second_of_the_last_round_is_not_missed() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    fs::create_dir(root.path().join("d")).expect("made");
    let file = root.path().join("d/file");
    fs::write(&file, "000").expect("written");
    let mut options = server.options(root.path());
    options["poll_s"] = json!(1);
    let plug = connect(options).await.expect("connected");
    list(&plug, &Path::root()).await.expect("a listing");
    list(&plug, &at("d")).await.expect("a listing");
    let hints = Hints::default();
    let edits = async {
        let mut last = plug.look(&at("d/file")).await.expect("a look").expect("a file").tag;
        for number in 1..=6 {
            fs::write(&file, format!("{number:03}")).expect("written");
            // Told, and looked at: its tag is another one.
            loop {
                let told = hints.take().await.paths;
                let is_told =
                    told.iter().any(|(path, hint)| *path == at("d/file") || *hint == Hint::Tree);
                if !is_told {
                    continue;
                }
                let tag = plug.look(&at("d/file")).await.expect("a look").expect("a file").tag;
                if tag != last {
                    last = tag;
                    break;
                }
            }
        }
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        end = plug.watch(hints.clone()) => panic!("the watch ended: {end:?}"),
        done = timeout(Duration::from_mins(2), edits) => done.expect("each edit to be seen"),
    }
}

/// Names that appear in a directory which is skipped while its time is the same, each as soon as the
/// last one was told.
#[tokio::test(flavor = "multi_thread")]
async fn what_appears_in_a_directory_that_was_quiet_is_found_by_the_next_rounds() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let make = |name: &str| {
        let file = fs::File::create(root.path().join(name)).expect("made");
        file.set_modified(old).expect("set");
    };
    fs::create_dir_all(root.path().join("quiet/below")).expect("made");
    make("quiet/file");
    let mut options = server.options(root.path());
    options["poll_s"] = json!(1);
    let plug = connect(options).await.expect("connected");
    for directory in [Path::root(), at("quiet"), at("quiet/below")] {
        list(&plug, &directory).await.expect("a listing");
    }
    let hints = Hints::default();
    let appear = async {
        for number in 0..5 {
            for directory in ["quiet", "quiet/below"] {
                let name = format!("{directory}/{number}");
                make(&name);
                while !hints.take().await.paths.contains_key(&at(&name)) {}
            }
        }
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        end = plug.watch(hints.clone()) => panic!("the watch ended: {end:?}"),
        done = timeout(Duration::from_mins(2), appear) => done.expect("each to be found"),
    }
}
