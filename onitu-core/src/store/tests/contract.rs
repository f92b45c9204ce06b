//! What every store must do. Each function begins with an empty one.

use super::*;
use crate::ignore::{IgnoreSet, IgnoreText};
use crate::status::ServiceState;
use crate::{FaultKind, Mode, clock};

pub async fn what_was_committed_is_read_in_the_order_asked_for(store: &dyn Store) {
    let [a, b, c] = ["a", "d/b", "d/e/c"].map(path);
    let records = [(a.clone(), Some(record(1))), (b.clone(), Some(record(2)))];
    write(store, &records).await;
    let got = store.get(&[c.clone(), b.clone(), a.clone(), b.clone()]).await.unwrap();
    assert_eq!(got, [None, Some(record(2)), Some(record(1)), Some(record(2))]);
    assert_eq!(store.get(&[]).await.unwrap(), []);

    write(store, &[(b.clone(), Some(record(3)))]).await;
    assert_eq!(store.get(&[b]).await.unwrap(), [Some(record(3))]);
    let listed = store.list(&[path("d"), path("nothing"), Path::root()]).await.unwrap();
    let names: Vec<Vec<&str>> =
        listed.iter().map(|names| names.keys().map(String::as_str).collect()).collect();
    assert_eq!(names, [vec!["b"], vec![], vec!["a"]]);
    assert_eq!(listed[0]["b"], record(3));
}

pub async fn a_forgotten_path_is_gone_and_its_directory_with_the_last(store: &dyn Store) {
    let [a, b] = ["d/a", "d/b"].map(path);
    write(store, &[(a.clone(), Some(record(1))), (b.clone(), Some(record(1)))]).await;
    write(store, &[(a.clone(), None), (path("d/never"), None)]).await;
    assert_eq!(store.get(&[a.clone(), b.clone()]).await.unwrap(), [None, Some(record(1))]);
    assert_eq!(directories(store).await, [path("d")]);
    write(store, &[(b, None)]).await;
    assert_eq!(directories(store).await, []);
}

pub async fn tombstones_are_listed(store: &dyn Store) {
    let mut tombstone = record(7);
    tombstone.gone = true;
    tombstone.moved = Some(path("elsewhere/x"));
    write(store, &[(path("d/x"), Some(tombstone.clone()))]).await;
    assert_eq!(store.list(&[path("d")]).await.unwrap()[0]["x"], tombstone);
}

pub async fn names_of_any_bytes_are_kept_apart(store: &dyn Store) {
    let long = "x".repeat(255);
    let names = [
        "a b",
        "a\nb",
        "a\r\nb",
        "a\tb",
        "\"",
        "'",
        "\\",
        "*",
        "?",
        "[a-z]",
        "{07}:d:x",
        "}:d:",
        "~",
        "...",
        "0",
        "-1",
        "é",
        "e\u{301}",
        "日本",
        "\u{1f600}",
        "\u{7f}",
        "\u{1}",
        "a,b",
        ":",
        "$0",
        "%00",
        "KEYS *",
        &long,
    ];
    let mut records = Vec::new();
    for (at, directory) in names.iter().enumerate() {
        for (number, name) in names.iter().enumerate() {
            let revision = (at * names.len() + number + 1) as u64;
            records.push((path(&format!("{directory}/{name}")), Some(record(revision))));
        }
    }
    write(store, &records).await;
    let paths: Vec<Path> = records.iter().map(|(path, _)| path.clone()).collect();
    let got = store.get(&paths).await.unwrap();
    assert!(got.iter().zip(&records).all(|(got, (_, written))| got == written));
    let mut told = directories(store).await;
    told.sort();
    told.dedup();
    let mut expected: Vec<Path> = names.iter().map(|name| path(name)).collect();
    expected.sort();
    assert_eq!(told, expected);
    for listed in store.list(&expected).await.unwrap() {
        assert!(listed.keys().map(String::as_str).all(|name| names.contains(&name)));
        assert_eq!(listed.len(), names.len());
    }
}

fn numbered(range: std::ops::Range<u64>, directory: &str) -> Vec<(Path, Option<Record>)> {
    let name = |number| path(&format!("{directory}/file {number}.txt"));
    range.map(|number| (name(number), Some(record(number + 1)))).collect()
}

async fn holds_exactly(store: &dyn Store, directory: &str, expected: &[(Path, Option<Record>)]) {
    let listed = &store.list(&[path(directory)]).await.unwrap()[0];
    assert_eq!(listed.len(), expected.len());
    let paths: Vec<Path> = expected.iter().map(|(path, _)| path.clone()).collect();
    let got = store.get(&paths).await.unwrap();
    for ((path, record), got) in expected.iter().zip(got) {
        assert_eq!((listed.get(path.name()), &got), (record.as_ref(), record), "{path}");
    }
}

async fn forget(store: &dyn Store, records: &[(Path, Option<Record>)]) {
    let forgotten: Vec<_> = records.iter().map(|(path, _)| (path.clone(), None)).collect();
    write(store, &forgotten).await;
}

pub async fn a_directory_grows_to_a_thousand_names_and_shrinks_again(store: &dyn Store) {
    let all = numbered(0..1000, "big");
    for (at, batch) in all.chunks(37).enumerate() {
        write(store, batch).await;
        if at % 9 == 0 {
            holds_exactly(store, "big", &all[..at * 37 + batch.len()]).await;
        }
    }
    holds_exactly(store, "big", &all).await;
    // Writing what is there changes no count of names.
    write(store, &all[..500]).await;
    holds_exactly(store, "big", &all).await;
    for (at, batch) in all.chunks(61).enumerate() {
        forget(store, batch).await;
        holds_exactly(store, "big", &all[(at * 61 + batch.len()).min(all.len())..]).await;
    }
    assert_eq!(directories(store).await, []);
    write(store, &all[..3]).await;
    holds_exactly(store, "big", &all[..3]).await;
}

pub async fn a_directory_grows_to_five_thousand_names_at_once_and_shrinks_again(store: &dyn Store) {
    let all = numbered(0..5000, "d/big");
    write(store, &all).await;
    holds_exactly(store, "d/big", &all).await;
    let beside = numbered(0..3, "d");
    write(store, &beside).await;
    // Half go and others come in the same commit.
    let mut mixed: Vec<_> = all[..2500].iter().map(|(path, _)| (path.clone(), None)).collect();
    let others = numbered(9000..9100, "d/big");
    mixed.extend(others.iter().cloned());
    write(store, &mixed).await;
    let left = [&all[2500..], &others[..]].concat();
    holds_exactly(store, "d/big", &left).await;
    forget(store, &left[20..]).await;
    holds_exactly(store, "d/big", &left[..20]).await;
    forget(store, &left[..20]).await;
    assert_eq!(directories(store).await, [path("d")]);
    holds_exactly(store, "d", &beside).await;
}

pub async fn one_call_may_hold_many_commits_of_one_directory(store: &dyn Store) {
    let all = numbered(0..900, "one");
    let other = numbered(0..900, "other");
    assert_ne!(Shard::of_directory("one"), Shard::of_directory("other"));
    let mut together = Vec::new();
    for (a, b) in all.chunks(100).zip(other.chunks(100)) {
        together.extend(commits(a));
        together.extend(commits(a));
        together.extend(commits(b));
    }
    let [first, ..] = &all[..] else { unreachable!() };
    together.extend(commits(&[(first.0.clone(), Some(record(77)))]));
    store.commit(together).await.unwrap();
    holds_exactly(store, "one", &[&[(first.0.clone(), Some(record(77)))], &all[1..]].concat())
        .await;
    holds_exactly(store, "other", &other).await;
}

pub async fn every_directory_is_told_at_least_once(store: &dyn Store) {
    let mut records = numbered(0..600, "split");
    for number in 0..700 {
        records.push((path(&format!("d{number}/x")), Some(record(1))));
    }
    records.push((path("top"), Some(record(1))));
    write(store, &records).await;
    let mut told = directories(store).await;
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 702);
    assert!(told.contains(&Path::root()) && told.contains(&path("split")));
}

pub async fn streams_are_told_by_shard_and_the_newest_epoch_counts(store: &dyn Store) {
    assert_eq!(store.streams().await.unwrap(), BTreeMap::new());
    let [a, b] = ["a", "c"].map(Shard::of_directory);
    assert_ne!(a, b);
    let reached = |epoch, sequence| {
        move |commit: &mut Commit| {
            commit.streams.insert(ServiceId(3), (epoch, sequence));
        }
    };
    change(store, "a", reached(10, 5)).await;
    change(store, "c", reached(10, u64::MAX)).await;
    let stream = store.streams().await.unwrap()[&ServiceId(3)];
    assert_eq!((stream.epoch, stream.last[a.index()]), (10, 5));
    assert_eq!(stream.last[b.index()], u64::MAX);
    assert_eq!(stream.last.iter().filter(|last| **last > 0).count(), 2);
    // A driver that was started anew counts from the beginning, in every shard.
    change(store, "c", reached(11, 1)).await;
    let stream = store.streams().await.unwrap()[&ServiceId(3)];
    assert_eq!((stream.epoch, stream.last[a.index()], stream.last[b.index()]), (11, 0, 1));
}

pub async fn pending_work_is_a_set_that_can_be_forgotten(store: &dyn Store) {
    let [a, b] = [store.service_id("a").await.unwrap(), store.service_id("b").await.unwrap()];
    let paths: Vec<Path> = (0..100).map(|number| path(&format!("d{number}/x"))).collect();
    for path in &paths {
        change(store, path.parent_str(), |commit| {
            commit.pending.insert((a, path.clone()), true);
            commit.pending.insert((b, path.clone()), true);
        })
        .await;
        change(store, path.parent_str(), |commit| {
            commit.pending.insert((b, path.clone()), false);
            commit.pending.insert((a, path.clone()), true);
        })
        .await;
    }
    let mut all = store.pending(a, usize::MAX).await.unwrap();
    all.sort();
    let mut expected = paths.clone();
    expected.sort();
    assert_eq!(all, expected);
    for limit in [0, 1, 17, 99, 100] {
        let mut some = store.pending(a, limit).await.unwrap();
        assert_eq!(some.len(), limit);
        some.sort();
        some.dedup();
        assert_eq!(some.len(), limit);
    }
    assert_eq!(store.pending(b, 10).await.unwrap(), []);
    let since = store.pending_since(&paths[3]).await.unwrap();
    assert_eq!(since.keys().collect::<Vec<_>>(), [&a]);
    assert!(since[&a] <= clock::now_ms());
    change(store, paths[3].parent_str(), |commit| {
        commit.pending.insert((a, paths[3].clone()), true);
    })
    .await;
    assert_eq!(store.pending_since(&paths[3]).await.unwrap(), since, "the first time counts");
    assert_eq!(store.pending_since(&path("other")).await.unwrap(), BTreeMap::new());
    assert_eq!(store.counts().await.unwrap().pending, BTreeMap::from([(a, 100)]));
    store.forget_pending(a).await.unwrap();
    assert_eq!(store.pending(a, 10).await.unwrap(), []);
    assert_eq!(store.counts().await.unwrap().pending, BTreeMap::new());
}

pub async fn what_can_not_be_kept_is_counted_apart_and_forgotten_together(store: &dyn Store) {
    let [a, b] = [store.service_id("a").await.unwrap(), store.service_id("b").await.unwrap()];
    let paths: Vec<Path> = (0..50).map(|n| path(&format!("d{n}/x"))).collect();
    let note = |service: ServiceId, path: &Path, is_unable: bool| {
        let mut commit = Commit::default();
        commit.unable.insert((service, path.clone()), is_unable);
        commit.pending.insert((service, path.clone()), !is_unable);
        (Shard::of(path), commit)
    };
    let both = paths.iter().flat_map(|path| [note(a, path, true), note(b, path, true)]);
    store.commit(both.chain([note(a, &paths[0], true)]).collect()).await.unwrap();
    store.commit(vec![note(b, &paths[3], false), note(b, &path("d/never"), false)]).await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.unable, BTreeMap::from([(a, 50), (b, 49)]));
    assert_eq!(counts.pending, BTreeMap::from([(b, 2)]));
    store.forget_pending(a).await.unwrap();
    assert_eq!(store.counts().await.unwrap().unable, BTreeMap::from([(b, 49)]));
    store.forget_unable().await.unwrap();
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.unable, counts.pending), (BTreeMap::new(), BTreeMap::from([(b, 2)])));
    store.forget_unable().await.unwrap();
}

pub async fn problems_are_ordered_limited_and_end(store: &dyn Store) {
    let service = ServiceId(4);
    let fault = |number: u32| Fault::new(FaultKind::Full, format!("no space \"{number}\"\n"));
    for number in 0..300 {
        let path = path(&format!("d{}/x{number:03}", number % 20));
        change(store, path.parent_str(), |commit| {
            commit.problems.insert((service, path.clone()), Some(fault(number)));
            commit.problems.insert((ServiceId(5), path.clone()), None);
        })
        .await;
    }
    let all = store.problems(service, 1000).await.unwrap();
    assert_eq!(all.len(), 300);
    assert!(all.is_sorted_by_key(|(path, _)| path.clone()));
    assert!(all.contains(&(path("d7/x007"), fault(7))));
    assert_eq!(store.problems(service, 5).await.unwrap(), all[..5]);
    assert_eq!(store.problems(service, 0).await.unwrap(), []);
    assert_eq!(store.problems(ServiceId(5), 5).await.unwrap(), []);
    change(store, "d7", |commit| {
        commit.problems.insert((service, path("d7/x007")), None);
    })
    .await;
    assert_eq!(store.problems(service, 1000).await.unwrap().len(), 299);
    store.forget_pending(service).await.unwrap();
    assert_eq!(store.problems(service, 1000).await.unwrap(), []);
}

pub async fn conflicts_are_kept_until_ended(store: &dyn Store) {
    let conflict = |name: &str, copy: &str| Conflict {
        path: path(name),
        kept: path(copy),
        service: ServiceId(2),
        at_ms: 1_700_000_000_000,
    };
    let told = [conflict("a/x", "a/x (1)"), conflict("a/x", "a/x (2)"), conflict("b/y", "b/y (1)")];
    for each in told.iter().rev() {
        change(store, each.path.parent_str(), |commit| {
            commit.conflicts.insert(each.kept.clone(), Some(each.clone()));
        })
        .await;
    }
    assert_eq!(store.conflicts().await.unwrap(), told);
    assert_eq!(store.counts().await.unwrap().conflicts, 3);
    change(store, "a", |commit| {
        commit.conflicts.insert(path("a/x (1)"), None);
    })
    .await;
    assert_eq!(store.conflicts().await.unwrap(), told[1..]);
}

pub async fn counts_are_sums_over_all_shards(store: &dyn Store) {
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    for directory in ["a", "b", "c", "d"] {
        change(store, directory, |commit| {
            commit.counts.entries = 3;
            commit.counts.held = BTreeMap::from([(ServiceId(1), 2), (ServiceId(2), 1)]);
        })
        .await;
    }
    change(store, "a", |commit| {
        commit.counts.entries = -2;
        commit.counts.held = BTreeMap::from([(ServiceId(1), 1), (ServiceId(2), -4)]);
    })
    .await;
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.entries, 10);
    assert_eq!(counts.held, BTreeMap::from([(ServiceId(1), 9)]));
}

pub async fn a_store_is_set_up_once(store: &dyn Store) {
    let before = store.incarnation().await.unwrap();
    assert_eq!(before.generation, None);
    let generation = store.set_up().await.unwrap();
    assert_eq!(store.set_up().await.unwrap(), generation);
    let after = store.incarnation().await.unwrap();
    assert_eq!(after, Incarnation { generation: Some(generation), run: before.run });
}

pub async fn set_up_clears_what_was_written_into_a_lost_store(store: &dyn Store) {
    let service = store.service_id("a").await.unwrap();
    write(store, &[(path("d/x"), Some(record(9)))]).await;
    change(store, "d", |commit| {
        commit.counts.entries = -1;
        commit.pending.insert((service, path("d/x")), true);
        commit.streams.insert(service, (1, 1));
    })
    .await;
    store.set_up().await.unwrap();
    assert_eq!(directories(store).await, []);
    assert_eq!(store.counts().await.unwrap(), Counts::default());
    assert_eq!(store.streams().await.unwrap(), BTreeMap::new());
    assert_eq!(store.service_id("a").await.unwrap(), service);
    // What was written after the set-up is not cleared by the next one.
    write(store, &[(path("d/x"), Some(record(9)))]).await;
    store.set_up().await.unwrap();
    assert_eq!(directories(store).await, [path("d")]);
}

pub async fn the_registry_and_reports_are_read_back(store: &dyn Store) {
    assert_eq!(store.registry().await.unwrap(), None);
    let registry = Registry {
        version: 3,
        services: vec![Service {
            id: ServiceId(1),
            name: "nas".to_owned(),
            driver: "local".to_owned(),
            mode: Mode::Backup,
            paused: true,
            options: BTreeMap::from([("root".to_owned(), "/ü \"x\"".into())]),
        }],
        rules: Some("sync everything to nas\n".to_owned()),
        approved: vec!["move \"x\" to nas".to_owned()],
        keeps_junk: true,
    };
    store.set_registry(&registry).await.unwrap();
    assert_eq!(store.registry().await.unwrap(), Some(registry));
    assert_eq!(store.reports().await.unwrap(), BTreeMap::new());
    let report = Report { state: ServiceState::Ready, pid: 7, epoch: 9, ..Report::default() };
    store.set_report(ServiceId(2), &Report::default()).await.unwrap();
    store.set_report(ServiceId(2), &report).await.unwrap();
    assert_eq!(store.reports().await.unwrap(), BTreeMap::from([(ServiceId(2), report)]));
    assert!(store.used_memory_bytes().await.is_ok());
}

pub async fn what_is_ignored_is_read_back_when_it_is_another_version(store: &dyn Store) {
    assert_eq!(store.ignoring(0).await.unwrap(), None);
    let text = IgnoreText::of("büild/\n".as_bytes());
    let mut set = IgnoreSet { version: 7, keeps_junk: true, ..IgnoreSet::default() };
    set.files.insert(path("a b/ü"), text.clone());
    store.set_ignoring(&set).await.unwrap();
    assert_eq!(store.ignoring(0).await.unwrap(), Some(set.clone()));
    assert_eq!(store.ignoring(7).await.unwrap(), None);
    assert_eq!(store.ignoring(6).await.unwrap(), Some(set));
    let file = path("a b/ü/.onituignore");
    assert_eq!(store.ignore_texts().await.unwrap(), BTreeMap::new());
    store.set_ignore_text(ServiceId(3), &file, &IgnoreText::of(b"x")).await.unwrap();
    store.set_ignore_text(ServiceId(3), &file, &text).await.unwrap();
    let told = BTreeMap::from([((ServiceId(3), file), text)]);
    assert_eq!(store.ignore_texts().await.unwrap(), told);
}

pub async fn a_service_keeps_its_number(store: &dyn Store) {
    let nas = store.service_id("nas").await.unwrap();
    let laptop = store.service_id("laptop").await.unwrap();
    assert_ne!(nas, laptop);
    assert_eq!(store.service_id("nas").await.unwrap(), nas);
    assert_eq!(store.service_id("laptop").await.unwrap(), laptop);
}
