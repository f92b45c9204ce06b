use proptest::prelude::*;

use super::*;

fn service() -> impl Strategy<Value = ServiceId> {
    prop_oneof![(0..20u16).prop_map(ServiceId), any::<u16>().prop_map(ServiceId)]
}

fn content() -> impl Strategy<Value = Content> {
    let rest = (any::<u64>(), any::<i64>(), any::<bool>(), any::<Option<[u8; 20]>>());
    (0..3, rest, any::<Option<u16>>()).prop_map(|(kind, rest, media)| {
        let (size, mtime_ns, executable, checksum) = rest;
        let (checksum, media) = (checksum.map(Checksum), media.map(Media::of_number));
        match kind {
            0 => Content { kind: Kind::File, size, mtime_ns, executable, checksum, media },
            1 => Content::DIRECTORY,
            _ => Content {
                kind: Kind::Symlink,
                size,
                mtime_ns,
                executable: false,
                checksum,
                media: None,
            },
        }
    })
}

fn path() -> impl Strategy<Value = Path> {
    "[^/.\0]{1,40}(/[^/.\0]{1,40}){0,4}".prop_filter_map("too long", |text| Path::new(&text).ok())
}

prop_compose! {
    fn record()(
        revision in prop_oneof![1..200u64, any::<u64>()],
        gone in any::<bool>(),
        content in content(),
        holders in prop::collection::btree_map(service(), (any::<u64>(), any::<[u8; 6]>()), 0..6),
        moved in prop::option::of(path()),
        ancestors in prop::collection::vec((any::<u64>(), any::<[u8; 20]>()), 0..=Record::ANCESTORS_MAX),
        origin in prop::option::of(service()),
        leaves in prop::collection::vec(prop::option::of(any::<u64>()), 6),
    ) -> Record {
        let holders = holders.into_iter().map(|(service, (revision, tag))| {
            Holder { service, revision, tag: Tag(tag) }
        });
        let ancestors = ancestors.into_iter().map(|(at, sum)| (at, Checksum(sum))).collect();
        let holders: Vec<Holder> = holders.collect();
        let leaving = holders.iter().zip(leaves);
        let leaving = leaving.filter_map(|(held, epoch)| Some((held.service, epoch?))).collect();
        Record { revision, gone, content, holders, moved, ancestors, origin, leaving }
    }
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked_again(record in record()) {
        prop_assert_eq!(Record::unpack(&record.pack()), Ok(record));
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(record) = Record::unpack(&bytes) {
            prop_assert_eq!(Record::unpack(&record.pack()), Ok(record));
        }
    }

    #[test]
    fn a_packed_record_cut_short_never_grows_a_holder(record in record(), cut in any::<prop::sample::Index>()) {
        let bytes = record.pack();
        if let Ok(short) = Record::unpack(&bytes[..cut.index(bytes.len())]) {
            prop_assert!(record.holders.starts_with(&short.holders));
        }
    }
}

fn file(holders: u16) -> Record {
    let mut record = Record {
        revision: 3,
        gone: false,
        content: Content {
            kind: Kind::File,
            size: 1_234_567,
            mtime_ns: 1_700_000_000_123_456_789,
            executable: true,
            checksum: Some(Checksum::of(b"abc")),
            media: None,
        },
        holders: Vec::new(),
        moved: None,
        ancestors: Vec::new(),
        origin: Some(ServiceId(1)),
        leaving: Vec::new(),
    };
    for service in 1..=holders {
        record.set_holder(ServiceId(service), 3, Tag::of(b"x"));
    }
    record
}

#[test]
fn a_file_with_two_holders_takes_at_most_fifty_bytes() {
    assert_eq!(file(2).pack().len(), 50);
    assert_eq!(file(5).pack().len(), 50 + 3 * 8);
    let mut directory = file(2);
    directory.content = Content::DIRECTORY;
    assert_eq!(directory.pack().len(), 19);
}

#[test]
fn only_a_file_whose_name_tells_no_type_pays_for_it_one_byte() {
    let mut record = file(2);
    for name in ["", "image/png", "application/font-sfnt"] {
        record.content.media = Media::named(name);
        assert_eq!(record.pack().len(), 51, "{name}");
        assert_eq!(Record::unpack(&record.pack()).as_ref(), Ok(&record));
    }
    // What only a newer version can name is kept as it is.
    record.content.media = Some(Media::of_number(60_000));
    assert_eq!(Record::unpack(&record.pack()), Ok(record));
}

#[test]
fn a_record_of_an_earlier_layout_has_no_media_type() {
    let earlier = [&[0x10, 3, 5][..], &[1, 0, 0, 0, 0, 0, 0, 0], &[7; 20]].concat();
    let record = Record::unpack(&earlier).unwrap();
    assert_eq!((record.content.media, record.pack()), (None, earlier));
}

#[test]
fn the_media_type_stands_behind_the_checksum() {
    let mut record = file(0);
    record.content = Content { size: 300, mtime_ns: 1, executable: false, ..record.content };
    record.content.checksum = Some(Checksum([7; 20]));
    record.content.media = Media::named("image/png");
    record.origin = Some(ServiceId(9));
    let expected =
        [&[0x33, 3, 0xac, 0x02][..], &[1, 0, 0, 0, 0, 0, 0, 0], &[7; 20], &[6], &[9]].concat();
    assert_eq!(record.pack(), expected);
}

#[test]
fn a_foreign_holder_and_one_far_behind_are_told_apart() {
    let mut record = file(2);
    record.revision = 300;
    record.set_holder(ServiceId(1), Holder::FOREIGN, Tag::of(b"y"));
    record.set_holder(ServiceId(2), 1, Tag::of(b"z"));
    record.set_holder(ServiceId(3), 301, Tag::of(b"z"));
    assert_eq!(Record::unpack(&record.pack()), Ok(record));
}

#[test]
fn what_means_nothing_for_a_directory_is_not_kept() {
    let mut record = file(1);
    record.content.kind = Kind::Directory;
    assert_eq!(Record::unpack(&record.pack()).unwrap().content, Content::DIRECTORY);
}

#[test]
fn the_bytes_are_as_documented() {
    let mut record = file(0);
    record.content = Content { size: 300, mtime_ns: 1, executable: false, ..record.content };
    record.content.checksum = None;
    record.origin = None;
    record.moved = Some(Path::new("a/b").unwrap());
    record.set_holder(ServiceId(7), 2, Tag([1, 2, 3, 4, 5, 6]));
    let expected = [
        &[0x40, 3, 0xac, 0x02][..],
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[3, b'a', b'/', b'b'],
        &[7, 1, 1, 2, 3, 4, 5, 6],
    ];
    assert_eq!(record.pack(), expected.concat());
}

#[test]
fn ancestors_stand_behind_the_content() {
    let mut record = file(0);
    record.content = Content { size: 300, mtime_ns: 1, executable: false, ..record.content };
    record.content.checksum = None;
    record.origin = Some(ServiceId(9));
    record.ancestors = vec![(1, Checksum([7; 20])), (2, Checksum([8; 20]))];
    let expected = [
        &[0xa0, 3, 0xac, 0x02][..],
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[9],
        &[2, 2],
        &[7; 20],
        &[1],
        &[8; 20],
    ];
    assert_eq!(record.pack(), expected.concat());
}

#[test]
fn a_leaving_holder_has_a_number_beyond_all_others_and_the_incarnation_behind_its_tag() {
    let mut record = file(0);
    record.content = Content::DIRECTORY;
    record.origin = None;
    record.set_holder(ServiceId(7), 3, Tag([1, 2, 3, 4, 5, 6]));
    record.set_leaving(ServiceId(7), 300);
    let expected = [&[1, 3][..], &[0x87, 0x80, 0x04, 0], &[1, 2, 3, 4, 5, 6], &[0xac, 0x02]];
    assert_eq!(record.pack(), expected.concat());
    record.set_holder(ServiceId(7), 3, Tag([1, 2, 3, 4, 5, 6]));
    assert_eq!(record.leaving(ServiceId(7)), None, "who was found to be there isn't leaving");
}

#[test]
fn what_a_later_format_may_hold_is_refused() {
    let huge = [&[flag::FILE_WITH_MEDIA, 1, 0][..], &[0; 8], &[0x80, 0x80, 4]].concat();
    assert_eq!(Record::unpack(&huge), Err(UnpackError::TooLarge("media type")));
    assert_eq!(Record::unpack(&[]), Err(UnpackError::Truncated("flags")));
    let long = [&[0][..], &[0xff; 9], &[2]].concat();
    assert_eq!(Record::unpack(&long), Err(UnpackError::TooLarge("revision")));
    let climbing = [&[0x41, 1, 4][..], b"../x"].concat();
    assert!(matches!(Record::unpack(&climbing), Err(UnpackError::Moved(_))));
    let disordered = [&[1, 1][..], &[2, 0, 0, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(Record::unpack(&disordered), Err(UnpackError::Disorder));
}
