use onitu_core::Kind;

use super::*;
use crate::tests::{House, ask, put, record};

async fn connected(house: &House) -> UnixStream {
    let socket = house.dir.path().join("core.sock");
    let listener = bind(&socket).unwrap();
    tokio::spawn(serve(house.core.clone(), listener));
    UnixStream::connect(socket).await.unwrap()
}

#[tokio::test]
async fn questions_are_answered_line_by_line_on_one_connection() {
    let house = House::new(&["nas"]).await;
    let mut stream = connected(&house).await;
    let answer: FromCore = serde_json::from_str(&ask(&mut stream, "\"status\"").await).unwrap();
    let FromCore::Status(status) = answer else { panic!("{answer:?}") };
    assert_eq!(status.services[0].name, "nas");
    let answer = ask(&mut stream, r#"{"pause":"nas"}"#).await;
    assert_eq!(answer, "{\"done\":\"paused `nas`\"}\n");
}

#[tokio::test]
async fn a_listing_has_pages_and_an_end() {
    let house = House::new(&["nas"]).await;
    put(&house.store, &[("a.txt", record(Kind::File, "hello", &[1]))]).await;
    let mut stream = connected(&house).await;
    stream.write_all(b"{\"ls\":\"\"}\n{\"ls\":\"nope\"}\n").await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut next = async || lines.next_line().await.unwrap().unwrap();
    assert_eq!(
        next().await,
        r#"{"entries":[{"path":"a.txt","kind":"file","size":5,"mtime_ns":7,"holders":["nas"]}]}"#
    );
    assert_eq!(next().await, r#"{"done":""}"#);
    assert_eq!(next().await, r#"{"error":{"message":"`nope` doesn't exist","code":1}}"#);
}

#[tokio::test]
async fn nonsense_is_refused_and_the_conversation_goes_on() {
    let house = House::new(&["nas"]).await;
    let mut stream = connected(&house).await;
    assert!(ask(&mut stream, "{\"dance\":1}").await.contains("can't be read"));
    assert!(ask(&mut stream, r#"{"ls":"../etc"}"#).await.contains("can't be read"));
    assert!(ask(&mut stream, "\"status\"").await.contains("services"));
}

#[tokio::test]
async fn an_endless_line_ends_the_conversation() {
    let house = House::new(&["nas"]).await;
    let stream = connected(&house).await;
    let (from, mut to) = stream.into_split();
    let endless = vec![b'x'; REQUEST_BYTES_MAX as usize + 1];
    // The other side may hang up before all of it is written.
    let _ = to.write_all(&endless).await;
    let mut lines = BufReader::new(from).lines();
    let answer = lines.next_line().await;
    if let Ok(Some(answer)) = answer {
        assert!(answer.contains("too long"), "{answer}");
    }
    assert!(!matches!(lines.next_line().await, Ok(Some(_))), "it went on");
}

#[tokio::test]
async fn the_socket_is_for_this_user_alone_and_a_stale_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("core.sock");
    drop(bind(&socket).unwrap());
    assert!(socket.exists(), "a closed listener leaves its file");
    let _listener = bind(&socket).unwrap();
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(UnixStream::connect(&socket).await.is_ok());
}
