//! Two Onitu and one folder on a server.

mod fixture;

use std::fs;
use std::path::Path as File;
use std::time::{Duration, SystemTime};

use onitu_driver_sftp::Sftp;
use onitu_plug::{Fault, FaultKind, Plug, Setting};
use onitu_test_sshd::Sshd;
use serde_json::Value;

/// Connects as the Onitu that keeps its state in `own`.
async fn connect(options: &Value, own: &File, known: bool) -> Result<Sftp, Fault> {
    let options = serde_json::from_value(options.clone()).expect("options");
    let setting = Setting {
        service: "test".to_owned(),
        known,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: Some(own.to_owned()),
    };
    Sftp::connect(options, setting).await
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_onitu_is_kept_out_and_told_whose_the_folder_is() {
    let (server, root, one, other) = (Sshd::start(), folder(), folder(), folder());
    let options = server.options(root.path());
    let first = connect(&options, one.path(), false).await.expect("connected");
    let fault = connect(&options, other.path(), false).await.err().expect("refused");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    assert!(fault.message.contains("used by another Onitu (on "), "{fault}");
    assert!(fault.message.contains("as the service `test`"), "{fault}");
    first.check().await.expect("the first goes on");
    fs::remove_file(root.path().join(".onitu/lock")).expect("removed by hand");
    connect(&options, other.path(), true).await.expect("let in");
    let fault = first.check().await.expect_err("no longer its own");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_onitu_that_was_cut_off_or_killed_goes_on_at_once() {
    let (server, root, own) = (Sshd::start(), folder(), folder());
    let options = server.options(root.path());
    let lost = connect(&options, own.path(), false).await.expect("connected");
    server.cut();
    let again = connect(&options, own.path(), true).await.expect("its own lock");
    again.check().await.expect("it goes on");
    drop(lost);
    connect(&options, own.path(), true).await.expect("also beside its last connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_an_onitu_that_is_silent_is_taken_over_and_a_damaged_one_too() {
    let (server, root, one, other) = (Sshd::start(), folder(), folder(), folder());
    let options = server.options(root.path());
    let lock = root.path().join(".onitu/lock");
    let age = |by: Duration| {
        let file = fs::File::options().write(true).open(&lock).expect("the lock");
        file.set_modified(modified(&lock) - by).expect("set");
    };
    let first = connect(&options, one.path(), false).await.expect("connected");
    age(Duration::from_mins(1));
    connect(&options, other.path(), true).await.err().expect("it may only be slow");
    age(Duration::from_mins(10));
    let second = connect(&options, other.path(), true).await.expect("taken over");
    first.check().await.expect_err("it has lost the folder");
    second.check().await.expect("the other has it");
    fs::write(&lock, "damaged").expect("written");
    connect(&options, one.path(), true).await.err().expect("it may be being written");
    age(Duration::from_mins(10));
    connect(&options, one.path(), true).await.expect("taken over");
    let own = fs::read_dir(root.path().join(".onitu/tmp")).expect("a folder").flatten();
    let left = own.filter(|it| it.file_name() != "clock").count();
    assert_eq!(left, 0, "nothing is left of them");
}

fn modified(file: &File) -> SystemTime {
    fs::metadata(file).and_then(|it| it.modified()).expect("a time")
}
