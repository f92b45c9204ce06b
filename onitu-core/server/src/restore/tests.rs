use onitu_core::trash::{TrashQuestion, Trashed, TrashedStatus, Why};
use tokio::sync::mpsc;

use super::*;
use crate::tests::{House, path, put, record};

fn item(at: &str, at_ms: u64) -> Trashed {
    Trashed {
        id: format!("{at} {at_ms}"),
        path: path(at),
        at_ms,
        kind: Kind::File,
        size: 1,
        mtime_ns: 0,
        why: Why::Removed,
    }
}

/// A house whose services have these things in their trashes.
async fn house(
    trashes: &[&[(&str, u64)]],
) -> (House, Vec<std::sync::Arc<crate::tests::FakeDriver>>) {
    let names = &["a", "b", "c"][..trashes.len()];
    let house = House::new(names).await;
    let mut drivers = Vec::new();
    for ((id, name), trash) in (1..).zip(names).zip(trashes) {
        let driver = house.drive(id, name).await;
        let items = trash.iter().map(|(at, at_ms)| item(at, *at_ms)).collect();
        *driver.trash.items.lock().expect("whole") = Some(items);
        drivers.push(driver);
    }
    (house, drivers)
}

fn question(paths: &[&str], at_ms: Option<u64>) -> RestoreQuestion {
    let paths = paths.iter().map(|it| path(it)).collect();
    RestoreQuestion { paths, at_ms, service: None, to: None }
}

/// What was told, and the last answer.
async fn restored(house: &House, question: RestoreQuestion) -> (Vec<RestoredStatus>, FromCore) {
    let (to, mut told) = mpsc::channel(100);
    house.core.restore(question, to).await;
    let mut statuses = Vec::new();
    while let Some(answer) = told.recv().await {
        match answer {
            FromCore::Restored(some) => statuses.extend(some),
            last => return (statuses, last),
        }
    }
    panic!("no last answer");
}

fn ids(drivers: &[std::sync::Arc<crate::tests::FakeDriver>]) -> Vec<Vec<String>> {
    let ids = |driver: &std::sync::Arc<crate::tests::FakeDriver>| {
        let restored = driver.trash.restored.lock().expect("whole");
        restored.iter().map(|it| it.id.clone()).collect()
    };
    drivers.iter().map(ids).collect()
}

#[tokio::test]
async fn trashes_are_read_as_one_from_the_newest() {
    let (house, _drivers) =
        house(&[&[("x", 9), ("y", 5), ("x", 1)], &[("z", 8), ("y", 7), ("z", 6), ("x", 2)]]).await;
    let (to, mut told) = mpsc::channel(100);
    let asked = TrashQuestion { below: Path::root(), service: None, limit: Some(6) };
    house.core.trash(asked, to).await;
    let mut all: Vec<TrashedStatus> = Vec::new();
    while let Some(FromCore::Trash(page)) = told.recv().await {
        all.extend(page);
    }
    let told: Vec<_> = all.iter().map(|it| (it.service.as_str(), it.path.as_str())).collect();
    let expected = [("a", "x"), ("b", "z"), ("b", "y"), ("b", "z"), ("a", "y"), ("b", "x")];
    assert_eq!(told, expected);
    assert_eq!(all[0].date, "1970-01-01T00:00:00.009Z");
}

#[tokio::test]
async fn the_newest_counts_or_the_oldest_after_a_time() {
    for (at_ms, expected) in [
        (None, ["x 9", ""]),
        (Some(0), ["", "x 2"]),
        (Some(2), ["x 5", ""]),
        (Some(5), ["", "x 7"]),
        (Some(8), ["x 9", ""]),
    ] {
        let (house, drivers) = house(&[&[("x", 9), ("x", 5)], &[("x", 7), ("x", 2)]]).await;
        let (told, _) = restored(&house, question(&["x"], at_ms)).await;
        assert_eq!(told[0].outcome, RestoreOutcome::Placed);
        let found: Vec<String> = ids(&drivers).iter().map(|ids| ids.join(" ")).collect();
        assert_eq!(found, expected, "{at_ms:?}");
    }
}

#[tokio::test]
async fn what_lives_is_only_replaced_where_its_revision_is_held() {
    let (house, drivers) = house(&[&[("x", 3)], &[("x", 9)], &[("x", 1)]]).await;
    put(&house.store, &[("x", record(Kind::File, "now", &[1, 3]))]).await;
    let (told, _) = restored(&house, question(&["x"], None)).await;
    assert_eq!(told[0].outcome, RestoreOutcome::Replaced);
    assert_eq!(ids(&drivers), [vec!["x 3".to_owned()], vec![], vec![]]);
    let only_b = RestoreQuestion { service: Some("b".to_owned()), ..question(&["x"], None) };
    let (told, _) = restored(&house, only_b.clone()).await;
    let message = told[0].message.as_deref().expect("a message");
    assert!(message.contains("`b` doesn't hold what stands there now"), "{message}");
    let beside = RestoreQuestion { to: Some(path("beside")), ..only_b };
    let (told, _) = restored(&house, beside).await;
    assert_eq!((told[0].outcome, told[0].to.as_str()), (RestoreOutcome::Placed, "beside"));
}

#[tokio::test]
async fn of_a_directory_only_what_is_absent_is_meant_unless_a_time_is_given() {
    let trash: &[(&str, u64)] = &[("d/e/gone", 9), ("d/here", 8), ("dd", 7), ("d/e/gone", 3)];
    for (at_ms, expected) in [(None, vec!["d/e/gone 9"]), (Some(2), vec!["d/e/gone 3", "d/here 8"])]
    {
        let (house, drivers) = house(&[trash]).await;
        let tombstone = Record { gone: true, ..record(Kind::File, "x", &[]) };
        put(&house.store, &[("d/here", record(Kind::File, "now", &[1]))]).await;
        put(&house.store, &[("d/e/gone", tombstone)]).await;
        restored(&house, question(&["d"], at_ms)).await;
        assert_eq!(ids(&drivers)[0], expected);
        let elsewhere = RestoreQuestion { to: Some(path("new")), ..question(&["d"], None) };
        let (told, _) = restored(&house, elsewhere).await;
        let to: Vec<_> = told.iter().map(|it| it.to.as_str()).collect();
        assert_eq!(to, ["new/e/gone", "new/here"]);
    }
}

#[tokio::test]
async fn who_is_away_or_keeps_no_trash_is_told_and_stops_nobody() {
    let (house, drivers) = house(&[&[("x", 3)], &[], &[]]).await;
    *drivers[1].trash.items.lock().expect("whole") = None;
    house.core.answer(onitu_core::control::ToCore::Pause(Some("c".to_owned()))).await;
    let (told, last) = restored(&house, question(&["x", "never"], None)).await;
    assert_eq!(told[0].outcome, RestoreOutcome::Placed);
    assert_eq!(told[1].outcome, RestoreOutcome::Failed);
    let note = "the trash of `c` was not read: it is paused".to_owned();
    assert_eq!(last, FromCore::Done(note));
    let message = told[1].message.as_deref().expect("a message");
    insta::assert_snapshot!(message, @r"
    no trash has `never`
    hint: `a` keeps what Onitu removes or replaces there
    ");
}
