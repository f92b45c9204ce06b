//! The suite from another process: a careless driver's program is caught as it is in this one, and
//! for the same mistake alone.

use std::path::PathBuf;
use std::sync::Once;

use onitu_conformance::{
    FRESH, Installed, Promise, Scene, Subject, Template, Verdict, cases, verdict,
};
use onitu_plug::exercise::{Ask, Call, to_frame};
use onitu_plug::{FaultKind, Manifest, Plug};
use serde_json::json;

/// The example `careless`, built with the tests.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("the test's own program");
    let target = own.parent().and_then(|deps| deps.parent()).expect("the target directory");
    target.join("examples/careless")
}

/// Says once in this process whom it is about.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let output = std::process::Command::new(program()).arg("manifest").output();
        let output = output.expect("the example `careless` is built with the tests");
        let manifest: Manifest = serde_json::from_slice(&output.stdout).expect("a manifest");
        onitu_conformance::exercise(program(), manifest).expect("nobody else said so");
        let options = json!({ "storage": FRESH }).as_object().cloned().unwrap_or_default();
        let template = Template { options, prepare: None, edits_folder: false };
        onitu_conformance::install(template).expect("nobody else said so");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_careless_driver_does_right_is_kept() {
    install();
    let kept: [Promise; 5] = [
        verdict::<Installed, _>(cases::reading::a_file_replaced_while_read_is_changed).await,
        verdict::<Installed, _>(cases::writing::an_interrupted_write_is_resumed_with_its_key).await,
        verdict::<Installed, _>(cases::listing::a_listing_waits_for_its_reader).await,
        verdict::<Installed, _>(cases::watching::settling_waits_for_the_hints).await,
        verdict::<Installed, _>(cases::crowds::a_call_that_is_dropped_leaves_a_whole_state).await,
    ];
    for promise in kept {
        assert_eq!(promise, Ok(Verdict::Kept));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_careless_driver_does_wrong_is_caught() {
    install();
    let broken: [Promise; 3] = [
        verdict::<Installed, _>(cases::placing::another_state_than_expected_is_left_alone).await,
        verdict::<Installed, _>(cases::placing::an_unexpected_file_is_left_alone).await,
        verdict::<Installed, _>(cases::placing::a_deleted_file_is_not_brought_back).await,
    ];
    for promise in broken {
        let broken = promise.expect_err("nobody noticed the mistake");
        assert!(broken.message.contains("Changed"), "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_the_driver_wouldnt_take_are_told_without_a_storage() {
    install();
    let subject = Installed::fresh().await;
    assert!(subject.takes(json!({ "storage": "x" })).await);
    assert!(!subject.takes(json!({ "stroage": "x" })).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_dropped_answers_nothing_any_more() {
    install();
    let scene = Scene::<Installed>::set().await.expect("a storage");
    let source = scene.place("file", b"bytes").await.expect("a file");
    let source = scene.plug.read(&onitu_conformance::at("file"), source.tag, 0).await;
    drop(scene.plug);
    let next = onitu_plug::Source::next(&mut source.expect("a source"), 10).await;
    assert_eq!(next.expect_err("it is closed").kind, FaultKind::Bug);
}

#[test]
fn the_program_ends_with_its_stdin_and_says_what_it_cant_read() {
    let run = |bytes: &[u8]| {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let mut child = Command::new(program())
            .arg("exercise")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example `careless` is built with the tests");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(bytes).expect("it listens");
        drop(stdin);
        child.wait_with_output().expect("its end")
    };
    let call = Call::ReadOptions { options: json!({}) };
    let frame = to_frame(&Ask { id: 1, on: 0, call }).expect("a short frame");
    let fine = run(&frame);
    assert!(fine.status.success(), "{fine:?}");
    for (wrong, words) in [
        (&b"\xff\xff\xff\xffrubbish"[..], "too long"),
        (b"\x02\0\0\0\x02\x80", "version 2"),
        (b"\x09\0\0\0\x01\x80", "pipe"),
    ] {
        let ended = run(wrong);
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{told}");
        assert!(told.contains(words), "{told}");
    }
}
