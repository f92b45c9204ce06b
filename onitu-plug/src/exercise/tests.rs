use onitu_core::{Content, Fault, FaultKind, Kind, Path, State, Tag};

use super::*;
use crate::hints::{Hint, Hints};

fn through_a_frame(ask: &Ask) -> Ask {
    let frame = to_frame(ask).unwrap();
    let read = read_frame(&mut &frame[..]).unwrap().unwrap();
    from_frame(&read).unwrap()
}

#[test]
fn what_is_asked_is_read_again() {
    let path = Path::new("d/\u{fc}").unwrap();
    let calls = [
        Call::Check,
        Call::Look { path: path.clone() },
        Call::Push { bytes: Bulk(vec![0, 255].into()) },
        Call::ReadOptions { options: serde_json::json!({ "root": "/x", "port": 22, "x": null }) },
        Call::Rename { from: path.clone(), expect_from: Tag::of(b"x"), to: path, expect_to: None },
    ];
    for call in calls {
        let ask = Ask { id: 7, on: 1, call };
        assert_eq!(through_a_frame(&ask), ask);
    }
}

#[test]
fn a_request_looks_as_the_document_says() {
    // {"id": 7, "on": 1, "call": {"look": {"path": "a/b"}}}
    let mut frame = vec![1, 0x83, 0xa2];
    frame.extend(b"id\x07\xa2on\x01\xa4call\x81\xa4look\x81\xa4path\xa3a/b");
    let ask: Ask = from_frame(&frame).unwrap();
    let path = Path::new("a/b").unwrap();
    assert_eq!(ask, Ask { id: 7, on: 1, call: Call::Look { path } });
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    assert_eq!(to_frame(&ask).unwrap(), [&length[..], &frame].concat());
}

#[test]
fn an_answer_from_another_language_may_leave_out_what_is_nil() {
    // {"id": 9, "answer": {"looked": nil}}, and bytes are bytes
    let frame = b"\x01\x82\xa2id\x09\xa6answer\x81\xa6looked\xc0";
    let told: Told = from_frame(frame).unwrap();
    assert_eq!(told, Told { id: 9, answer: Some(Answer::Looked(None)), ..Told::default() });
    let content = Content { kind: Kind::File, size: 3, ..Content::DIRECTORY };
    let state = State { content, tag: Tag([1, 2, 3, 4, 5, 6]) };
    let told = Told { id: 1, answer: Some(Answer::State(state)), ..Told::default() };
    let frame = to_frame(&told).unwrap();
    let tag = b"\xa3tag\xc4\x06\x01\x02\x03\x04\x05\x06";
    assert!(frame.windows(tag.len()).any(|part| part == tag), "{frame:?}");
}

#[test]
fn a_frame_that_is_too_long_cut_off_or_of_another_version_is_told() {
    let frame = to_frame(&Ask { id: 1, on: 0, call: Call::Check }).unwrap();
    assert!(read_frame(&mut &[][..]).unwrap().is_none());
    for cut in 1..frame.len() {
        assert!(matches!(read_frame(&mut &frame[..cut]), Err(FrameError::Pipe(_))), "{cut}");
    }
    let long = u32::try_from(FRAME_BYTES_MAX).unwrap() + 1;
    assert!(matches!(read_frame(&mut &long.to_le_bytes()[..]), Err(FrameError::TooLong(_))));
    assert!(matches!(from_frame::<Ask>(&[2, 0x80]), Err(FrameError::Message(_))));
    assert!(matches!(from_frame::<Ask>(b"\x01rubbish"), Err(FrameError::Message(_))));
    let bytes = Bulk(vec![0; FRAME_BYTES_MAX].into());
    let told = Told { id: 1, answer: Some(Answer::Chunk(bytes)), ..Told::default() };
    assert!(matches!(to_frame(&told), Err(FrameError::TooLong(_))));
}

#[tokio::test]
async fn hints_are_told_on_as_they_were_given() {
    let (given, got) = (Hints::default(), Hints::default());
    given.tell(Path::new("a").unwrap(), Hint::Tree);
    given.tell(Path::new("b").unwrap(), Hint::Written);
    given.notice(None);
    given.problem("c", Some(Fault::new(FaultKind::InvalidName, "why")));
    let told = Told { id: 1, hints: Some(given.take().await.into()), ..Told::default() };
    let frame = to_frame(&told).unwrap();
    let read: Told = from_frame(&frame[4..]).unwrap();
    assert_eq!(read, told);
    read.hints.unwrap().tell(&got);
    given.tell(Path::new("a").unwrap(), Hint::Tree);
    given.tell(Path::new("b").unwrap(), Hint::Written);
    let (got, given) = (got.take().await, given.take().await);
    assert_eq!((got.paths, got.notice), (given.paths, Some(None)));
    assert_eq!(got.problems.len(), 1);
}
