//! Which folders are accepted as roots, and when a root stops being one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

fn refusal(outcome: Result<Local, Fault>) -> String {
    let fault = outcome.err().expect("should have been refused");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    fault.message
}

#[tokio::test]
async fn a_missing_root_is_not_made() {
    let folder = TempDir::new().expect("a temporary folder");
    let missing = folder.path().join("missing");
    assert!(refusal(connect(&missing, false).await).contains("doesn't exist: create it"));
    assert!(!missing.exists());
    fs::write(&missing, b"x").expect("written");
    assert!(refusal(connect(&missing, false).await).contains("no folder"));
}

#[tokio::test]
async fn a_root_without_rights_is_refused() {
    without_privileges();
    let folder = TempDir::new().expect("a temporary folder");
    for (mode, text) in [(0o000, "can't be read"), (0o555, "writable")] {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("chmod");
        let message = refusal(connect(folder.path(), false).await);
        assert!(message.contains(text), "{message}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    drop(connect(folder.path(), false).await.expect("connects"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).expect("chmod");
    let message = refusal(connect(folder.path(), true).await);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    assert!(message.contains("writable"), "{message}");
}

#[tokio::test]
async fn a_known_service_without_its_marker_is_unavailable_not_empty() {
    let folder = TempDir::new().expect("a temporary folder");
    assert!(refusal(connect(folder.path(), true).await).contains("has lost its marker"));
    assert!(!folder.path().join(".onitu").exists());
    drop(connect(folder.path(), false).await.expect("a new service"));
    let marker = folder.path().join(".onitu/service");
    let said = fs::read(&marker).expect("a marker");
    drop(connect(folder.path(), true).await.expect("the same again"));
    assert_eq!(fs::read(&marker).expect("a marker"), said);
    fs::remove_file(&marker).expect("removed");
    assert!(refusal(connect(folder.path(), true).await).contains("has lost its marker"));
    fs::write(&marker, b"{").expect("written");
    assert!(refusal(connect(folder.path(), true).await).contains("marker"));
}

#[tokio::test]
async fn the_root_of_another_service_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let other = Setting { service: "other".to_owned(), ..setting(false) };
    drop(Local::connect(Options::new(folder.path()), other).await.expect("connects"));
    let message = refusal(connect(folder.path(), false).await);
    assert!(message.contains("belongs to the service `other`"), "{message}");
}

#[tokio::test]
async fn a_root_that_goes_away_is_noticed_and_nothing_in_it_is_gone() {
    let parent = TempDir::new().expect("a temporary folder");
    let (root, away) = (parent.path().join("root"), parent.path().join("away"));
    fs::create_dir(&root).expect("mkdir");
    let local = connect(&root, false).await.expect("connects");
    local.check().await.expect("all is well");
    let gone = async || {
        assert_eq!(kind_of(local.check().await), FaultKind::Unavailable);
        assert_eq!(kind_of(local.look(&path("x")).await), FaultKind::Unavailable);
        assert_eq!(kind_of(local.look(&path("x/y")).await), FaultKind::Unavailable);
        let (listing, _pages) = mpsc::channel(9);
        assert_eq!(kind_of(local.list(&path("x"), listing.clone()).await), FaultKind::Unavailable);
        assert_eq!(kind_of(local.list(&path(""), listing).await), FaultKind::Unavailable);
    };
    fs::rename(&root, &away).expect("moved away");
    gone().await;
    fs::create_dir(&root).expect("an empty folder in its place");
    gone().await;
    fs::create_dir(root.join(".onitu")).expect("mkdir");
    fs::copy(away.join(".onitu/service"), root.join(".onitu/service")).expect("copied");
    gone().await;
    fs::remove_dir_all(&root).expect("removed");
    fs::rename(&away, &root).expect("moved back");
    local.check().await.expect("all is well again");
    fs::remove_file(root.join(".onitu/service")).expect("removed");
    gone().await;
}

/// Mounts a small file system that lives in memory; tells if this machine doesn't let us.
/// Whether a small disk could be mounted there.
pub(super) fn mounted(at: &std::path::Path, options: &str) -> bool {
    fs::create_dir_all(at).expect("mkdir");
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).status();
    let mounted = mount.is_ok_and(|status| status.success());
    if !mounted {
        #[expect(clippy::print_stderr, reason = "a test must not be thinner than it looks")]
        {
            eprintln!("this machine doesn't let us mount: only the part without a mount is tested");
        }
    }
    mounted
}

/// Unmounts it at the end.
pub(super) struct Unmount(pub(super) PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    let folder = TempDir::new().expect("a temporary folder");
    // Works everywhere: the same call on a device that is always full.
    let full = fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let errno = crate::read::write_all(&full, b"x", 0).expect_err("full");
    assert_eq!(crate::fault::fault("write", "x", errno).kind, FaultKind::Full);
    let disk = folder.path().join("disk");
    if !mounted(&disk, "size=2m") {
        return;
    }
    let _unmount = Unmount(disk.clone());
    let home = Home { local: connect(&disk, false).await.expect("connects"), folder };
    let at = |name: &str| disk.join(name);
    fs::write(at("kept"), noise(100_000)).expect("written");
    let tag = home.tag("kept").await;
    for (name, expect) in [("new", None), ("kept", Some(tag))] {
        let outcome = home.put(name, &noise(4 << 20), expect).await;
        assert_eq!(kind_of(outcome), FaultKind::Full);
    }
    let mut number = 0;
    let small = loop {
        number += 1;
        match home.put(&format!("small {number}"), &noise(100_000), None).await {
            Ok(_) => assert!(number < 100, "never full"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(small.kind, FaultKind::Full);
    assert_eq!(fs::read(at("kept")).expect("there"), noise(100_000));
    assert_eq!(home.tag("kept").await, tag);
    fs::remove_file(at("small 1")).expect("room again");
    home.put("small 1", &noise(90_000), None).await.expect("placed");
}

#[tokio::test]
async fn another_file_system_in_the_root_is_written_in_one_step_and_its_loss_is_noticed() {
    let home = home().await;
    let disk = home.at("deep/disk");
    if !mounted(&disk, "size=8m") {
        return;
    }
    let unmount = Unmount(disk.clone());
    for size in [10, 2 << 20] {
        let state = home.put("deep/disk/new/file", &noise(size), None).await.expect("placed");
        assert_eq!(home.bytes("deep/disk/new/file"), noise(size));
        home.put("deep/disk/new/file", b"replaced", Some(state.tag)).await.expect("replaced");
        let tag = home.tag("deep/disk/new/file").await;
        home.local.remove(&path("deep/disk/new/file"), tag).await.expect("removed");
    }
    assert_eq!(home.names("deep/disk").await, ["new"]);
    assert!(fs::read_dir(disk.join(".onitu-tmp-files/tmp")).expect("there").next().is_none());
    home.write("file", b"x");
    let tag = home.tag("file").await;
    let across = home.local.rename(&path("file"), tag, &path("deep/disk/file"), None).await;
    assert_eq!(kind_of(across), FaultKind::Unsupported);
    home.local.check().await.expect("all is well");
    drop(unmount);
    let unavailable = FaultKind::Unavailable;
    assert_eq!(kind_of(home.local.check().await), unavailable);
    assert_eq!(kind_of(home.local.look(&path("deep/disk/new")).await), unavailable);
    assert_eq!(kind_of(home.list("deep/disk").await), unavailable);
}

#[tokio::test]
async fn leftovers_end_and_what_a_crash_left_between_two_names_is_kept() {
    let home = home().await;
    let tmp = home.at(".onitu/tmp");
    let old = fs::File::create(tmp.join("new-1-old")).expect("created");
    fs::write(tmp.join("resume-7-young"), b"young").expect("written");
    // As an exchange would leave it: the name tells another inode.
    fs::write(tmp.join("swap-1-0000018c-12345678"), b"the user's").expect("written");
    drop(old);
    drop(connect(home.folder.path(), true).await.expect("connects again"));
    let left: Vec<_> =
        fs::read_dir(&tmp).expect("there").flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().any(|name| name == "resume-7-young"), "{left:?}");
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("swap-")), "{left:?}");
    let day =
        fs::read_dir(home.at(".onitu/trash")).expect("there").flatten().next().expect("today");
    let kept = fs::read(day.path().join("0000018c-12345678")).expect("in the trash");
    assert_eq!(kept, b"the user's");
}
