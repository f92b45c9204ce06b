//! One folder, one Onitu.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::*;
use crate::disk::record::{Op, Record};

/// What the driver of another Onitu would hold.
fn taken(at: &std::path::Path) -> File {
    fs::create_dir_all(at.join(".onitu")).expect("mkdir");
    let lock = at.join(".onitu/lock");
    fs::write(&lock, r#"{"pid":4711,"host":"attic","service":"home"}"#).expect("written");
    let file = File::open(lock).expect("there");
    flock(&file, FlockOperation::NonBlockingLockExclusive).expect("locked");
    file
}

async fn refusal(at: &std::path::Path) -> String {
    let fault = connect(at, false).await.err().expect("should have been refused");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    fault.message
}

#[tokio::test]
async fn a_folder_in_use_is_unavailable_until_the_other_has_ended() {
    let folder = TempDir::new().expect("a temporary folder");
    let other = taken(folder.path());
    let message = refusal(folder.path()).await;
    assert!(message.contains("process 4711 on attic, as the service `home`"), "{message}");
    assert!(message.contains("stop that one"), "{message}");
    assert!(!folder.path().join(".onitu/service").exists(), "it was claimed all the same");
    drop(other);
    let local = connect(folder.path(), false).await.expect("taken over");
    let said = fs::read_to_string(folder.path().join(".onitu/lock")).expect("a lock");
    assert!(said.contains(&format!("\"pid\":{}", std::process::id())), "{said}");
    drop(local);
}

#[tokio::test]
async fn a_folder_inside_of_one_in_use_is_unavailable() {
    let folder = TempDir::new().expect("a temporary folder");
    let inner = folder.path().join("deep/inside");
    fs::create_dir_all(&inner).expect("mkdir");
    let other = taken(folder.path());
    let message = refusal(&inner).await;
    assert!(message.contains("lies in") && message.contains("process 4711"), "{message}");
    assert!(!inner.join(".onitu/service").exists());
    drop(other);
    connect(&inner, false).await.expect("connects");
}

#[tokio::test]
async fn a_folder_around_one_in_use_is_unavailable_when_it_is_come_upon() {
    let home = home().await;
    home.write("deep/inside/file", b"x");
    assert_eq!(home.names("deep/inside").await, ["file"]);
    let other = taken(&home.at("deep/inside"));
    let fault = home.list("deep/inside").await.expect_err("used by another");
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.message.contains("`deep/inside`"), "{fault}");
    assert!(fault.message.contains("process 4711"), "{fault}");
    drop(other);
    assert_eq!(home.names("deep/inside").await, [".onitu", "file"]);
}

#[tokio::test]
async fn a_lock_that_was_removed_is_noticed() {
    let home = home().await;
    home.local.check().await.expect("all is well");
    fs::remove_file(home.at(".onitu/lock")).expect("removed");
    assert_eq!(kind_of(home.local.check().await), FaultKind::Unavailable);
    assert_eq!(kind_of(home.local.look(&path("x")).await), FaultKind::Unavailable);
    let again = connect(home.folder.path(), true).await.expect("a new lock");
    again.check().await.expect("all is well again");
}

#[tokio::test]
async fn after_a_driver_that_was_killed_what_it_left_is_flushed_and_after_others_not() {
    let home = home().await;
    let Home { local, folder } = home;
    drop(local);
    let lock = folder.path().join(".onitu/lock");
    until("the lock is given back", async || fs::read(&lock).is_ok_and(|it| it.is_empty())).await;
    for (left, flushed) in [("", false), (r#"{"pid":1,"host":"h","service":"s"}"#, true)] {
        fs::write(&lock, left).expect("written");
        let record = Record::begin();
        let local = connect(folder.path(), true).await.expect("connects");
        let ours = crate::disk::record::id(File::open(&lock).expect("there")).expect("an inode");
        let device = (ours.0, ours.1);
        let is_all = |op: &Op| matches!(op, Op::SyncAll { device: of } if *of == device);
        assert_eq!(record.end().iter().any(is_all), flushed, "{left}");
        drop(local);
        until("it is given back", async || fs::read(&lock).is_ok_and(|it| it.is_empty())).await;
    }
}
