//! Reading one path in one state.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use super::*;

type Change = fn(&Home);

const SIZES: [usize; 2] = [1_000, 1 << 20];

#[tokio::test]
async fn a_file_is_read_from_any_offset() {
    let home = home().await;
    for size in SIZES {
        let bytes = noise(size);
        home.write("file", &bytes);
        let tag = home.tag("file").await;
        assert_eq!(home.get("file", tag, 77_777).await.expect("read"), bytes);
        for offset in [1, size / 2, size, size + 5] {
            let source = home.local.read(&path("file"), tag, offset as u64).await.expect("opened");
            assert_eq!(source.content().size, size as u64);
            let read = drain(source, 77_777).await.expect("read");
            assert!(read == bytes[offset.min(size)..], "{size} from {offset}");
        }
    }
}

#[tokio::test]
async fn another_state_is_not_read() {
    let home = home().await;
    home.write("file", b"one");
    let tag = home.tag("file").await;
    home.write("file", b"three");
    assert_eq!(kind_of(home.get("file", tag, 9).await), FaultKind::Changed);
    for gone in ["gone", "no/file", "file/below", ".onitu/service", ""] {
        assert_eq!(kind_of(home.get(gone, tag, 9).await), FaultKind::Changed, "{gone}");
    }
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_told() {
    let home = home().await;
    let changes: [Change; 5] = [
        |home| fs::remove_file(home.at("file")).expect("removed"),
        |home| fs::rename(home.at("file"), home.at("moved")).expect("moved"),
        |home| {
            fs::File::options()
                .write(true)
                .open(home.at("file"))
                .expect("open")
                .set_len(7)
                .expect("cut");
        },
        |home| {
            fs::File::options()
                .append(true)
                .open(home.at("file"))
                .expect("open")
                .write_all(b"x")
                .expect("grown");
        },
        |home| {
            fs::write(home.at("new"), noise(1_000)).expect("written");
            fs::rename(home.at("new"), home.at("file")).expect("renamed over");
        },
    ];
    for size in SIZES {
        for (number, change) in changes.iter().enumerate() {
            let _ = fs::remove_file(home.at("moved"));
            home.write("file", noise(size));
            let tag = home.tag("file").await;
            let mut source = home.local.read(&path("file"), tag, 0).await.expect("opened");
            source.next(100).await.expect("the first bytes");
            change(&home);
            assert_eq!(
                kind_of(drain(source, 300_000).await),
                FaultKind::Changed,
                "{size}, {number}"
            );
        }
    }
}

#[tokio::test]
async fn a_sparse_file_is_read_as_zeros() {
    let home = home().await;
    let sparse = fs::File::create(home.at("sparse")).expect("created");
    sparse.set_len(10 << 20).expect("sparse");
    let read = home.get("sparse", home.tag("sparse").await, 1 << 20).await.expect("read");
    assert!(read.len() == 10 << 20 && read.iter().all(|byte| *byte == 0));
}

#[tokio::test]
async fn what_can_not_be_read_is_denied_not_gone() {
    without_privileges();
    let home = home().await;
    home.write("file", b"secret");
    home.write("closed/file", b"secret");
    let (file, below) = (home.tag("file").await, home.tag("closed/file").await);
    let nothing = fs::Permissions::from_mode(0o000);
    fs::set_permissions(home.at("file"), nothing.clone()).expect("chmod");
    fs::set_permissions(home.at("closed"), nothing).expect("chmod");
    assert_eq!(kind_of(home.get("file", file, 9).await), FaultKind::Denied);
    let look = home.local.look(&path("closed/file")).await;
    assert_eq!(kind_of(look), FaultKind::Denied);
    assert_eq!(kind_of(home.local.remove(&path("closed/file"), below).await), FaultKind::Denied);
    assert_eq!(kind_of(home.put("closed/new", b"x", None).await), FaultKind::Denied);
    assert_eq!(kind_of(home.list("closed").await), FaultKind::Denied);
    assert_eq!(home.names("").await, ["closed", "file"]);
    fs::set_permissions(home.at("closed"), fs::Permissions::from_mode(0o700)).expect("chmod");
    assert_eq!(home.bytes("closed/file"), b"secret");
}
