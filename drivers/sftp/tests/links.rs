//! Links that are long, break or fall silent; and what is spared on narrow ones.

mod fixture;

use std::fs;
use std::path::Path as File;
use std::time::Duration;

use fixture::link::Link;
use fixture::{connect, connect_known};
use onitu_driver_sftp::Sftp;
use onitu_plug::{
    Bytes, Checksum, Content, Fault, FaultKind, Kind, Path, Plug, Sink, Source, State, Tag,
};
use onitu_test_sshd::Sshd;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

const MB: usize = 1024 * 1024;

fn at(text: &str) -> Path {
    Path::new(text).expect("a path")
}

fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let word = |at: u64| (at ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    (0..=length as u64 / 8).flat_map(word).take(length).collect()
}

fn content(bytes: &[u8]) -> Content {
    Content {
        kind: Kind::File,
        size: bytes.len() as u64,
        mtime_ns: 1_600_000_000_000_000_000,
        checksum: Some(Checksum::of(bytes)),
        ..Content::DIRECTORY
    }
}

async fn place(plug: &Sftp, path: &str, bytes: &[u8], expect: Option<Tag>) -> Result<State, Fault> {
    let content = content(bytes);
    let mut sink = plug.write(&at(path), &content, 1).await?;
    let (resumed, _) = sink.resumed().await?;
    for chunk in bytes[resumed as usize..].chunks(MB) {
        sink.write(Bytes::copy_from_slice(chunk)).await?;
    }
    sink.place(content, expect).await
}

async fn read(plug: &Sftp, path: &str) -> Result<Vec<u8>, Fault> {
    let state = plug.look(&at(path)).await?.expect("a file");
    let mut source = plug.read(&at(path), state.tag, 0).await?;
    let mut read = Vec::new();
    loop {
        let bytes = source.next(MB as u32).await?;
        if bytes.is_empty() {
            return Ok(read);
        }
        read.extend_from_slice(&bytes);
    }
}

/// The options of a service that is reached by the link.
fn through(link: &Link, server: &Sshd, root: &File) -> Value {
    let known = fs::read_to_string(server.known_hosts()).expect("the host key");
    let known = known.replace(&format!(":{} ", server.port()), &format!(":{} ", link.port()));
    let file = server.known_hosts().with_file_name("known_by_link");
    fs::write(&file, known).expect("written");
    let mut options = server.options(root);
    options["port"] = json!(link.port());
    options["known_hosts"] = json!(file);
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_link_is_filled_in_both_directions() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let link = Link::to(server.port()).await;
    let plug = connect(through(&link, &server, root.path())).await.expect("connected");
    let bytes = pattern(24 * MB, 1);
    let mut took = Vec::new();
    for (name, delay_ms) in [("near", 0), ("far", 50)] {
        link.delay(Duration::from_millis(delay_ms));
        let began = Instant::now();
        place(&plug, name, &bytes, None).await.expect("placed");
        let up = began.elapsed();
        let began = Instant::now();
        assert!(read(&plug, name).await.expect("read") == bytes);
        took.push((up, began.elapsed()));
    }
    // One request after the other, it would be ten seconds more each way.
    let most = Duration::from_secs(5);
    assert!(took[1].0 < took[0].0 + most && took[1].1 < took[0].1 + most, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_and_lossy_link_brings_the_same_bytes_at_about_its_rate() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let link = Link::to(server.port()).await;
    let plug = connect(through(&link, &server, root.path())).await.expect("connected");
    link.delay(Duration::from_millis(50));
    link.throttle(4 * MB as u64);
    link.lose_one_of(50);
    let bytes = pattern(12 * MB, 6);
    let began = Instant::now();
    place(&plug, "film", &bytes, None).await.expect("placed");
    assert!(read(&plug, "film").await.expect("read") == bytes);
    // Six seconds at its rate, two or three for what was lost.
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_share_the_round_trips_of_a_long_link() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let link = Link::to(server.port()).await;
    let plug = connect(through(&link, &server, root.path())).await.expect("connected");
    link.delay(Duration::from_millis(50));
    let began = Instant::now();
    let names: Vec<String> = (0..100).map(|number| format!("file {number}")).collect();
    let placed = names.iter().map(|name| place(&plug, name, b"bytes", None));
    for placed in futures_util::future::join_all(placed).await {
        placed.expect("placed");
    }
    // One after the other, with five round trips each, it would be fifty seconds.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_again_and_again_ends_with_the_whole_file_sent_about_once() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let link = Link::to(server.port()).await;
    link.throttle(24 * MB as u64);
    let options = through(&link, &server, root.path());
    let bytes = pattern(24 * MB, 2);
    let mut attempts = 0;
    let placed = loop {
        attempts += 1;
        assert!(attempts < 20, "it goes on");
        link.break_after(5 * MB as u64);
        let Ok(plug) = connect_known(options.clone(), attempts > 1).await else { continue };
        match place(&plug, "film", &bytes, None).await {
            Ok(state) => break state,
            Err(fault) => assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}"),
        }
        assert!(!root.path().join("film").exists(), "nothing incomplete is seen");
    };
    assert_eq!(placed.content.size, bytes.len() as u64);
    assert!(fs::read(root.path().join("film")).expect("a file") == bytes);
    assert!(attempts > 2, "{attempts} attempts: the link did break");
    let sent = link.up();
    assert!(sent < 40 * MB as u64, "{sent} bytes were sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_falls_silent_is_told_within_a_minute_and_mended_by_itself() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let link = Link::to(server.port()).await;
    let options = through(&link, &server, root.path());
    let plug = connect(options.clone()).await.expect("connected");
    plug.check().await.expect("there");
    link.fall_silent();
    let told = timeout(Duration::from_mins(2), plug.watch(onitu_plug::Hints::default())).await;
    let fault = told.expect("to be told in time").expect_err("lost");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    let fault = plug.look(&at("file")).await.expect_err("nothing is known");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    link.mend();
    connect_known(options, true).await.expect("connected again");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_large_file_with_one_changed_block_about_that_is_sent() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let link = Link::to(server.port()).await;
    let mut options = through(&link, &server, root.path());
    options["hash_command"] = json!("sha1sum");
    let plug = connect(options).await.expect("connected");
    let mut bytes = pattern(64 * MB, 3);
    let old = place(&plug, "disk image", &bytes, None).await.expect("placed");
    bytes[20 * MB + 17] ^= 1;
    bytes.extend_from_slice(b"and a little more");
    let (up, down) = (link.up(), link.down());
    place(&plug, "disk image", &bytes, Some(old.tag)).await.expect("replaced");
    let (up, down) = (link.up() - up, link.down() - down);
    assert!(fs::read(root.path().join("disk image")).expect("a file") == bytes);
    assert!(up < 3 * MB as u64 && down < MB as u64, "{up} bytes went up, {down} came down");
}

/// The old file is edited while its blocks are copied, and its time set back: a copy of it would be
/// neither the old content nor the new one.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_copied_from_a_file_that_changed_meanwhile_is_not_placed() {
    let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
    let tools = tempfile::tempdir().expect("a folder");
    // Tells the hash of each block, and damages the file after the third.
    let script = tools.path().join("sum");
    let file = root.path().join("image");
    let text = format!(
        "#!/bin/sh\nsha1sum\necho >> '{count}'\n\
         if [ \"$(wc -l < '{count}')\" = 3 ]; then touch -r '{file}' '{count}.time'\n\
         printf x | dd of='{file}' bs=1 seek=9 conv=notrunc 2>/dev/null\n\
         touch -r '{count}.time' '{file}'; fi\n",
        count = tools.path().join("count").display(),
        file = file.display(),
    );
    fs::write(&script, text).expect("written");
    let mut options = server.options(root.path());
    options["hash_command"] = json!(format!("sh '{}'", script.display()));
    let plug = connect(options).await.expect("connected");
    let mut bytes = pattern(8 * MB, 4);
    let old = place(&plug, "image", &bytes, None).await.expect("placed");
    bytes[7 * MB] ^= 1;
    let content = content(&bytes);
    let mut sink = plug.write(&at("image"), &content, 2).await.expect("begun");
    sink.resumed().await.expect("nothing");
    // All hashes are told before the first block is copied.
    let counted = async {
        while fs::read(tools.path().join("count")).map_or(0, |it| it.len()) < 8 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_mins(1), counted).await.expect("the blocks to be hashed");
    for chunk in bytes.chunks(MB) {
        sink.write(Bytes::copy_from_slice(chunk)).await.expect("written");
    }
    let fault = sink.place(content, Some(old.tag)).await.expect_err("it isn't the content");
    assert_eq!(fault.kind, FaultKind::Changed, "{fault}");
    // The next attempt sends all of it.
    let state = plug.look(&at("image")).await.expect("a look").expect("a file");
    place(&plug, "image", &bytes, Some(state.tag)).await.expect("replaced");
    assert!(fs::read(&file).expect("a file") == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_program_that_tells_hashes_all_is_sent_and_nothing_is_lost() {
    for command in ["no-such-program", "echo nonsense", "exit 1"] {
        let (server, root) = (Sshd::start(), tempfile::tempdir().expect("a folder"));
        let mut options = server.options(root.path());
        options["hash_command"] = json!(command);
        let plug = connect(options).await.expect("connected");
        let mut bytes = pattern(5 * MB, 5);
        let old = place(&plug, "image", &bytes, None).await.expect("placed");
        bytes[3 * MB] ^= 1;
        place(&plug, "image", &bytes, Some(old.tag)).await.expect("replaced");
        assert!(fs::read(root.path().join("image")).expect("a file") == bytes, "{command}");
    }
}
