use std::cell::Cell;

use super::*;

fn limited(seconds: u64) -> Fault {
    Fault::new(FaultKind::RateLimited, "slow down").retry_after(Duration::from_secs(seconds))
}

fn away() -> Fault {
    Fault::new(FaultKind::Unavailable, "the connection was refused")
}

/// Fails with the `faults` in turn, then succeeds.
async fn sent(calls: &Calls, faults: &[Fault]) -> (Result<(), Fault>, usize) {
    let count = Cell::new(0);
    let outcome = calls
        .run(|| {
            let fault = faults.get(count.replace(count.get() + 1)).cloned();
            async move { fault.map_or(Ok(()), Err) }
        })
        .await;
    (outcome, count.get())
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_for_a_moment_is_sent_again() {
    let calls = Calls::new(4);
    assert_eq!(sent(&calls, &[away(), away()]).await, (Ok(()), 3));
    assert_eq!(calls.made(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_stays_away_is_told_after_five_attempts() {
    let faults = vec![away(); 100];
    assert_eq!(sent(&Calls::new(4), &faults).await, (Err(away()), 5));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_passing_fault_is_told_at_once() {
    for kind in [FaultKind::Denied, FaultKind::Changed, FaultKind::NotFound, FaultKind::Full] {
        let fault = Fault::new(kind, "for good");
        assert_eq!(sent(&Calls::new(4), std::slice::from_ref(&fault)).await, (Err(fault), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_service_s_own_waiting_time_is_kept_by_all_calls() {
    let calls = Calls::new(4);
    let began = Instant::now();
    let faults = [limited(7)];
    let first = sent(&calls, &faults);
    let second = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent_at = calls.once(async { Ok(Instant::now()) }).await.expect("sent");
        assert!(sent_at - began >= Duration::from_secs(7), "{:?}", sent_at - began);
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first, (Ok(()), 2));
    assert!(began.elapsed() >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_too_much_patience_is_told_and_waited_for() {
    let calls = Calls::new(4);
    let fault = limited(300);
    assert_eq!(sent(&calls, std::slice::from_ref(&fault)).await, (Err(fault), 1));
    let told = calls.once(async { Ok(()) }).await.expect_err("not yet");
    assert_eq!(told.kind, FaultKind::RateLimited);
    assert!(told.retry_after_ms.is_some_and(|ms| ms > 290_000), "{told:?}");
    assert_eq!(calls.made(), 1, "nothing more was sent");
    tokio::time::sleep(Duration::from_secs(301)).await;
    assert_eq!(sent(&calls, &[]).await, (Ok(()), 1));
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_under_way_than_allowed_and_fewer_once_the_service_complained() {
    let calls = Calls::new(8);
    assert_eq!(side_by_side(&calls).await, 8);
    assert_eq!(sent(&calls, &[limited(1)]).await, (Ok(()), 2));
    assert_eq!(side_by_side(&calls).await, 4);
    for _ in 0..TRUST * 4 {
        calls.once(async { Ok(()) }).await.expect("sent");
    }
    assert_eq!(side_by_side(&calls).await, 8, "trust comes back");
}

/// How many of twenty requests are under way at once.
async fn side_by_side(calls: &Calls) -> usize {
    let (now, most) = (Cell::new(0_usize), Cell::new(0));
    let one = || async {
        now.set(now.get() + 1);
        most.set(most.get().max(now.get()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        now.set(now.get() - 1);
        Ok::<_, Fault>(())
    };
    let all = futures_util::future::join_all((0..20).map(|_| calls.once(one()))).await;
    assert!(all.iter().all(Result::is_ok));
    most.get()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_frees_its_turn() {
    let calls = Calls::new(1);
    let never = calls.once(std::future::pending::<Result<(), Fault>>());
    assert!(tokio::time::timeout(Duration::from_secs(1), never).await.is_err());
    assert_eq!(sent(&calls, &[]).await, (Ok(()), 1));
}

#[test]
fn pauses_grow_to_a_bound_and_are_drawn() {
    let after = |attempts, random| pause_after(&limited_plain(), attempts, random);
    assert_eq!(after(1, 1.0), Some(FIRST));
    assert_eq!(after(3, 1.0), Some(FIRST * 4));
    assert_eq!(after(3, 0.0), Some(Duration::ZERO));
    assert_eq!(after(u32::MAX, 1.0), Some(LAST));
}

fn limited_plain() -> Fault {
    Fault::new(FaultKind::RateLimited, "slow down")
}
