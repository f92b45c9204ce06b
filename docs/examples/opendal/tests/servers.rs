//! Servers that don't keep their word are refused, and large files need no memory.

use std::fs;
use std::path::PathBuf;

use onitu_driver_opendal::{Opendal, Options};
use onitu_plug::{
    Bytes, Checksum, Content, Fault, FaultKind, Kind, Path, Plug, Setting, Sink, Source,
};
use onitu_test_webdav::{Dav, PASSWORD, USER};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server of its own, with a flaw or none.
struct House {
    home: TempDir,
    dav: Dav,
}

impl House {
    fn new(flaw: Option<&'static str>) -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let top = home.path().join("top");
        fs::create_dir(&top).expect("a folder");
        let dav = Dav::with_flaw(&top, home.path(), flaw);
        Self { home, dav }
    }

    fn top(&self) -> PathBuf {
        self.home.path().join("top")
    }

    async fn connect(&self, change: Value) -> Result<Opendal, Fault> {
        let mut options = json!({
            "scheme": "webdav", "endpoint": self.dav.endpoint(),
            "username": USER, "password": PASSWORD,
        });
        for (name, value) in change.as_object().expect("options") {
            options[name] = value.clone();
        }
        let options: Options = serde_json::from_value(options).expect("options");
        let setting = Setting {
            service: "nas".to_owned(),
            known: false,
            trash_days: 30,
            trash_size_bytes: None,
            state_dir: None,
        };
        Opendal::connect(options, setting).await
    }

    async fn refusal(&self, change: Value) -> String {
        let fault = self.connect(change).await.map(drop).expect_err("it should be refused");
        assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
        fault.message
    }
}

fn path(text: &str) -> Path {
    Path::new(text).expect("a path")
}

fn content(size: u64, checksum: Checksum) -> Content {
    Content { kind: Kind::File, size, checksum: Some(checksum), ..Content::DIRECTORY }
}

#[tokio::test]
async fn a_server_that_doesnt_tell_two_writes_of_one_second_apart_is_refused() {
    let told = House::new(Some("coarse")).refusal(json!({})).await;
    assert!(told.contains("two writes within one second"), "{told}");
}

#[tokio::test]
async fn a_server_that_overwrites_although_told_not_to_is_refused() {
    let told = House::new(Some("overwriting")).refusal(json!({})).await;
    assert!(told.contains("Overwrite: F"), "{told}");
}

#[tokio::test]
async fn a_server_whose_moved_files_cant_be_known_again_is_refused() {
    let told = House::new(Some("restamping")).refusal(json!({})).await;
    assert!(told.contains("can't be known again"), "{told}");
}

#[tokio::test]
async fn a_server_that_folds_names_is_refused() {
    let told = House::new(Some("folding")).refusal(json!({})).await;
    assert!(told.contains("`a` from `A`"), "{told}");
}

#[tokio::test]
async fn services_without_what_it_needs_and_wrong_logins_are_refused_with_the_remedy() {
    let house = House::new(None);
    for (change, remedy) in [
        (json!({ "scheme": "memory" }), "without replacing what is there"),
        (json!({ "scheme": "ftp" }), "can't be used"),
        (json!({ "password": "rosebud" }), "correct `username` and `password`"),
        (json!({ "root": "nowhere" }), "there is no folder"),
        (json!({ "endpoint": "http://127.0.0.1:1" }), "no answer"),
    ] {
        let told = house.refusal(change.clone()).await;
        assert!(told.contains(remedy), "{change}: {told}");
        assert!(!told.contains("rosebud"), "{told}");
    }
    let here: Vec<_> = fs::read_dir(house.top()).expect("the folder").collect();
    assert!(here.is_empty(), "something was made: {here:?}");
}

#[tokio::test]
async fn nothing_of_a_users_is_replaced_by_what_comes_in_its_place() {
    let house = House::new(None);
    let plug = house.connect(json!({})).await.expect("it connects");
    fs::write(house.top().join("file"), "old").expect("written");
    let old = plug.look(&path("file")).await.expect("a look").expect("a file");
    let sum = Checksum::of(b"new");
    let mut sink = plug.write(&path("file"), &content(3, sum), 1).await.expect("a sink");
    sink.write(Bytes::from_static(b"new")).await.expect("sent");
    fs::write(house.top().join("file"), "a user's").expect("written");
    let placed = sink.place(content(3, sum), Some(old.tag)).await;
    assert_eq!(placed.expect_err("another state").kind, FaultKind::Changed);
    assert_eq!(fs::read(house.top().join("file")).expect("a file"), b"a user's");
    let waiting: Vec<_> = fs::read_dir(house.top().join(".onitu/tmp")).expect("it").collect();
    assert!(waiting.is_empty(), "left behind: {waiting:?}");
}

#[tokio::test]
async fn a_server_that_dies_amid_an_upload_leaves_nothing_under_the_files_name() {
    let house = House::new(None);
    let plug = house.connect(json!({})).await.expect("it connects");
    let size = 64 * 1024 * 1024;
    let promised = content(size, Checksum::of(b"never"));
    let mut sink = plug.write(&path("large"), &promised, 1).await.expect("a sink");
    let piece = Bytes::from(vec![7; 1024 * 1024]);
    let mut ended = None;
    for number in 0..64 {
        if number == 20 {
            house.dav.close();
        }
        if let Err(fault) = sink.write(piece.clone()).await {
            ended = Some(fault.kind);
            break;
        }
    }
    let ended = match ended {
        Some(kind) => kind,
        None => sink.place(promised, None).await.expect_err("nobody has it").kind,
    };
    assert_eq!(ended, FaultKind::Unavailable);
    assert!(!house.top().join("large").exists());
    assert_eq!(plug.check().await.expect_err("it is away").kind, FaultKind::Unavailable);
    let looked = plug.look(&path("large")).await;
    assert_eq!(looked.expect_err("nothing is known").kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn a_part_of_a_file_is_read_from_its_middle() {
    let house = House::new(None);
    let plug = house.connect(json!({})).await.expect("it connects");
    fs::write(house.top().join("file"), "0123456789").expect("written");
    let state = plug.look(&path("file")).await.expect("a look").expect("a file");
    let mut source = plug.read(&path("file"), state.tag, 7).await.expect("a source");
    assert_eq!(source.next(100).await.expect("bytes"), "789");
    assert!(source.next(100).await.expect("the end").is_empty());
}

#[tokio::test]
async fn of_the_trash_goes_only_what_is_older_than_it_is_kept() {
    let house = House::new(None);
    let trash = house.top().join(".onitu/trash");
    for kept in ["2020-01-01/0-0-old", "2999-01-01/0-0-new", "by hand/letter"] {
        let file = trash.join(kept);
        fs::create_dir_all(file.parent().expect("a day")).expect("made");
        fs::write(file, "bytes").expect("written");
    }
    house.connect(json!({})).await.expect("it connects");
    let mut left: Vec<_> = fs::read_dir(trash)
        .expect("the trash")
        .map(|day| day.expect("a day").file_name().into_string().expect("a name"))
        .collect();
    left.sort();
    assert_eq!(left, ["2999-01-01", "by hand"]);
}

/// The most memory that this process has had, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    line.split_whitespace().nth(1).and_then(|it| it.parse().ok()).expect("a number")
}

#[tokio::test]
async fn a_large_file_goes_through_a_little_memory_both_ways() {
    let house = House::new(None);
    let plug = house.connect(json!({})).await.expect("it connects");
    let piece = Bytes::from(vec![7; 1024 * 1024]);
    let pieces = 256;
    let sum = Checksum::of(b"not asked for");
    let promised = content(pieces * piece.len() as u64, sum);
    let before = peak_kib();
    let mut sink = plug.write(&path("large"), &promised, 1).await.expect("a sink");
    for _ in 0..pieces {
        sink.write(piece.clone()).await.expect("sent");
    }
    let placed = sink.place(promised, None).await.expect("placed");
    let mut source = plug.read(&path("large"), placed.tag, 0).await.expect("a source");
    let mut count = 0;
    loop {
        let bytes = source.next(1024 * 1024).await.expect("bytes");
        if bytes.is_empty() {
            break;
        }
        count += bytes.len() as u64;
    }
    assert_eq!(count, promised.size);
    // Other tests of this process need some, too.
    let grown = peak_kib().saturating_sub(before);
    assert!(grown < 100 * 1024, "{grown} KiB for a file of 256 MiB");
}
