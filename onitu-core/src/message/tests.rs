use super::*;
use crate::{Kind, Media};

mod examples;

fn state() -> State {
    State {
        content: Content {
            kind: Kind::File,
            size: 5,
            mtime_ns: 1_700_000_000_123_456_789,
            executable: true,
            checksum: Some(Checksum::of(b"hello")),
            media: None,
        },
        tag: Tag::of(b"x"),
    }
}

#[test]
fn what_is_written_is_read_again() {
    let batch = Batch {
        service: ServiceId(3),
        epoch: 7,
        shard: Shard::of_directory("d"),
        first: 9,
        events: vec![
            Event::Seen {
                path: Path::new("d/ü").unwrap(),
                state: state(),
                order: Some(4),
                placed: Some(2),
                moved_from: Some(Path::new("x").unwrap()),
                set_aside_from: None,
            },
            Event::Gone { path: Path::new("d/x").unwrap(), order: None, moved_to: None },
        ],
    };
    let bytes = encode(&batch);
    assert_eq!(decode::<Batch>(&bytes).unwrap(), batch);
}

#[test]
fn a_media_type_travels_by_name_and_who_does_not_know_it_has_none() {
    let with = |media| State { content: Content { media, ..state().content }, ..state() };
    for name in ["", "image/png"] {
        let told = with(Media::named(name));
        assert_eq!(decode::<State>(&encode(&told)).unwrap(), told);
        let text = serde_json::to_string(&told).unwrap();
        assert!(text.contains(&format!("\"media\":\"{name}\"")), "{text}");
        let newer = text.replace("\"image/png\"", "\"image/newer\"");
        let newer: State = serde_json::from_str(&newer).unwrap();
        assert_eq!(newer.content.media.is_none(), name == "image/png");
    }
    // A driver of an earlier version says nothing of it, and neither does who hasn't looked.
    let silent = serde_json::to_string(&state()).unwrap();
    assert!(!silent.contains("media"), "{silent}");
    assert_eq!(serde_json::from_str::<State>(&silent).unwrap(), state());
    // One that only a newer version can name is not told under another name.
    let numbered = with(Some(Media::of_number(60_000)));
    assert_eq!(decode::<State>(&encode(&numbered)).unwrap(), state());
}

#[test]
fn a_path_that_leaves_the_tree_is_refused_on_reading() {
    #[derive(Serialize)]
    struct Forged {
        id: u64,
        path: &'static str,
        action: Action,
    }
    let forged = Forged { id: 1, path: "../x", action: Action::Remove { expect: Tag::of(b"") } };
    assert!(matches!(decode::<Order>(&encode(&forged)), Err(MessageError::Damaged(_))));
}

#[test]
fn a_newer_version_is_refused_politely() {
    let error = decode::<Order>(&[VERSION + 1, 0]).unwrap_err();
    assert!(error.to_string().contains("update this side"), "{error}");
    assert!(matches!(decode::<Order>(&[]), Err(MessageError::Empty)));
}

#[test]
fn fields_of_a_newer_minor_version_are_ignored() {
    #[derive(Serialize)]
    struct Newer {
        service: u16,
        epoch: u64,
        last: Vec<u64>,
        mood: &'static str,
    }
    let bytes = encode(&Newer { service: 1, epoch: 2, last: vec![3], mood: "fine" });
    let read: Heartbeat = decode(&bytes).unwrap();
    assert_eq!(read, Heartbeat { service: ServiceId(1), epoch: 2, last: vec![3] });
}

/// The variant's name and its fields, as they are written.
fn written(message: &impl Serialize) -> (String, Vec<String>) {
    match serde_json::to_value(message).expect("it can be written") {
        serde_json::Value::String(name) => (name, Vec::new()),
        serde_json::Value::Object(variant) => {
            let (name, fields) = variant.into_iter().next().expect("a variant");
            let fields = fields.as_object().map(|fields| fields.keys().cloned().collect());
            (name, fields.unwrap_or_default())
        }
        other => panic!("no variant: {other}"),
    }
}

#[test]
fn the_protocol_tells_every_event_and_request_with_its_fields() {
    let path = || Path::new("a").expect("valid");
    let fault = Fault::new(crate::FaultKind::Full, "full");
    let (content, order) = (state().content, Some(1));
    let placed = Some(1);
    let (moved_from, set_aside_from) = (Some(path()), Some(path()));
    let events = [
        Event::Seen { path: path(), state: state(), order, placed, moved_from, set_aside_from },
        Event::Gone { path: path(), order, moved_to: None },
        Event::Failed { path: path(), order: 1, fault },
        Event::Lost { path: path() },
        Event::Rotten { path: path(), state: state() },
        Event::Fetched { path: path(), revision: 1, content },
        Event::Resolved { path: path() },
        Event::Restored { path: path(), state: state() },
    ];
    let (acknowledged, replay, orders) = (Vec::new(), Vec::new(), Vec::new());
    let query = TrashQuery { below: path(), after_ms: 0, cursor: None, limit: 1 };
    let resolve = ResolveRequest {
        path: path(),
        expect: None,
        kept: path(),
        expect_kept: state().tag,
        way: crate::resolve::Way::TakeCopy,
    };
    let requests = [
        Request::Orders { epoch: 1, acknowledged, replay, orders, cancel: Vec::new() },
        Request::Settle,
        Request::Rescan,
        Request::Brake(Approval::default()),
        Request::Trash(query),
        Request::Restore { id: 1, items: Vec::new() },
        Request::Verify(VerifyRequest::Progress { id: 1 }),
        Request::Resolve(Box::new(resolve)),
    ];
    let protocol = include_str!("../../../docs/protocol.md");
    let all = events.iter().map(written).chain(requests.iter().map(written));
    for (name, fields) in all {
        let mut lines = protocol.lines().filter(|line| line.starts_with(&format!("| `{name}` |")));
        assert!(
            lines.any(|line| fields.iter().all(|field| line.contains(field.as_str()))),
            "`{name}` with {fields:?} isn't in docs/protocol.md"
        );
    }
}
