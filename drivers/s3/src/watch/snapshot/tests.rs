use super::*;

fn listing(before: Option<Snapshot>, names: &[(&str, u8)]) -> (Snapshot, Vec<String>) {
    let mut comparison = Comparison::new(before, &std::env::temp_dir()).unwrap();
    let mut changes = Vec::new();
    for (name, sign) in names {
        comparison.take(name, (Tag([*sign; 6]), 1), &mut changes).unwrap();
    }
    comparison.finish(&mut changes).unwrap();
    let snapshot = comparison.into_snapshot().unwrap();
    let told = changes.into_iter().map(|Change { name, now }| match now {
        Some(_) => name,
        None => format!("-{name}"),
    });
    (snapshot, told.collect())
}

#[test]
fn the_first_listing_tells_of_nothing() {
    let (snapshot, told) = listing(None, &[("a", 1), ("d/b", 1)]);
    assert!(told.is_empty() && !snapshot.is_unsorted());
}

#[test]
fn what_is_new_gone_or_other_is_told_with_its_directories() {
    let (first, _) =
        listing(None, &[("a", 1), ("b", 1), ("d/e/x", 1), ("f/", 1), ("g-", 1), ("g/x", 1)]);
    let (second, told) =
        listing(Some(first), &[("a", 2), ("c", 1), ("f/y", 1), ("g-", 1), ("g/x", 1)]);
    assert_eq!(told, ["a", "-b", "c", "-d/", "-d/e/", "-d/e/x", "f/y"]);
    let (_, told) = listing(Some(second), &[]);
    assert_eq!(told, ["-a", "-c", "-f/", "-f/y", "-g-", "-g/", "-g/x"]);
}

#[test]
fn the_same_listing_again_tells_of_nothing_even_if_it_went_to_a_file() {
    let names: Vec<String> = (0..90_000).map(|it| format!("{:0>60}/{it:06}", it / 7)).collect();
    let names: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let mut snapshot = None;
    for _ in 0..2 {
        let (next, told) = listing(snapshot, &names);
        assert!(told.is_empty());
        snapshot = Some(next);
    }
    let (_, told) = listing(snapshot, &names[1..]);
    assert_eq!(told.len(), 1);
}

/// Keys as long as they are in real life, page by page. Ten times as many take as much memory, and
/// far too long for a test.
#[test]
fn very_many_objects_are_compared_in_bounded_memory() {
    const OBJECTS: u32 = 250_000;
    let round = |before, count: u32| {
        let mut comparison = Comparison::new(before, &std::env::temp_dir()).unwrap();
        let (mut changes, mut told) = (Vec::new(), 0);
        for at in 0..count {
            let name = format!(
                "projects/{:04}/photographs/{:03}/image {at:08}.jpeg",
                at / 5_000,
                at / 100 % 50
            );
            comparison.take(&name, (Tag([1; 6]), 5_000_000), &mut changes).unwrap();
            if at % 1_000 == 999 {
                told += std::mem::take(&mut changes).len();
            }
        }
        comparison.finish(&mut changes).unwrap();
        let is_too_much = comparison.is_too_much();
        (comparison.into_snapshot().unwrap(), told + changes.len(), is_too_much)
    };
    let mut kept = None;
    let memory = allocation_counter::measure(|| {
        let (first, _, _) = round(None, OBJECTS);
        let (second, told, _) = round(Some(first), OBJECTS);
        assert_eq!(told, 0);
        let Data::File(file) = &*second.data else { panic!("it fits into memory") };
        let bytes = file.metadata().unwrap().len();
        assert!(bytes / u64::from(OBJECTS) < 24, "{} bytes an object", bytes / u64::from(OBJECTS));
        // All of them go at once.
        let (_, told, is_too_much) = round(Some(second), 0);
        kept = Some((told, is_too_much));
    });
    assert_eq!(kept, Some((CHANGES_MAX, true)));
    assert!(memory.bytes_max < 24 << 20, "{} bytes at once", memory.bytes_max);
}

#[test]
fn an_unsorted_listing_is_compared_with_nothing() {
    let (first, _) = listing(None, &[("a", 1)]);
    let (second, _) = listing(Some(first), &[("b", 1), ("a", 1)]);
    assert!(second.is_unsorted());
    let (third, told) = listing(Some(second), &[("a", 1)]);
    assert!(told.is_empty() && !third.is_unsorted());
}

fn within(snapshot: &Snapshot, directory: &str) -> Vec<String> {
    let mut within = snapshot.within(directory).unwrap();
    let mut told = Vec::new();
    while let Some(found) = within.next().unwrap() {
        told.extend(found.into_iter().map(|entry| match entry {
            Entry::Object { name, tag, size } => format!("{name} {} {size}", tag.0[0]),
            Entry::Directory(name) => name,
        }));
    }
    told
}

#[test]
fn a_directory_is_told_from_a_listing_without_what_is_below() {
    let (snapshot, _) = listing(
        None,
        &[("a", 1), ("d-", 2), ("d/", 0), ("d/e/x/y", 3), ("d/e0", 4), ("d/f", 5), ("d0", 6)],
    );
    assert_eq!(within(&snapshot, ""), ["a 1 1", "d- 2 1", "d/", "d0 6 1"]);
    assert_eq!(within(&snapshot, "d/"), ["e/", "e0 4 1", "f 5 1"]);
    assert_eq!(within(&snapshot, "d/e/"), ["x/"]);
    assert_eq!(within(&snapshot, "d/e/x/"), ["y 3 1"]);
    assert!(within(&snapshot, "e/").is_empty() && within(&snapshot, "d/e/y/").is_empty());
    assert!(within(&listing(None, &[]).0, "").is_empty());
}

#[test]
fn every_directory_of_a_large_listing_is_told_as_a_walk_finds_it() {
    let mut names = std::collections::BTreeSet::new();
    for at in 0..60_000_u32 {
        let (one, two) = (at % 7, at % 131 / 2);
        names.insert(match at % 3 {
            0 => format!("deep {one}/of {two}/x{at}"),
            1 => format!("deep {one}/x{at}"),
            _ => format!("wide {}/x{at}", at / 40),
        });
    }
    let mut directories = std::collections::BTreeMap::<String, Vec<String>>::new();
    for name in &names {
        let mut below = "";
        for (at, _) in name.match_indices('/') {
            let entry = name[below.len()..=at].to_owned();
            let told = directories.entry(below.to_owned()).or_default();
            if told.last() != Some(&entry) {
                told.push(entry);
            }
            below = &name[..=at];
        }
        directories
            .entry(below.to_owned())
            .or_default()
            .push(format!("{} 1 1", &name[below.len()..]));
    }
    let signed: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let (snapshot, _) = listing(None, &signed);
    assert!(snapshot.index.len() > 50);
    for (directory, expected) in &directories {
        assert_eq!(&within(&snapshot, directory), expected, "{directory}");
    }
}

#[test]
fn sizes_come_back_as_they_were() {
    let mut comparison = Comparison::new(None, &std::env::temp_dir()).unwrap();
    let sizes = [0, 1, 0x7f, 0x80, 5_000_000_000, u64::MAX];
    for (at, size) in sizes.iter().enumerate() {
        comparison.take(&at.to_string(), (Tag([1; 6]), *size), &mut Vec::new()).unwrap();
    }
    let snapshot = comparison.into_snapshot().unwrap();
    let expected = sizes.iter().enumerate().map(|(at, size)| format!("{at} 1 {size}"));
    assert_eq!(within(&snapshot, ""), expected.collect::<Vec<_>>());
}
