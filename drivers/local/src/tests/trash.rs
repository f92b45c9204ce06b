//! What the trash tells, gives back and keeps.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use onitu_plug::{Hints, TrashQuery, Trashed, Why, clock};

use super::roots::{Unmount, mounted};
use super::*;
use onitu_plug::date::{DAY_MS, date};

impl Home {
    async fn told(&self, below: &str, limit: usize) -> Vec<Trashed> {
        let below = path(below);
        let mut query = TrashQuery { below, after_ms: 0, cursor: None, limit };
        let mut told = Vec::new();
        loop {
            let page = self.local.trash(&query).await.expect("a page");
            told.extend(page.items);
            let Some(next) = page.next else { return told };
            query.cursor = Some(next);
        }
    }

    async fn discard(&self, name: &str, bytes: &[u8]) {
        self.write(name, bytes);
        self.local.remove(&path(name), self.tag(name).await).await.expect("removed");
    }

    /// Watches until the condition holds: the trash is tended meanwhile.
    async fn tended(&self, hints: &Hints, what: &str, condition: impl AsyncFnMut() -> bool) {
        tokio::select! {
            end = self.local.watch(hints.clone()) => panic!("the watch ended: {end:?}"),
            () = until(what, condition) => {}
        }
    }
}

/// Puts a thing into the trash as an earlier version of this driver did.
fn put(home: &Home, day: &str, id: &str, name: &str, bytes: &[u8]) {
    let day = home.at(".onitu/trash").join(day);
    fs::create_dir_all(&day).expect("a day");
    fs::write(day.join(id), bytes).expect("a thing");
    let index = day.join("index");
    let mut lines = fs::read_to_string(&index).unwrap_or_default();
    let at_ms = u64::from_str_radix(id.split('-').next().expect("a time"), 16).expect("hex");
    writeln!(lines, r#"{{"id":"{id}","path":"{name}","at_ms":{at_ms}}}"#).expect("a line");
    fs::write(index, lines).expect("an index");
}

fn days_ago(days: u64) -> String {
    date(onitu_plug::clock::now_ms() / DAY_MS - days)
}

#[tokio::test]
async fn what_an_earlier_version_or_a_crash_wrote_is_read_as_far_as_it_can_be() {
    let home = home().await;
    put(&home, "2020-02-28", "00170000000-00000001", "old", b"from before");
    let index = home.at(".onitu/trash/2020-02-28/index");
    let whole = fs::read_to_string(&index).expect("an index");
    let strange = r#"{"id":"../../../file","path":"file","at_ms":1}"#;
    let gone = r#"{"id":"00170000000-00000002","path":"gone","at_ms":1}"#;
    let torn = r#"{"id":"0017"#;
    fs::write(&index, format!("\n{torn}\n{strange}\nno JSON\n{whole}{gone}\n{torn}")).expect("it");
    home.write("file", b"the user's");
    let told = home.told("", 10).await;
    let shown: Vec<_> = told.iter().map(|it| (it.path.as_str(), it.size, it.why)).collect();
    assert_eq!(shown, [("old", 11, Why::Unknown)]);
    home.local.restore(&told[0].id, &path("old"), None).await.expect("restored");
    assert_eq!(home.bytes("old"), b"from before");
}

#[tokio::test]
async fn a_line_after_a_torn_one_is_whole() {
    let home = home().await;
    home.discard("first", b"1").await;
    let index = home.at(format!(".onitu/trash/{}/index", days_ago(0)).as_str());
    let mut torn = fs::read(&index).expect("an index");
    torn.extend(b"{\"id\":\"00");
    fs::write(&index, torn).expect("torn");
    let local = connect(home.folder.path(), true).await.expect("connects again");
    let home = Home { local, folder: home.folder };
    home.discard("second", b"2").await;
    let told = home.told("", 10).await;
    let paths: Vec<_> = told.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["second", "first"]);
}

#[tokio::test]
async fn a_trash_that_was_emptied_by_hand_is_used_again() {
    let home = home().await;
    for (round, removed) in
        [".onitu/trash".to_owned(), format!(".onitu/trash/{}", days_ago(0))].into_iter().enumerate()
    {
        home.discard("before", b"1").await;
        fs::remove_dir_all(home.at(&removed)).expect("emptied");
        assert_eq!(home.told("", 10).await, []);
        home.discard("after", b"2").await;
        assert_eq!(home.told("after", 10).await.len(), 1, "round {round}");
        let item = &home.told("after", 10).await[0];
        home.local.restore(&item.id, &path("after"), None).await.expect("restored");
        assert_eq!(home.bytes("after"), b"2");
    }
}

#[tokio::test]
async fn a_large_trash_is_told_in_pages_across_days() {
    let home = home().await;
    for (day, first) in [("2020-02-27", 0), ("2020-02-28", 3_000), ("2020-02-29", 6_000)] {
        let at = home.at(".onitu/trash").join(day);
        fs::create_dir_all(&at).expect("a day");
        let mut lines = String::new();
        for number in first..first + 3_000 {
            let id = format!("{number:011x}-00000000");
            let name = format!("{}{}", "long/".repeat(10), number % 100);
            writeln!(lines, r#"{{"id":"{id}","path":"{name}","at_ms":{number}}}"#).expect("a line");
            // One in ten is still there.
            if number % 10 == 0 {
                fs::write(at.join(&id), number.to_string()).expect("a thing");
            }
        }
        fs::write(at.join("index"), lines).expect("an index");
    }
    for limit in [7, 500] {
        let times: Vec<u64> = home.told("", limit).await.iter().map(|it| it.at_ms).collect();
        let expected: Vec<u64> = (0..9_000).rev().filter(|it| it % 10 == 0 && *it > 0).collect();
        assert_eq!(times, expected);
        assert_eq!(home.told(&format!("{}30", "long/".repeat(10)), limit).await.len(), 90);
        assert_eq!(home.told("lon", limit).await, []);
    }
}

#[tokio::test]
async fn only_what_is_older_than_its_days_is_purged_and_nothing_else() {
    let home = home().await;
    home.discard("file", b"today's").await;
    for days in [29, 30, 31, 400] {
        put(&home, &days_ago(days), "0000000abcd-00000001", &format!("{days}"), b"x");
    }
    let trash = home.at(".onitu/trash");
    fs::create_dir_all(trash.join(days_ago(50)).join("a/b")).expect("mkdir");
    let odd = std::ffi::OsStr::from_bytes(b"not \xFF text");
    fs::write(trash.join(days_ago(50)).join("a/b").join(odd), b"x").expect("written");
    fs::create_dir_all(trash.join("not a day")).expect("mkdir");
    fs::create_dir_all(trash.join("2020-13-01")).expect("mkdir");
    fs::write(trash.join("2020-01-01"), b"a file").expect("written");
    home.write("precious/file", b"x");
    symlink(home.at("precious"), trash.join("2020-01-02")).expect("a link");
    let hints = Hints::default();
    home.tended(&hints, "the purge", async || {
        [31, 50, 400].iter().all(|days| !trash.join(days_ago(*days)).exists())
    })
    .await;
    let told = home.told("", 10).await;
    let mut paths: Vec<_> = told.iter().map(|it| it.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["29", "30", "file"]);
    for left in ["not a day", "2020-13-01", "2020-01-01", "2020-01-02/file"] {
        assert!(trash.join(left).exists(), "{left}");
    }
}

#[tokio::test]
async fn the_oldest_is_purged_first_until_the_rest_fits() {
    let home = home().await;
    put(&home, &days_ago(2), "00000000001-00000001", "a", &noise(1_000));
    put(&home, &days_ago(2), "00000000002-00000001", "b", &noise(1_000));
    put(&home, &days_ago(1), "00000000003-00000001", "c", &noise(1_000));
    put(&home, &days_ago(1), "00000000004-00000001", "d", &noise(1_000));
    home.discard("e", &noise(1_000)).await;
    home.discard("f", &noise(1_000)).await;
    for (most, expected) in [
        (6_000, &["f", "e", "d", "c", "b", "a"][..]),
        (2_999, &["f", "e"][..]),
        (1_500, &["f"][..]),
        (999, &[][..]),
    ] {
        let setting = Setting { trash_size_bytes: Some(most), ..setting(true) };
        let options = Options::new(home.folder.path());
        let local = Local::connect(options, setting).await.expect("connects");
        let limited = Home { local, folder: TempDir::new().expect("unused") };
        let paths = async || {
            let told = limited.told("", 10).await;
            told.iter().map(|it| it.path.as_str().to_owned()).collect::<Vec<_>>()
        };
        let hints = Hints::default();
        limited.tended(&hints, "the purge", async || paths().await == expected).await;
    }
}

#[tokio::test]
async fn what_cant_be_purged_is_a_notice_and_no_failure() {
    let home = home().await;
    put(&home, "2020-01-01", "00000000001-00000001", "old", b"x");
    let stuck = home.at(".onitu/trash/2020-01-02");
    fs::create_dir_all(&stuck).expect("a day");
    if !mounted(&stuck, "size=1m") {
        return;
    }
    let _unmount = Unmount(stuck);
    let hints = Hints::default();
    let mut shown = Vec::new();
    home.tended(&hints, "the notice", async || {
        shown.extend(hints.take().await.problems);
        !shown.is_empty()
    })
    .await;
    let (name, fault) = &shown[0];
    let message = &fault.as_ref().expect("a fault").message;
    assert!(name == ".onitu/trash" && message.starts_with("can't clear the trash"), "{shown:?}");
    assert!(!home.at(".onitu/trash/2020-01-01").exists(), "the rest goes all the same");
    home.local.check().await.expect("all is well");
    home.discard("file", b"x").await;
}

#[tokio::test]
async fn what_was_removed_on_another_file_system_is_restored_there() {
    let home = home().await;
    let disk = home.at("deep/disk");
    if !mounted(&disk, "size=8m") {
        return;
    }
    let _unmount = Unmount(disk.clone());
    home.discard("first", b"1").await;
    home.discard("deep/disk/d/second", b"2").await;
    // Of two trashes it is the time that tells which thing came first.
    let second_at_ms = clock::now_ms();
    while clock::now_ms() == second_at_ms {
        tokio::task::yield_now().await;
    }
    home.discard("third", b"3").await;
    // The other file system is found again by an incarnation that has written nothing there.
    let local = connect(home.folder.path(), true).await.expect("connects again");
    let home = Home { local, folder: home.folder };
    for limit in [1, 10] {
        let told = home.told("", limit).await;
        let paths: Vec<_> = told.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(paths, ["third", "deep/disk/d/second", "first"]);
    }
    let second = home.told("deep", 10).await.remove(0);
    let across = home.local.restore(&second.id, &path("second"), None).await;
    assert_eq!(kind_of(across), FaultKind::Unsupported);
    let now = home.put("deep/disk/d/second", b"new", None).await.expect("placed");
    let at = path("deep/disk/d/second");
    home.local.restore(&second.id, &at, Some(now.tag)).await.expect("restored");
    assert_eq!(home.bytes("deep/disk/d/second"), b"2");
    let out = home.told("deep", 10).await.remove(0);
    assert_eq!((out.size, out.why), (3, Why::Restored));
}
