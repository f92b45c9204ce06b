use std::cell::Cell;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

use super::*;

/// A pretended Core that gives these answers one after the other, the last for ever.
fn core(answers: Vec<FromCore>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(CORE_SOCKET)).unwrap();
    tokio::spawn(async move {
        let mut answers = answers.into_iter().peekable();
        let mut answer = answers.next().unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let (from, mut to) = stream.into_split();
            let mut line = String::new();
            BufReader::new(from).read_line(&mut line).await.unwrap();
            assert_eq!(line, "\"settled\"\n");
            let text = serde_json::to_string(&answer).unwrap() + "\n";
            let _ = to.write_all(text.as_bytes()).await;
            answer = answers.next().unwrap_or(answer);
        }
    });
    dir
}

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(120);

fn busy(text: &str) -> FromCore {
    FromCore::Settled(Some(text.to_owned()))
}

#[test]
fn times_are_read_in_every_form() {
    let ms = |text| duration(text).map(|limit| limit.as_millis());
    assert_eq!(ms("500ms"), Ok(500));
    assert_eq!(ms("60s"), Ok(60_000));
    assert_eq!(ms("60"), Ok(60_000));
    assert_eq!(ms("5m"), Ok(300_000));
    assert_eq!(ms("1h"), Ok(3_600_000));
    for wrong in ["", "s", "-1s", "1.5s", "1 day", "99999999999999999999h", "200h"] {
        assert!(duration(wrong).is_err(), "{wrong:?} was taken");
    }
}

#[tokio::test]
async fn it_asks_until_everything_is_in_step() {
    let dir = core(vec![busy("`nas` is scanning"), busy("`nas` is busy"), FromCore::Settled(None)]);
    assert_eq!(wait(LONG, || Ok(dir.path().to_owned())).await, Ok(()));
}

#[tokio::test]
async fn at_the_timeout_it_tells_what_was_going_on() {
    let dir = core(vec![busy("3 changes pending on `nas`")]);
    let told = wait(SHORT, || Ok(dir.path().to_owned())).await;
    assert_eq!(told.unwrap_err(), "3 changes pending on `nas`");
}

#[tokio::test]
async fn an_onitu_that_is_not_there_yet_may_come() {
    let dir = core(vec![FromCore::Settled(None)]);
    let looks = Cell::new(0);
    let find = || {
        looks.set(looks.get() + 1);
        if looks.get() < 3 {
            Err(Failure::failed("it isn't running"))
        } else {
            Ok(dir.path().into())
        }
    };
    assert_eq!(wait(LONG, find).await, Ok(()));
    assert_eq!(looks.get(), 3);
}

#[tokio::test]
async fn an_onitu_that_never_comes_is_told_at_the_timeout() {
    let told = wait(SHORT, || Err(Failure::failed("it isn't running\nhint: start it"))).await;
    assert_eq!(told.unwrap_err(), "it isn't running; hint: start it");
    let empty = tempfile::tempdir().unwrap();
    let told = wait(SHORT, || Ok(empty.path().to_owned())).await;
    assert!(told.unwrap_err().starts_with("the Core can't be asked: "));
}

#[tokio::test]
async fn no_time_at_all_is_one_question() {
    let dir = core(vec![busy("`nas` is busy")]);
    assert!(wait(Duration::ZERO, || Ok(dir.path().to_owned())).await.is_err());
}
