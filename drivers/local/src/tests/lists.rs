//! Listing and looking.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;

use super::*;

#[tokio::test]
async fn a_listing_tells_what_looks_tell() {
    let home = home().await;
    home.write("file", b"x");
    home.write("directory/below", b"y");
    std::os::unix::fs::symlink("/nowhere", home.at("link")).expect("a link");
    let found = home.list("").await.expect("listed");
    assert_eq!(found.len(), 3);
    for found in found {
        let Found::Entry { name, state } = found else { panic!("a problem: {found:?}") };
        assert_eq!(home.state(&name).await, Some(state));
    }
    assert_eq!(home.state("").await.map(|root| root.content), Some(Content::DIRECTORY));
}

#[tokio::test]
async fn what_is_no_directory_is_not_listed() {
    let home = home().await;
    home.write("file", b"x");
    std::os::unix::fs::symlink("/", home.at("link")).expect("a link");
    assert_eq!(kind_of(home.list("gone").await), FaultKind::NotFound);
    assert_eq!(kind_of(home.list("file").await), FaultKind::NotADirectory);
    assert_eq!(kind_of(home.list("file/below").await), FaultKind::NotADirectory);
    assert_eq!(kind_of(home.list("link").await), FaultKind::NotADirectory);
}

#[tokio::test]
async fn what_can_not_be_synchronized_is_a_problem_and_never_opened() {
    let home = home().await;
    fs::write(home.at("").join(OsStr::from_bytes(b"caf\xe9")), b"x").expect("written");
    let _socket = UnixListener::bind(home.at("socket")).expect("bound");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, home.at("pipe"), mode).expect("a pipe");
    home.write("zfile", b"x");
    let found = home.list("").await.expect("listed");
    let problems: Vec<_> = found
        .iter()
        .filter_map(|found| match found {
            Found::Problem { name, fault } => Some((name.as_str(), fault.kind)),
            Found::Entry { .. } => None,
        })
        .collect();
    assert_eq!(
        problems,
        [
            ("caf\\xE9", FaultKind::InvalidName),
            ("pipe", FaultKind::Unsupported),
            ("socket", FaultKind::Unsupported)
        ]
    );
    assert_eq!(found.len(), 4);
    let look = home.local.look(&path("pipe")).await;
    assert_eq!(kind_of(look), FaultKind::Unsupported);
    let tag = home.tag("zfile").await;
    // Opening a pipe that nobody writes to would never return.
    assert_eq!(kind_of(home.get("pipe", tag, 9).await), FaultKind::Changed);
    assert_eq!(kind_of(home.put("pipe", b"x", None).await), FaultKind::Changed);
    assert_eq!(kind_of(home.local.remove(&path("pipe"), tag).await), FaultKind::Changed);
}

#[tokio::test]
async fn a_large_directory_comes_in_pages_of_a_thousand() {
    let home = home().await;
    for number in 0..2_500 {
        fs::write(home.at(&format!("{number}")), b"").expect("written");
    }
    let (listing, mut pages) = mpsc::channel::<Vec<Found>>(1);
    let root = Path::root();
    let sizes = async {
        let mut sizes = Vec::new();
        while let Some(page) = pages.recv().await {
            sizes.push(page.len());
        }
        sizes
    };
    let (told, sizes) = tokio::join!(home.local.list(&root, listing), sizes);
    told.expect("listed");
    assert_eq!(sizes, [1_000, 1_000, 500]);
}

#[tokio::test]
async fn a_listing_nobody_reads_ends() {
    let home = home().await;
    home.write("file", b"x");
    let (listing, pages) = mpsc::channel(1);
    drop(pages);
    let told = home.local.list(&Path::root(), listing).await;
    assert_eq!(kind_of(told), FaultKind::Cancelled);
}

#[tokio::test]
async fn the_tag_tells_every_change_and_only_changes() {
    let home = home().await;
    home.write("file", b"one");
    let tag = home.tag("file").await;
    assert_eq!(home.tag("file").await, tag);
    fs::rename(home.at("file"), home.at("moved")).expect("renamed");
    assert_eq!(home.tag("moved").await, tag);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(home.at("moved"), executable).expect("chmod");
    let second = home.tag("moved").await;
    fs::copy(home.at("moved"), home.at("copy")).expect("copied");
    fs::rename(home.at("copy"), home.at("moved")).expect("renamed");
    let third = home.tag("moved").await;
    assert!(tag != second && second != third && tag != third);
}
