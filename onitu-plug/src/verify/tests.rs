use onitu_core::store::MemoryStore;
use onitu_core::verify::Part;

use super::*;

const DEEP: Manner = Manner { deep: true, part: Part::WHOLE, bytes_per_s: None };

fn begin(verifier: &Verifier, id: u64) -> Reply {
    verifier.answer("nas", &VerifyRequest::Begin { id, manner: DEEP })
}

fn status(reply: Reply) -> VerifyStatus {
    match reply {
        Reply::Verify(Some(status)) => *status,
        other => panic!("{other:?}"),
    }
}

fn progress(verifier: &Verifier, id: u64) -> VerifyStatus {
    status(verifier.answer("nas", &VerifyRequest::Progress { id }))
}

#[tokio::test]
async fn a_second_one_is_refused_and_one_asked_for_twice_is_begun_once() {
    let verifier = Verifier::default();
    assert_eq!(verifier.answer("nas", &VerifyRequest::Progress { id: 1 }), Reply::Verify(None));
    let first = status(begin(&verifier, 1));
    assert_eq!((first.id, first.deep, first.phase), (1, true, Phase::Looking));
    verifier.told().status.as_mut().unwrap().checked = 5;
    assert_eq!(status(begin(&verifier, 1)).checked, 5);
    let Reply::Refused(fault) = begin(&verifier, 2) else { panic!() };
    assert_eq!(fault.message, "`nas` is being verified already: 5 of 0 paths are looked at");
}

#[tokio::test]
async fn one_that_waits_is_stopped_before_it_begins() {
    let verifier = Verifier::default();
    begin(&verifier, 1);
    verifier.answer("nas", &VerifyRequest::Stop { id: 2 });
    assert!(!progress(&verifier, 1).is_over());
    verifier.answer("nas", &VerifyRequest::Stop { id: 1 });
    assert!(progress(&verifier, 1).is_over() && verifier.told().next.is_none());
}

#[tokio::test]
async fn how_the_asked_one_ended_is_known_while_the_scheduled_one_runs() {
    let verifier = Verifier::default();
    begin(&verifier, 1);
    verifier.told().end(Some(1), None);
    let job = Job { id: 9, manner: DEEP, scheduled: true };
    verifier.told().take(job);
    assert!(progress(&verifier, 1).is_sound());
    assert_eq!(progress(&verifier, 9).id, 9);
    // And it gives way to a person.
    assert_eq!(status(begin(&verifier, 10)).id, 10);
    assert!(verifier.told().stop.is_some());
    assert!(progress(&verifier, 1).is_sound(), "the scheduled one takes nobody's place");
}

#[tokio::test]
async fn what_an_earlier_process_did_is_remembered_and_what_it_was_at_has_ended() {
    let store = MemoryStore::new();
    let verifier = Verifier::default();
    begin(&verifier, 1);
    verifier.told().cycle = Some(Cycle { began_at_ms: 3, parts_done: 4 });
    let mut report = Report::default();
    verifier.tell(&mut report);
    store.set_report(ServiceId(1), &report).await.unwrap();

    let next = Verifier::default();
    next.remember(&store, ServiceId(1)).await;
    assert_eq!(progress(&next, 1).stopped.as_deref(), Some("its driver ended"));
    assert_eq!(next.told().cycle, Some(Cycle { began_at_ms: 3, parts_done: 4 }));
    store.set_report(ServiceId(1), &Report::default()).await.unwrap();
    next.remember(&store, ServiceId(1)).await;
    assert!(next.told().cycle.is_some(), "the store is read once");
}

#[tokio::test(start_paused = true)]
async fn the_schedule_survives_a_clock_that_was_wrong() {
    clock::simulate(1_000_000);
    let mut told =
        Told { cycle: Some(Cycle { began_at_ms: u64::MAX, parts_done: 3 }), ..Told::default() };
    assert_eq!(told.due(30_000).unwrap_err(), Duration::from_secs(1));
    assert_eq!(told.cycle, Some(Cycle { began_at_ms: 1_000_000, parts_done: 0 }));
    tokio::time::advance(Duration::from_secs(1)).await;
    let job = told.due(30_000).unwrap();
    assert_eq!((job.manner.part.to_string(), job.scheduled), ("1/30".to_owned(), true));
    assert_eq!(job.manner.bytes_per_s, Some(SCHEDULED_BYTES_PER_S));
}
