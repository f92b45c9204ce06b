//! What the watch tells.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use onitu_plug::{Hint, Hints};
use tokio::task::JoinHandle;

use super::*;

/// A home that is watched, and everything it told so far.
struct Watched {
    home: Home,
    local: Arc<Local>,
    hints: Hints,
    watch: JoinHandle<Result<(), Fault>>,
}

impl std::ops::Deref for Watched {
    type Target = Home;
    fn deref(&self) -> &Home {
        &self.home
    }
}

async fn watched_with(change: impl FnOnce(&mut Options)) -> Watched {
    let home = home().await;
    let mut options = Options::new(home.folder.path());
    change(&mut options);
    let local = Arc::new(Local::connect(options, setting(true)).await.expect("connects"));
    let hints = Hints::default();
    let watch = {
        let (local, hints) = (Arc::clone(&local), hints.clone());
        tokio::spawn(async move { local.watch(hints).await })
    };
    let watched = Watched { home, local, hints, watch };
    watched.local.settle().await.expect("settles");
    let begun = watched.hints.take().await;
    assert!(begun.rescan.is_some(), "what happened before the watch isn't known");
    watched
}

async fn watched() -> Watched {
    watched_with(|_| ()).await
}

impl Watched {
    /// Everything told until now.
    async fn told(&self) -> BTreeMap<String, Hint> {
        self.local.settle().await.expect("settles");
        // So that there is something to take, and nothing to wait for.
        self.hints.tell(path("sentinel"), Hint::Writing);
        let told = self.hints.take().await;
        assert_eq!(told.rescan, None);
        told.paths
            .into_iter()
            .filter(|(path, _)| path.as_str() != "sentinel")
            .map(|(path, hint)| (path.as_str().to_owned(), hint))
            .collect()
    }
}

fn told<const N: usize>(expected: [(&str, Hint); N]) -> BTreeMap<String, Hint> {
    expected.map(|(path, hint)| (path.to_owned(), hint)).into()
}

#[tokio::test]
async fn each_kind_of_change_is_told() {
    let home = watched().await;
    home.write("file", b"x");
    assert_eq!(home.told().await, told([("file", Hint::Written)]));
    fs::rename(home.at("file"), home.at("new")).expect("renamed");
    let both = told([("file", Hint::Changed), ("new", Hint::Written)]);
    assert_eq!(home.told().await, both);
    std::os::unix::fs::symlink("x", home.at("link")).expect("a link");
    fs::hard_link(home.at("new"), home.at("hard")).expect("another name");
    let linked = told([("hard", Hint::Changed), ("link", Hint::Changed), ("new", Hint::Changed)]);
    let told_now = home.told().await;
    assert!(linked.iter().all(|(path, hint)| path == "new" || told_now.get(path) == Some(hint)));
    let readonly = std::os::unix::fs::PermissionsExt::from_mode(0o444);
    fs::set_permissions(home.at("new"), readonly).expect("chmod");
    assert_eq!(home.told().await.get("new"), Some(&Hint::Changed));
    fs::remove_file(home.at("link")).expect("removed");
    assert_eq!(home.told().await, told([("link", Hint::Changed)]));
    fs::create_dir(home.at("d")).expect("mkdir");
    assert_eq!(home.told().await, told([("d", Hint::Tree)]));
    fs::remove_dir(home.at("d")).expect("rmdir");
    assert_eq!(home.told().await, told([("d", Hint::Changed)]));
}

#[tokio::test]
async fn a_file_that_stays_open_is_being_written_until_it_is_closed() {
    use std::io::Write;
    let home = watched().await;
    let mut file = fs::File::create(home.at("file")).expect("created");
    assert_eq!(home.told().await, told([("file", Hint::Writing)]));
    file.write_all(b"more").expect("written");
    assert_eq!(home.told().await, told([("file", Hint::Writing)]));
    drop(file);
    assert_eq!(home.told().await, told([("file", Hint::Written)]));
}

#[tokio::test]
async fn reading_is_not_told_and_neither_are_onitus_own_files() {
    let home = watched().await;
    home.write("file", b"x");
    home.told().await;
    let tag = home.tag("file").await;
    home.get("file", tag, 9).await.expect("read");
    home.list("").await.expect("listed");
    assert_eq!(home.told().await, told([]));
    let bytes = noise(2 << 20);
    let mut sink = home.local.write(&path("large"), &super::file(&bytes), 1).await.expect("begun");
    sink.write(bytes.clone().into()).await.expect("written");
    assert_eq!(home.told().await, told([]));
    sink.place(super::file(&bytes), None).await.expect("placed");
    assert_eq!(home.told().await, told([("large", Hint::Changed)]));
    home.local.remove(&path("large"), home.tag("large").await).await.expect("removed");
    assert_eq!(home.told().await, told([("large", Hint::Changed)]));
}

#[tokio::test]
async fn onitus_own_renames_need_no_second_reading() {
    let home = watched().await;
    home.write("a", b"x");
    home.told().await;
    let tag = home.tag("a").await;
    home.local.rename(&path("a"), tag, &path("b"), None).await.expect("renamed");
    let own = told([("a", Hint::Changed), ("b", Hint::Changed)]);
    assert_eq!(home.told().await, own);
    fs::rename(home.at("b"), home.at("a")).expect("renamed by the user");
    assert_eq!(home.told().await, told([("a", Hint::Written), ("b", Hint::Changed)]));
}

#[tokio::test]
async fn a_directory_is_told_as_a_whole_only_when_it_can_be_read_again() {
    use std::os::unix::fs::PermissionsExt;
    without_privileges();
    let home = watched().await;
    fs::create_dir(home.at("d")).expect("mkdir");
    home.told().await;
    for (mode, hint) in [(0o755, Hint::Changed), (0o600, Hint::Changed), (0o700, Hint::Tree)] {
        fs::set_permissions(home.at("d"), fs::Permissions::from_mode(mode)).expect("chmod");
        assert_eq!(home.told().await, told([("d", hint)]), "{mode:o}");
    }
}

#[tokio::test]
async fn the_save_patterns_of_editors_end_in_a_look_at_the_right_name() {
    let home = watched().await;
    home.write("doc.txt", b"one");
    home.told().await;
    // vim: the old one becomes a backup, the new one is written and the backup removed.
    fs::rename(home.at("doc.txt"), home.at("doc.txt~")).expect("renamed");
    home.write("doc.txt", b"two");
    fs::remove_file(home.at("doc.txt~")).expect("removed");
    let vim = told([("doc.txt", Hint::Written), ("doc.txt~", Hint::Written)]);
    assert_eq!(home.told().await, vim);
    // gedit, LibreOffice: a new file is renamed over the old one.
    home.write(".goutputstream-X", b"three");
    fs::rename(home.at(".goutputstream-X"), home.at("doc.txt")).expect("renamed");
    let gedit = told([(".goutputstream-X", Hint::Written), ("doc.txt", Hint::Written)]);
    assert_eq!(home.told().await, gedit);
    // nano, `echo >`: truncated and written in place.
    home.write("doc.txt", b"four");
    assert_eq!(home.told().await, told([("doc.txt", Hint::Written)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_files_in_new_nested_directories_are_all_told() {
    let home = watched().await;
    let mut made = Vec::new();
    for top in 0..20 {
        for inner in 0..10 {
            let directory = format!("t{top}/a/b/c/i{inner}");
            fs::create_dir_all(home.at(&directory)).expect("mkdir -p");
            for number in 0..5 {
                let name = format!("{directory}/f{number}");
                fs::write(home.at(&name), b"x").expect("written");
                made.push(name);
            }
        }
    }
    let told = home.told().await;
    // A file is told by itself or with a directory above it that is to be listed as a whole.
    for name in made {
        let by_tree =
            name.match_indices('/').any(|(at, _)| told.get(&name[..at]) == Some(&Hint::Tree));
        assert!(by_tree || told.contains_key(&name), "{name} was missed");
    }
    fs::write(home.at("t7/a/b/c/i3/later"), b"x").expect("written");
    assert_eq!(home.told().await, super::watches::told([("t7/a/b/c/i3/later", Hint::Written)]));
}

#[tokio::test]
async fn a_tree_moved_in_out_and_about_is_followed() {
    let home = watched().await;
    let outside = TempDir::new_in(home.folder.path().parent().expect("a parent")).expect("outside");
    fs::create_dir_all(outside.path().join("tree/sub")).expect("mkdir");
    fs::rename(outside.path().join("tree"), home.at("tree")).expect("moved in");
    assert_eq!(home.told().await, told([("tree", Hint::Tree)]));
    home.write("tree/sub/file", b"x");
    assert_eq!(home.told().await, told([("tree/sub/file", Hint::Written)]));

    fs::create_dir(home.at("other")).expect("mkdir");
    assert_eq!(home.told().await, told([("other", Hint::Tree)]));
    fs::rename(home.at("tree"), home.at("other/moved")).expect("moved about");
    let moved = told([("other/moved", Hint::Tree), ("tree", Hint::Tree)]);
    assert_eq!(home.told().await, moved);
    home.write("other/moved/sub/file", b"y");
    assert_eq!(home.told().await, told([("other/moved/sub/file", Hint::Written)]));

    fs::rename(home.at("other/moved"), outside.path().join("tree")).expect("moved out");
    assert_eq!(home.told().await, told([("other/moved", Hint::Tree)]));
    fs::write(outside.path().join("tree/sub/file"), b"not ours").expect("written");
    assert_eq!(home.told().await, told([]));
    fs::rename(outside.path().join("tree"), home.at("back")).expect("moved in again");
    home.told().await;
    home.write("back/sub/file", b"z");
    assert_eq!(home.told().await, told([("back/sub/file", Hint::Written)]));
}

#[tokio::test]
async fn a_watch_that_ends_late_does_not_end_the_next() {
    let home = watched().await;
    let hints = Hints::default();
    let mut next = std::pin::pin!(home.local.watch(hints.clone()));
    tokio::select! {
        biased;
        ended = &mut next => panic!("the second watch ended: {ended:?}"),
        begun = hints.take() => assert!(begun.rescan.is_some()),
    }
    home.watch.abort();
    until("the first watch has ended", async || home.watch.is_finished()).await;
    home.write("file", b"x");
    tokio::select! {
        biased;
        ended = &mut next => panic!("the second watch ended: {ended:?}"),
        settled = home.local.settle() => settled.expect("the second watch listens"),
    }
    assert!(hints.take().await.paths.contains_key(&path("file")));
}

#[tokio::test]
async fn a_link_to_a_directory_is_not_watched_through() {
    let home = watched().await;
    let outside = TempDir::new().expect("outside");
    std::os::unix::fs::symlink(outside.path(), home.at("link")).expect("a link");
    assert_eq!(home.told().await, told([("link", Hint::Changed)]));
    fs::write(outside.path().join("file"), b"x").expect("written");
    assert_eq!(home.told().await, told([]));
}

#[tokio::test]
async fn names_that_are_no_text_are_problems_until_they_go() {
    let home = watched().await;
    let odd = home.at("").join(OsStr::from_bytes(b"caf\xe9"));
    fs::write(&odd, b"x").expect("written");
    home.local.settle().await.expect("settles");
    let problems = home.hints.take().await.problems;
    let (name, fault) = problems.last().expect("a problem");
    assert_eq!(name, "caf\\xE9");
    assert_eq!(fault.as_ref().map(|fault| fault.kind), Some(FaultKind::InvalidName));
    fs::remove_file(&odd).expect("removed");
    home.local.settle().await.expect("settles");
    assert_eq!(home.hints.take().await.problems, [("caf\\xE9".to_owned(), None)]);
}

#[tokio::test]
async fn what_is_removed_is_forgotten_and_may_come_again() {
    let home = watched().await;
    for _ in 0..3 {
        home.write("a/b/file", b"x");
        home.told().await;
        fs::remove_dir_all(home.at("a")).expect("removed");
        assert!(home.told().await.contains_key("a"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_the_kernel_keeps_becomes_a_scan_and_the_watch_goes_on() {
    let home = watched().await;
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .expect("a limit")
        .trim()
        .parse()
        .expect("a number");
    fs::create_dir(home.at("d")).expect("mkdir");
    home.told().await;
    // The thread that reads has to look at each new link; making them is faster.
    let folder = home.at("d");
    let makers: Vec<_> = (0..4)
        .map(|maker| {
            let folder = folder.clone();
            std::thread::spawn(move || {
                let at = folder.join(format!("link{maker}"));
                for _ in 0..queue * 4 {
                    std::os::unix::fs::symlink("x", &at).expect("a link");
                    fs::remove_file(&at).expect("removed");
                }
            })
        })
        .collect();
    for maker in makers {
        maker.join().expect("made");
    }
    fs::create_dir_all(home.at("d/new/er")).expect("mkdir");
    home.local.settle().await.expect("settles");
    let gathered = home.hints.take().await;
    assert!(gathered.rescan.is_some() || gathered.paths.contains_key(&path("d/new")));
    home.local.settle().await.expect("settles");
    home.write("d/new/er/file", b"x");
    until("the new file is told", async || {
        home.local.settle().await.expect("settles");
        home.hints.tell(path("sentinel"), Hint::Writing);
        home.hints.take().await.paths.contains_key(&path("d/new/er/file"))
    })
    .await;
}

#[tokio::test]
async fn too_few_watches_are_told_polled_and_taken_up_again() {
    let home = watched_with(|options| {
        options.watches_max = Some(3);
        options.poll_s = Some(1);
    })
    .await;
    for number in 0..4 {
        fs::create_dir(home.at(&format!("d{number}"))).expect("mkdir");
    }
    home.local.settle().await.expect("settles");
    let told = home.hints.take().await;
    let notice = told.notice.flatten().expect("a notice");
    assert!(notice.contains("3 directories are watched"), "{notice}");
    assert!(notice.contains("sysctl fs.inotify.max_user_watches"), "{notice}");
    assert!(home.hints.take().await.rescan.is_some(), "the rest is polled");
    fs::remove_dir(home.at("d0")).expect("rmdir");
    fs::remove_dir(home.at("d1")).expect("rmdir");
    let mut notice = Some(String::new());
    until("everything is watched again", async || {
        notice = home.hints.take().await.notice.unwrap_or(notice.take());
        notice.is_none()
    })
    .await;
    home.local.settle().await.expect("settles");
}

#[tokio::test]
async fn without_inotify_everything_is_polled() {
    let mut options = Options::new(TempDir::new().expect("a temporary folder").keep());
    let folder = options.root.clone();
    options.watches_max = Some(0);
    options.poll_s = Some(1);
    let local = Local::connect(options, setting(false)).await.expect("connects");
    let hints = Hints::default();
    let seen = async {
        let notice = hints.take().await.notice.flatten().expect("a notice");
        assert!(notice.contains("sysctl fs.inotify.max_user_instances"), "{notice}");
        local.settle().await.expect("there is nothing to wait for");
        assert!(hints.take().await.rescan.is_some());
    };
    tokio::select! {
        ended = local.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        () = seen => {}
    }
    fs::remove_dir_all(folder).expect("removed");
}

#[tokio::test]
async fn a_root_that_is_moved_away_ends_the_watch() {
    let home = watched().await;
    let away = home.folder.path().with_extension("away");
    fs::rename(home.folder.path(), &away).expect("moved away");
    let ended = home.watch.await.expect("ended");
    fs::rename(&away, home.home.folder.path()).expect("moved back");
    assert_eq!(kind_of(ended), FaultKind::Unavailable);
}

#[tokio::test]
async fn a_watch_that_is_dropped_ends_and_another_may_begin() {
    let home = watched().await;
    home.watch.abort();
    let hints = Hints::default();
    let local = Arc::clone(&home.local);
    let again = {
        let hints = hints.clone();
        tokio::spawn(async move { local.watch(hints).await })
    };
    home.local.settle().await.expect("settles");
    assert!(hints.take().await.rescan.is_some());
    home.write("file", b"x");
    home.local.settle().await.expect("settles");
    assert!(hints.take().await.paths.contains_key(&path("file")));
    again.abort();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_watched_does_not_settle() {
    let home = home().await;
    assert_eq!(kind_of(home.local.settle().await), FaultKind::Unavailable);
}
