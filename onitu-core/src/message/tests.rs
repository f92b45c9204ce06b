use super::*;
use crate::Kind;

fn state() -> State {
    State {
        content: Content {
            kind: Kind::File,
            size: 5,
            mtime_ns: 1_700_000_000_123_456_789,
            executable: true,
            checksum: Some(Checksum::of(b"hello")),
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
