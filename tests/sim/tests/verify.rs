//! Verification, over services in memory whose faults are made to order.

#![allow(clippy::unwrap_used, reason = "a test ends by a panic")]

mod calm;

use std::time::Duration;

use calm::{Calm, DEEP, SHALLOW, path};
use onitu_core::message::{Reply, Request};
use onitu_core::verify::{CYCLE_PARTS, FindingKind, Manner, VerifyRequest};
use onitu_core::{Checksum, Mode};
use onitu_driver_memory::Faults;

#[tokio::test(start_paused = true)]
async fn rot_is_set_aside_and_the_good_content_comes_back() {
    let calm = Calm::new(3).await;
    for at in 0..20 {
        calm.services[0].write(&path(&format!("d/{at}")), format!("content {at}"), false).unwrap();
    }
    calm.wait().await;
    assert!(calm.services[1].rot(&path("d/7")));
    let rotten = calm.services[1].read(&path("d/7")).unwrap();

    let shallow = calm.verify(1, SHALLOW).await;
    assert!(shallow.is_sound(), "{shallow:?}");
    assert_eq!((shallow.checked, shallow.total, shallow.files), (21, 21, 0));

    let deep = calm.verify(1, DEEP).await;
    assert_eq!((deep.rotten, deep.unrepairable, deep.files, deep.files_total), (1, 0, 20, 20));
    assert_eq!(deep.findings[0].kind, FindingKind::Rotten);
    calm.wait().await;
    let conflicts = calm.conflicts().await;
    assert_eq!((conflicts.len(), &conflicts[0].path), (1, &path("d/7")));
    for service in &calm.services {
        assert_eq!(service.read(&path("d/7")).unwrap(), "content 7");
        assert_eq!(service.read(&conflicts[0].kept).unwrap(), rotten, "nothing is thrown away");
    }
    assert!(calm.verify(1, DEEP).await.is_sound());
    assert_eq!(calm.report(1).await.problems_total, 0);
}

#[tokio::test(start_paused = true)]
async fn rot_that_cannot_be_repaired_is_a_problem_and_changes_nothing() {
    for mode in [Mode::Sync, Mode::Source] {
        // A source is never written to; a lone service has nobody to get the content from.
        let services = if mode == Mode::Source { 2 } else { 1 };
        let calm = Calm::with(services, |service| {
            if service.id.0 == 1 {
                service.mode = mode;
            }
        });
        let calm = calm.await;
        calm.services[0].write(&path("a"), "as it should be", false).unwrap();
        calm.wait().await;
        calm.services[0].rot(&path("a"));
        let before = (calm.record("a").await, calm.services[0].tree());
        let deep = calm.verify(0, DEEP).await;
        assert_eq!((deep.rotten, deep.unrepairable), (1, 1), "{mode:?}");
        calm.wait().await;
        assert_eq!((calm.record("a").await, calm.services[0].tree()), before, "{mode:?}");
        let report = calm.report(0).await;
        assert_eq!((report.problems_total, report.problems[0].path.as_str()), (1, "a"));
        // It ends when somebody writes the file anew.
        calm.services[0].write(&path("a"), "written anew", false).unwrap();
        calm.wait().await;
        assert_eq!(calm.report(0).await.problems_total, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_rots_is_repaired() {
    let calm = Calm::with(2, |service| {
        if service.id.0 == 2 {
            service.mode = Mode::Backup;
        }
    });
    let calm = calm.await;
    calm.services[0].write(&path("a"), "as it should be", false).unwrap();
    calm.wait().await;
    calm.services[1].rot(&path("a"));
    assert_eq!(calm.verify(1, DEEP).await.rotten, 1);
    calm.wait().await;
    assert_eq!(calm.services[1].read(&path("a")).unwrap(), "as it should be");
    assert_eq!(calm.services[0].read(&path("a")).unwrap(), "as it should be");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_read_wrongly_are_not_taken_for_rot() {
    let calm = Calm::new(2).await;
    calm.services[0].write(&path("a"), vec![7; 9_000], false).unwrap();
    calm.wait().await;
    let before = calm.record("a").await;
    calm.services[1].misbehave(Faults { corrupt_read: 1.0, ..Faults::default() });
    let deep = calm.verify(1, DEEP).await;
    assert_eq!((deep.rotten, deep.unreadable), (0, 1), "{deep:?}");
    assert!(deep.findings[0].message.contains("different bytes"), "{deep:?}");
    calm.services[1].behave();
    calm.wait().await;
    assert_eq!((calm.record("a").await, calm.conflicts().await.len()), (before, 0));
    assert_eq!(calm.report(1).await.problems_total, 1);
    assert!(calm.verify(1, DEEP).await.is_sound());
    assert_eq!(calm.report(1).await.problems_total, 0);
}

#[tokio::test(start_paused = true)]
async fn an_edit_in_the_same_tick_of_the_clock_is_not_taken_for_rot() {
    let calm = Calm::new(2).await;
    calm.services[0].write(&path("a"), "before", false).unwrap();
    calm.wait().await;
    let faults = Faults { same_tick: 1.0, hint_delay_ms_max: 900, ..Faults::default() };
    for seed in 0..20 {
        calm.services[0].misbehave(Faults { seed, ..faults.clone() });
        calm.services[0].write(&path("a"), format!("edit{seed:02}"), false).unwrap();
        let deep = calm.verify(0, DEEP).await;
        assert_eq!(deep.rotten, 0, "{deep:?}");
        calm.services[0].behave();
        calm.wait().await;
        assert_eq!(calm.services[1].read(&path("a")).unwrap(), format!("edit{seed:02}"));
    }
    assert_eq!(calm.conflicts().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_changed_is_found_and_told_by_the_usual_way() {
    let calm = Calm::new(2).await;
    for name in ["gone", "changed", "renamed", "same"] {
        calm.services[0].write(&path(name), format!("content of {name}"), false).unwrap();
    }
    calm.wait().await;
    let deaf = Faults { lose_hint: 1.0, rescan_delay_ms_max: 1_000_000_000, ..Faults::default() };
    calm.services[0].misbehave(deaf);
    calm.services[0].remove(&path("gone"));
    calm.services[0].write(&path("changed"), "another content", false).unwrap();
    calm.services[0].rename(&path("renamed"), &path("new name")).unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(calm.services[1].read(&path("gone")).is_some(), "nobody can have noticed");

    let report = calm.verify(0, SHALLOW).await;
    assert_eq!((report.changed, report.missing, report.checked), (1, 2, 4), "{report:?}");
    assert_eq!((report.rotten, report.unreadable, report.is_sound()), (0, 0, true));
    calm.wait().await;
    assert_eq!(calm.services[1].tree(), calm.services[0].tree());
    let moved = calm.services[1].trash().iter().any(|(at, _)| *at == path("renamed"));
    assert!(!moved, "a rename is told as one, not as a deletion and a new file");
}

#[tokio::test(start_paused = true)]
async fn a_record_without_a_checksum_learns_it() {
    let calm = Calm::new(1).await;
    let body = vec![9; 400_000];
    calm.services[0].write(&path("large"), body.clone(), false).unwrap();
    calm.wait().await;
    assert_eq!(calm.record("large").await.unwrap().content.checksum, None);
    assert!(calm.verify(0, DEEP).await.is_sound());
    calm.wait().await;
    let record = calm.record("large").await.unwrap();
    assert_eq!((record.content.checksum, record.revision), (Some(Checksum::of(&body)), 1));
    calm.services[0].rot(&path("large"));
    assert_eq!(calm.verify(0, DEEP).await.rotten, 1);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_goes_away_ends_it_and_nothing_is_taken_for_missing() {
    let calm = Calm::new(2).await;
    for at in 0..50 {
        calm.services[0].write(&path(&format!("{at}")), vec![1; 100_000], false).unwrap();
    }
    calm.wait().await;
    let slow = Manner { bytes_per_s: Some(1_000_000), ..DEEP };
    assert!(matches!(calm.begin(1, 5, slow).await, Reply::Verify(Some(_))));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let under_way = calm.progress(1, 5).await.unwrap();
    assert!(under_way.files > 0 && under_way.files < 50, "{under_way:?}");
    calm.services[1].set_online(false);
    let report = calm.report(1).await;
    let ended = report.verify.unwrap();
    assert!(ended.is_over() && ended.stopped.is_some(), "{ended:?}");
    assert_eq!((ended.missing, ended.unreadable, ended.changed), (0, 0, 0));
    calm.services[1].set_online(true);
    calm.wait().await;
    assert_eq!(calm.services[0].tree(), calm.services[1].tree());
    assert!(calm.verify(1, DEEP).await.is_sound());
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_kept_and_the_time_left_is_right() {
    let calm = Calm::new(1).await;
    for at in 0..40 {
        calm.services[0].write(&path(&format!("{at}")), vec![1; 250_000], false).unwrap();
    }
    calm.wait().await;
    let begin = tokio::time::Instant::now();
    let slow = Manner { bytes_per_s: Some(1_000_000), ..DEEP };
    assert!(matches!(calm.begin(0, 5, slow).await, Reply::Verify(Some(_))));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let status = calm.progress(0, 5).await.unwrap();
    assert_eq!(status.bytes_total, 10_000_000);
    assert!((900_000..1_500_000).contains(&status.bytes_per_s), "{status:?}");
    assert!((4..7).contains(&status.eta_s.unwrap()), "{status:?}");
    while !calm.progress(0, 5).await.unwrap().is_over() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = begin.elapsed();
    assert!((9..12).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn one_at_a_time_and_the_scheduled_one_gives_way() {
    let month = |service: &mut onitu_core::Service| {
        service.options.insert("verify_s".to_owned(), 3_000.into());
    };
    let calm = Calm::with(1, month).await;
    calm.services[0].write(&path("a"), vec![1; 5_000_000_000_usize / 1_000], false).unwrap();
    calm.wait().await;
    let slow = Manner { bytes_per_s: Some(1_000), ..DEEP };
    assert!(matches!(calm.begin(0, 5, slow).await, Reply::Verify(Some(_))));
    assert!(matches!(calm.begin(0, 5, slow).await, Reply::Verify(Some(_))), "heard twice");
    match calm.begin(0, 6, SHALLOW).await {
        Reply::Refused(fault) => assert!(fault.message.contains("`s1` is being verified already")),
        other => panic!("{other:?}"),
    }
    let other = Request::Verify(VerifyRequest::Stop { id: 6 });
    calm.ask(0, &other).await.unwrap();
    assert!(!calm.progress(0, 5).await.unwrap().is_over(), "another one was to be ended");
    calm.ask(0, &Request::Verify(VerifyRequest::Stop { id: 5 })).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stopped = calm.progress(0, 5).await.unwrap();
    assert_eq!(stopped.stopped.as_deref(), Some("stopped"));

    // The one part of thirty that holds the file takes long: it is interrupted, and done again.
    calm.services[0].misbehave(Faults { delay_ms_max: 20_000, ..Faults::default() });
    let is_scheduled = async || {
        let status = calm.progress(0, 0).await.unwrap();
        status.scheduled && !status.is_over()
    };
    while !is_scheduled().await {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(matches!(calm.begin(0, 7, SHALLOW).await, Reply::Verify(Some(_))));
    calm.services[0].behave();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(calm.progress(0, 7).await.unwrap().is_sound());
}

#[tokio::test(start_paused = true)]
async fn a_schedule_goes_through_everything_once_in_its_time_and_survives_restarts() {
    let every_s = 30 * 600;
    let mut calm = Calm::with(1, |service| {
        service.options.insert("verify_s".to_owned(), every_s.into());
    })
    .await;
    for at in 0..100 {
        calm.services[0].write(&path(&format!("{at}")), format!("{at}"), false).unwrap();
    }
    calm.wait().await;
    assert_eq!(calm.report(0).await.verify, None, "nothing is due yet");
    let mut checked = 0;
    let mut ids = Vec::new();
    for part in 1..=u64::from(CYCLE_PARTS) {
        tokio::time::sleep(Duration::from_mins(10)).await;
        let report = calm.report(0).await;
        let status = report.verify.unwrap();
        assert!(status.is_sound() && status.scheduled, "{part}: {status:?}");
        assert_eq!(report.verify_cycle.unwrap().parts_done, (part % 30) as u32);
        checked += status.checked;
        ids.push(status.id);
        if part % 7 == 0 {
            calm.restart(0).await;
            calm.wait().await;
            assert_eq!(calm.report(0).await.verify.unwrap().id, status.id, "nothing is due");
        }
    }
    assert_eq!(checked, 100);
    ids.dedup();
    assert_eq!(ids.len(), 30);
    // Away for longer than that, it is behind and catches up at once.
    calm.services[0].set_online(false);
    tokio::time::sleep(Duration::from_hours(6)).await;
    calm.services[0].set_online(true);
    tokio::time::sleep(Duration::from_mins(5)).await;
    let cycle = calm.report(0).await.verify_cycle.unwrap();
    assert_eq!(cycle.parts_done, 0, "all parts were due");
}
