//! A folder and a bucket in step: real processes, and an S3 server that the test starts.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use onitu_test_s3::{Bucket, Fresh};
use onitu_test_sshd::Sshd;
use onitu_tests::{Files, House, eventually, found, runs, soon};
use serde_json::{Value, json};

const PREFIX: &str = "in a/bucket";

/// A folder `a` and a bucket `s3`, in step.
fn house(further: &[&str]) -> (Fresh, House) {
    let bucket = Bucket::fresh(&json!({}));
    let mut house = House::prepared(&["a"]);
    add_bucket(&mut house, &bucket, further);
    house.up();
    house.wait();
    (bucket, house)
}

/// The bucket becomes the service `s3`.
fn add_bucket(house: &mut House, bucket: &Bucket, further: &[&str]) {
    house.add_service_at("s3", PathBuf::new());
    house.set_driver("s3", "s3");
    let Value::Object(options) = bucket.options(PREFIX) else { unreachable!("a table of options") };
    let options: Vec<String> = options.iter().map(|(name, it)| format!("{name} = {it}")).collect();
    let options: Vec<&str> =
        options.iter().map(String::as_str).chain(further.iter().copied()).collect();
    house.set_options("s3", &options);
}

/// The folder `ssh`, reached through an SSH server.
fn add_ssh(house: &mut House, server: &Sshd) {
    house.set_driver("ssh", "sftp");
    let (key, known) = (server.private_key(), server.known_hosts());
    for line in [
        "host = \"127.0.0.1\"".to_owned(),
        format!("port = {}", server.port()),
        format!("user = \"{}\"", server.user()),
        format!("private_key = \"{}\"", key.display()),
        format!("known_hosts = \"{}\"", known.display()),
        "poll = \"1s\"".to_owned(),
    ] {
        house.add_option("ssh", &line);
    }
}

/// The folders hold what the bucket holds.
fn assert_same(bucket: &Bucket, folders: &[&Files]) {
    let below = bucket.below(&key(""));
    let names =
        below.iter().filter_map(|(name, bytes)| Some((name.strip_prefix(&key(""))?, bytes)));
    for (name, bytes) in names.filter(|(name, _)| !name.starts_with(".onitu/")) {
        for folder in folders {
            match name.strip_suffix('/') {
                Some(directory) => assert!(folder.at(directory).is_dir(), "{name}"),
                None => assert_eq!(folder.read(name).as_ref(), Some(bytes), "{name}"),
            }
        }
    }
}

/// What the status says of the bucket once it is in `state`.
fn reason(house: &House, state: &str) -> String {
    found(&format!("the bucket is {state}"), || {
        let status = house.service("s3")?;
        let reason = status["reason"].as_str().unwrap_or_default().to_owned();
        (status["state"] == state).then_some(reason)
    })
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
    let dated_s = std::fs::metadata(files.at("from/far/away.txt")).unwrap().mtime();
    assert!(dated_s > 1_600_000_000, "nobody knows when it was made, but not in 1970");

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
    bucket.set(&json!({ "slow_s": 0.7 }));
    house.files("a").write("film", &film);
    let parts = || bucket.counts().get("PART").copied().unwrap_or(0);
    let kept = || -> Option<u64> {
        let (_, record) = bucket.below(&key(".onitu/uploads/")).pop_first()?;
        serde_json::from_slice::<Value>(&record).ok()?["parts"].as_u64()
    };
    soon("some parts are on record", || kept() >= Some(6));
    let killed = house.strike("driver-s3");
    soon("it is dead", || !runs(killed));
    bucket.set(&json!({ "slow_s": 0, "counts": {} }));
    house.wait();
    assert_eq!(bucket.read(&key("film")).unwrap(), film);
    assert!(parts() < 12, "all of it was sent again");
    assert!(bucket.uploads().is_empty() && bucket.below(&key(".onitu/uploads/")).is_empty());
}

#[test]
fn a_folder_a_bucket_and_a_server_are_one() {
    let (bucket, server) = (Bucket::fresh(&json!({})), Sshd::start());
    let mut house = House::prepared(&["a", "ssh"]);
    add_bucket(&mut house, &bucket, &["poll = \"1s\""]);
    add_ssh(&mut house, &server);
    let (files, ssh) = (house.files("a"), house.files("ssh"));
    files.write("of/the folder", "folder");
    ssh.write("of/the server", "server");
    bucket.write(&key("of/the bucket"), b"bucket");
    house.up();
    house.wait();
    assert_same(&bucket, &[&files, &ssh]);
    for (name, text) in [("folder", "folder"), ("server", "server"), ("bucket", "bucket")] {
        assert_eq!(held(&bucket, &format!("of/the {name}")).unwrap(), text);
        assert_eq!(files.read(format!("of/the {name}")).unwrap(), text.as_bytes());
    }

    files.rename("of", "from");
    soon("a renamed directory is so everywhere", || {
        ssh.has("from/the bucket") && !ssh.has("of") && held(&bucket, "from/the server").is_some()
    });
    house.wait();
    ssh.rename("from/the server", "from/afar");
    // A rename in a bucket is a copy and a removal.
    bucket.write(&key("from/a bucket"), b"bucket");
    bucket.remove(&key("from/the bucket"));
    soon("both renames are everywhere", || {
        files.has("from/afar")
            && files.has("from/a bucket")
            && ssh.has("from/a bucket")
            && !files.has("from/the bucket")
            && held(&bucket, "from/afar").is_some()
    });
    house.wait();
    assert_same(&bucket, &[&files, &ssh]);
    assert_eq!(held(&bucket, "from/the server"), None);

    house.stop();
    ssh.write("from/afar", "of the server");
    bucket.write(&key("from/afar"), b"of the bucket");
    house.up();
    house.wait();
    assert_same(&bucket, &[&files, &ssh]);
    let mut texts: Vec<_> = bucket.below(&key("from/afar")).into_values().collect();
    texts.sort();
    assert_eq!(texts, [b"of the bucket".to_vec(), b"of the server".to_vec()]);
}

#[test]
fn a_bucket_that_goes_away_is_unavailable_and_catches_up_alone() {
    let (bucket, house) = house(&["poll = \"1s\""]);
    let files = house.files("a");
    files.write("kept", "stays");
    house.wait();
    bucket.set(&json!({ "away": true }));
    let reason = reason(&house, "unavailable");
    assert!(reason.contains("create the bucket"), "{reason}");
    files.write("meanwhile", "from the folder");
    bucket.set(&json!({ "away": false }));
    bucket.write(&key("too"), b"from the bucket");
    soon("both have caught up", || files.has("too") && held(&bucket, "meanwhile").is_some());
    house.wait();
    assert_eq!(held(&bucket, "kept").unwrap(), "stays");
    assert_eq!(files.read("kept").unwrap(), b"stays");
}

/// Far sooner than the next listing.
#[test]
fn what_changes_in_a_bucket_with_a_queue_is_in_the_folder_at_once() {
    const AT_ONCE: Duration = Duration::from_secs(20);
    let bucket = Bucket::fresh(&json!({ "queue": true }));
    let mut house = House::prepared(&["a"]);
    let queue = format!("queue = \"{}\"", bucket.queue());
    add_bucket(&mut house, &bucket, &[&queue, "poll = \"1h\""]);
    house.up();
    house.wait();
    soon("the driver's own news was heard", || bucket.queued() == 0);
    let files = house.files("a");
    let is_there = |name: &str, bytes: &[u8]| {
        eventually(&format!("`{name}` arrives"), AT_ONCE, || {
            files.read(name).filter(|read| read == bytes)
        })
    };
    bucket.write(&key("new/in a directory"), b"made");
    is_there("new/in a directory", b"made");
    bucket.write(&key("new/in a directory"), b"edited");
    is_there("new/in a directory", b"edited");
    bucket.remove(&key("new/in a directory"));
    eventually("it goes", AT_ONCE, || (!files.has("new/in a directory")).then_some(()));
}

#[test]
fn an_archived_file_arrives_when_it_is_restored_and_nothing_waits_for_it() {
    let bucket = Bucket::fresh(&json!({ "frozen": true }));
    bucket.set(&json!({ "frozen": true }));
    bucket.write_class(&key("cold"), b"from the archive", "DEEP_ARCHIVE");
    bucket.write(&key("warm"), b"at hand");
    let mut house = House::prepared(&["a"]);
    add_bucket(&mut house, &bucket, &["poll = \"1s\""]);
    house.up();
    let files = house.files("a");
    soon("what is at hand arrives", || files.has("warm"));
    found("the status says what it waits for", || {
        let status = house.status().to_string();
        (status.contains("is in an archive") && status.contains("asked to restore")).then_some(())
    });
    assert!(!files.has("cold"));
    bucket.set(&json!({ "frozen": false }));
    eventually("it arrives", Duration::from_mins(3), || files.read("cold"));
    house.wait();
    assert_eq!(files.read("cold").unwrap(), b"from the archive");
}

#[test]
fn a_second_onitu_waits_for_the_bucket_and_says_so() {
    let (bucket, first) = house(&[]);
    first.files("a").write("of the first", "first");
    first.wait();
    let mut second = House::prepared(&["a"]);
    add_bucket(&mut second, &bucket, &[]);
    second.files("a").write("of the second", "second");
    second.up();
    let reason = reason(&second, "unavailable");
    assert!(reason.contains("another Onitu") && reason.contains("`prefix`"), "{reason}");
    assert_eq!(held(&bucket, "of the second"), None);
    first.files("a").write("later", "goes on");
    first.wait();
    assert_eq!(held(&bucket, "later").unwrap(), "goes on");
}
