use super::*;
use crate::process::{Log, Screen, Surroundings};

/// Serves an empty house, and says these lines in one conversation.
async fn answers(lines: &[&[u8]]) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    let log = Log::open(place.path(), Screen::default()).unwrap();
    let tie = "/nonexistent".into();
    let house = Arc::new(House::new(Arc::new(Surroundings { log, tie, environment: Vec::new() })));
    let server = tokio::spawn(serve(listen(place.path()).unwrap(), house));
    let (read, mut write) =
        UnixStream::connect(place.path().join(SOCKET)).await.unwrap().into_split();
    let mut read = BufReader::new(read).lines();
    let mut answers = Vec::new();
    for line in lines {
        write.write_all(line).await.unwrap();
        answers.push(read.next_line().await.unwrap().unwrap_or_default());
    }
    server.abort();
    answers
}

#[tokio::test]
async fn one_conversation_has_many_questions_and_survives_a_wrong_one() {
    let said = answers(&[b"\"list\"\n", b"hello\n", b"{\"restart\":\"x\"}\n", b"\"list\"\n"]).await;
    assert_eq!(said[0], r#"{"processes":[]}"#);
    assert!(said[1].starts_with(r#"{"error":"this is no question: "#), "{}", said[1]);
    assert_eq!(said[2], r#"{"error":"there is no process `x`"}"#);
    assert_eq!(said[3], said[0]);
}

#[tokio::test]
async fn a_question_without_an_end_is_not_gathered() {
    let endless = vec![b' '; usize::try_from(LINE_BYTES_MAX).unwrap()];
    let said = answers(&[&endless]).await;
    assert_eq!(said[0], r#"{"error":"a question ends within 1048576 bytes"}"#);
}
