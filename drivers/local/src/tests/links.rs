//! Nothing outside the root is read or written, whatever stands for a directory and whenever.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A folder outside with a file in it, and the root with a link to it.
async fn trap() -> (Home, TempDir) {
    let home = home().await;
    let outside = TempDir::new().expect("a temporary folder");
    fs::write(outside.path().join("file"), b"outside").expect("written");
    fs::create_dir(outside.path().join("empty")).expect("mkdir");
    symlink(outside.path(), home.at("link")).expect("a link");
    (home, outside)
}

fn assert_untouched(outside: &TempDir) {
    let mut names: Vec<_> = fs::read_dir(outside.path())
        .expect("there")
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("a text"))
        .collect();
    names.sort();
    assert_eq!(names, ["empty", "file"]);
    assert_eq!(fs::read(outside.path().join("file")).expect("there"), b"outside");
}

#[tokio::test]
async fn no_operation_goes_through_a_link() {
    let (home, outside) = trap().await;
    home.write("inside", b"inside");
    // What an operation would expect if it did follow the link.
    fs::hard_link(outside.path().join("file"), home.at("same")).ok();
    let tag = match home.state("same").await {
        Some(state) => state.tag,
        None => home.tag("inside").await,
    };
    let inside = home.tag("inside").await;
    let local = &home.local;
    assert_eq!(home.state("link/file").await, None);
    assert_eq!(kind_of(home.list("link").await), FaultKind::NotADirectory);
    assert_eq!(kind_of(home.list("link/empty").await), FaultKind::NotADirectory);
    assert_eq!(kind_of(home.get("link/file", tag, 9).await), FaultKind::Changed);
    for expect in [None, Some(tag)] {
        for size in [5, 2 << 20] {
            for name in ["link/new", "link/file", "link/a/b"] {
                home.put(name, &noise(size), expect).await.expect_err(name);
            }
        }
        local.make_directory(&path("link/new"), expect).await.expect_err("make");
        local.rename(&path("inside"), inside, &path("link/x"), expect).await.expect_err("rename");
    }
    local.rename(&path("link/file"), tag, &path("x"), None).await.expect_err("rename");
    local.set_attributes(&path("link/file"), tag, &file(b"outside")).await.expect_err("attributes");
    local.remove(&path("link/file"), tag).await.expect("as good as gone");
    let link = home.tag("link").await;
    home.put("link", b"a file now", Some(link)).await.expect("the link itself is replaced");
    assert_eq!(home.bytes("link"), b"a file now");
    assert_untouched(&outside);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swapped_in_while_something_is_done_leads_nowhere() {
    let (home, outside) = trap().await;
    home.write("d/file", b"inside");
    fs::create_dir(home.at("d/empty")).expect("mkdir");
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let swapper = {
        let (done, d, link) = (done.clone(), home.at("d"), home.at("link"));
        std::thread::spawn(move || {
            let (dir, flags) = (rustix::fs::CWD, rustix::fs::RenameFlags::EXCHANGE);
            while !done.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(dir, &d, dir, &link, flags).expect("swapped");
            }
        })
    };
    let mut went = 0;
    for round in 0..300 {
        let name = format!("d/new{round}");
        went += usize::from(home.put(&name, b"x", None).await.is_ok());
        let _ = home.put(&format!("d/deep{round}/x"), b"x", None).await;
        let _ = home.local.make_directory(&path(&format!("d/dir{round}")), None).await;
        if let Ok(Some(state)) = home.local.look(&path("d/file")).await {
            if let Ok(bytes) = home.get("d/file", state.tag, 99).await {
                assert_ne!(bytes, b"outside");
            }
            let _ = home.put("d/file", format!("{round}").as_bytes(), Some(state.tag)).await;
        }
        if let Ok(Some(state)) = home.local.look(&path("d/empty")).await {
            let _ = home.local.remove(&path("d/empty"), state.tag).await;
        }
        if let Ok(Some(state)) = home.local.look(&path(&name)).await {
            let _ = home.local.rename(&path(&name), state.tag, &path("d/renamed"), None).await;
            let _ = home.local.set_attributes(&path("d/renamed"), state.tag, &file(b"x")).await;
        }
        let _ = home.list("d").await;
    }
    done.store(true, Ordering::Relaxed);
    swapper.join().expect("the swapper is done");
    assert!(went > 0, "every single placement failed");
    assert_untouched(&outside);
}
