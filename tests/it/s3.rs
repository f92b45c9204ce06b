//! A folder and a bucket in step: real processes, and an S3 server that the test starts.

use std::path::PathBuf;

use onitu_test_s3::{Bucket, Fresh};
use onitu_tests::{House, runs, soon};
use serde_json::{Value, json};

const PREFIX: &str = "in a/bucket";

/// A folder `a` and a bucket `s3`, in step.
fn house(further: &[&str]) -> (Fresh, House) {
    let bucket = Bucket::fresh(&json!({}));
    let mut house = House::prepared(&["a"]);
    house.add_service_at("s3", PathBuf::new());
    house.set_driver("s3", "s3");
    let Value::Object(options) = bucket.options(PREFIX) else { unreachable!("a table of options") };
    let options: Vec<String> = options.iter().map(|(name, it)| format!("{name} = {it}")).collect();
    let options: Vec<&str> =
        options.iter().map(String::as_str).chain(further.iter().copied()).collect();
    house.set_options("s3", &options);
    house.up();
    house.wait();
    (bucket, house)
}

fn key(name: &str) -> String {
    format!("{PREFIX}/{name}")
}

fn held(bucket: &Bucket, name: &str) -> Option<String> {
    bucket.read(&key(name)).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// How many requests of a kind were made that send or fetch contents.
fn sent(bucket: &Bucket) -> u64 {
    let counts = bucket.counts();
    counts.get("PART").copied().unwrap_or(0) + counts.get("GET").copied().unwrap_or(0)
}

#[test]
fn a_folder_and_a_bucket_are_kept_in_step_both_ways() {
    let (bucket, house) = house(&["poll = \"1s\""]);
    let files = house.files("a");
    files.write("docs/new.txt", "from the folder");
    files.write("empty.txt", "");
    files.make_dir("empty directory");
    house.wait();
    assert_eq!(held(&bucket, "docs/new.txt").unwrap(), "from the folder");
    assert_eq!(held(&bucket, "empty.txt").unwrap(), "");
    assert_eq!(held(&bucket, "empty directory/").unwrap(), "", "its marker");

    bucket.write(&key("docs/new.txt"), b"edited in the bucket");
    bucket.write(&key("from/far/away.txt"), b"made in the bucket");
    bucket.remove(&key("empty.txt"));
    soon("what was made in the bucket arrives", || {
        files.has("from/far/away.txt") && !files.has("empty.txt")
    });
    house.wait();
    assert_eq!(files.read("docs/new.txt").unwrap(), b"edited in the bucket");
    assert_eq!(files.read("from/far/away.txt").unwrap(), b"made in the bucket");

    files.remove("docs/new.txt");
    house.wait();
    assert_eq!(held(&bucket, "docs/new.txt"), None);
    let trash = bucket.below(&key(".onitu/trash/"));
    assert!(trash.values().any(|bytes| bytes == b"edited in the bucket"), "it is in the trash");
    assert!(files.has("docs"), "the directory went with its last file");
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn a_rename_in_the_folder_is_a_copy_on_the_server() {
    let (bucket, house) = house(&[]);
    let files = house.files("a");
    files.write("one.bin", vec![7; 3_000_000]);
    house.wait();
    let before = sent(&bucket);
    let puts = bucket.counts()["PUT"];
    files.rename("one.bin", "two.bin");
    house.wait();
    assert_eq!(held(&bucket, "one.bin"), None);
    assert_eq!(bucket.read(&key("two.bin")).unwrap(), vec![7; 3_000_000]);
    assert_eq!(bucket.counts()["PUT"], puts, "it was sent again");
    // Only the marker is read, by the checks.
    assert!(sent(&bucket) - before < 30);
}

#[test]
fn edits_on_both_sides_at_once_are_both_kept() {
    let (bucket, mut house) = house(&[]);
    let files = house.files("a");
    files.write("both.txt", "first");
    house.wait();
    house.stop();
    files.write("both.txt", "of the folder");
    bucket.write(&key("both.txt"), b"of the bucket");
    house.up();
    house.wait();
    assert_eq!(house.status()["conflicts"], 1);
    let below = bucket.below(&key("both"));
    assert_eq!(below.len(), 2, "{:?}", below.keys());
    for (name, bytes) in &below {
        let name = name.strip_prefix(&key("")).unwrap();
        assert_eq!(&files.read(name).unwrap(), bytes, "{name}");
    }
    let mut texts: Vec<_> = below.into_values().collect();
    texts.sort();
    assert_eq!(texts, [b"of the bucket".to_vec(), b"of the folder".to_vec()]);
}

#[test]
fn an_upload_whose_driver_was_killed_goes_on_and_leaves_nothing() {
    let (bucket, house) = house(&[]);
    let film: Vec<u8> = (0..12_u8).flat_map(|block| vec![block; 8 << 20]).collect();
    // Held up for long enough to be met in the middle.
    bucket.set(&json!({ "slow_s": 0.3 }));
    house.files("a").write("film", &film);
    let parts = || bucket.counts().get("PART").copied().unwrap_or(0);
    soon("some parts are there", || parts() >= 6);
    let killed = house.strike("driver-s3");
    soon("it is dead", || !runs(killed));
    bucket.set(&json!({ "slow_s": 0, "counts": {} }));
    house.wait();
    assert_eq!(bucket.read(&key("film")).unwrap(), film);
    assert!(parts() < 12, "all of it was sent again");
    assert!(bucket.uploads().is_empty() && bucket.below(&key(".onitu/uploads/")).is_empty());
}
