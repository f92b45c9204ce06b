use super::*;

#[tokio::test(start_paused = true)]
async fn a_listener_is_found_within_a_quarter_second_however_long_there_was_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let address = Address::new(dir.path(), &Endpoint("s1.pub".to_owned()));
    let waiting = tokio::spawn({
        let address = address.clone();
        async move { address.listened(&mut 0).await }
    });
    // The clock is paused: this hour takes no time.
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(!waiting.is_finished());
    let _listener = UnixListener::bind(&address.path).expect("bound");
    let started = tokio::time::Instant::now();
    waiting.await.expect("found");
    assert!(started.elapsed() <= RETRY_LONGEST, "it took {:?}", started.elapsed());
}
