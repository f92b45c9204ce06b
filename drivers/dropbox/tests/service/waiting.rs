//! Requests for patience, lost answers, and how long Dropbox says to wait.

use super::*;

#[tokio::test]
async fn patience_is_had_as_long_as_dropbox_asks_for_and_no_longer_than_a_call_may_take() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    trouble(&fixture, "files/upload", 2, Trouble::TooManyWrites(0));
    trouble(&fixture, "files/get_metadata", 1, Trouble::TooManyRequests(1));
    let began = tokio::time::Instant::now();
    place(&plug, "a", b"bytes").await.expect("it waited");
    assert!(began.elapsed() >= Duration::from_secs(1), "Dropbox asked for a second");
    assert_eq!(count(&fixture, "files/upload"), 4, "the marker, two refused and one accepted");
    trouble(&fixture, "files/get_metadata", 1, Trouble::TooManyRequests(600));
    let fault = plug.look(&at("a")).await.expect_err("ten minutes are too long");
    assert_eq!(fault.kind, FaultKind::RateLimited);
    assert!(fault.retry_after_ms.is_some_and(|ms| ms > 500_000), "{fault:?}");
    // And all others wait, too.
    let calls = fixture.server.account().faults.calls.len();
    let fault = plug.look(&at("b")).await.expect_err("it is still too early");
    assert_eq!(fault.kind, FaultKind::RateLimited);
    assert_eq!(fixture.server.account().faults.calls.len(), calls, "nobody called");
}

#[tokio::test]
async fn calls_that_only_ask_are_repeated_when_their_answer_is_lost() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    place(&plug, "a", b"bytes").await.expect("it is placed");
    trouble(&fixture, "files/get_metadata", 1, Trouble::Reset);
    trouble(&fixture, "files/get_metadata", 1, Trouble::Status(503));
    assert!(plug.look(&at("a")).await.expect("the third one is answered").is_some());
    trouble(&fixture, "files/get_metadata", 9, Trouble::Status(500));
    let fault = plug.look(&at("nothing")).await.expect_err("unknown is not absent");
    assert_eq!(fault.kind, FaultKind::Unavailable);
}

#[tokio::test]
async fn dropbox_says_how_long_to_wait_before_it_is_asked_for_changes_again() {
    let fixture = Fixture::new();
    let plug = connected(&fixture).await;
    fixture.server.account().backoff_s = Some(3_600);
    let hints = Hints::default();
    let watched = async {
        write_as_user(&mut fixture.server.account(), "/Onitu/a", b"bytes").expect("it is written");
        while count(&fixture, "files/list_folder/longpoll") == 0 {
            tokio::task::yield_now().await;
        }
        // Whoever needs to know doesn't wait for that.
        plug.settle().await.expect("it is told");
        assert!(hints.take().await.paths.contains_key(&at("a")));
        assert_eq!(count(&fixture, "files/list_folder/longpoll"), 1);
    };
    tokio::select! {
        // The watch is set before anything is done.
        biased;
        ended = plug.watch(hints.clone()) => panic!("the watch ended: {ended:?}"),
        done = timeout(LIMIT, watched) => done.expect("in time"),
    }
}
