use super::*;
use crate::bus::{BusError, Replier, Requester};

promises!(
    a_request_is_answered,
    several_askers_at_once_get_each_their_own_answers,
    requests_of_one_handle_wait_for_each_other,
    a_requester_that_was_first_is_answered_once_the_replier_exists,
    a_request_to_nobody_ends_in_its_time,
    a_late_answer_is_not_taken_for_the_next_one,
    an_asker_that_gave_up_does_not_hold_up_the_replier,
    an_answer_never_given_ends_in_time_and_the_next_one_is_heard,
    a_replier_that_came_back_answers_the_first_request,
    a_request_in_the_hands_of_a_dead_replier_goes_to_its_successor,
    a_request_too_large_for_the_bus_is_refused,
    an_answer_too_large_for_the_bus_is_dropped,
);

/// Answers every request with itself and an exclamation mark, in a task of its own.
fn echo(mut replier: Replier) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Ok((payload, reply)) = replier.recv().await {
            reply.send(Bytes::from([&payload[..], b"!"].concat()));
        }
    })
}

async fn ask(requester: &Requester, text: &str) -> Bytes {
    requester.request(bytes(text), LIMIT).await.expect("answered")
}

async fn a_request_is_answered(bus: impl Bus) {
    echo(bus.replier(&at("s1.rep")).await.expect("bound"));
    let requester = bus.requester(&at("s1.rep"));
    for number in 0..100 {
        assert_eq!(ask(&requester, &number.to_string()).await, bytes(&format!("{number}!")));
    }
    assert_eq!(ask(&requester, "").await, bytes("!"), "an empty request");
}

async fn several_askers_at_once_get_each_their_own_answers(bus: impl Bus) {
    echo(bus.replier(&at("s1.rep")).await.expect("bound"));
    let askers: Vec<_> = (0..8)
        .map(|asker| {
            let requester = bus.requester(&at("s1.rep"));
            tokio::spawn(async move {
                for number in 0..50 {
                    let text = format!("{asker}/{number}");
                    assert_eq!(ask(&requester, &text).await, bytes(&format!("{text}!")));
                }
            })
        })
        .collect();
    for asker in askers {
        soon(asker).await.expect("each answer was its own");
    }
}

async fn requests_of_one_handle_wait_for_each_other(bus: impl Bus) {
    echo(bus.replier(&at("s1.rep")).await.expect("bound"));
    let requester = bus.requester(&at("s1.rep"));
    let (one, two) = tokio::join!(ask(&requester, "one"), ask(&requester, "two"));
    assert_eq!((one, two), (bytes("one!"), bytes("two!")));
}

async fn a_requester_that_was_first_is_answered_once_the_replier_exists(bus: impl Bus) {
    let requester = bus.requester(&at("s1.rep"));
    let asked = tokio::spawn(async move { ask(&requester, "early").await });
    tokio::task::yield_now().await;
    echo(bus.replier(&at("s1.rep")).await.expect("bound"));
    assert_eq!(soon(asked).await.expect("answered"), bytes("early!"));
}

async fn a_request_to_nobody_ends_in_its_time(bus: impl Bus) {
    let requester = bus.requester(&at("s1.rep"));
    let (started, limit) = (tokio::time::Instant::now(), Duration::from_millis(100));
    let answer = requester.request(bytes("hello?"), limit).await;
    assert!(matches!(&answer, Err(BusError::Timeout(at)) if at == "s1.rep"), "{answer:?}");
    assert!(started.elapsed() >= limit);
    assert!(started.elapsed() < LIMIT);
}

async fn a_late_answer_is_not_taken_for_the_next_one(bus: impl Bus) {
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let requester = bus.requester(&at("s1.rep"));
    let limit = Duration::from_secs(1);
    let (first, heard) =
        tokio::join!(requester.request(bytes("first"), limit), soon(replier.recv()));
    assert!(matches!(first, Err(BusError::Timeout(_))), "{first:?}");
    let (asked, reply) = heard.expect("heard");
    assert_eq!(asked, bytes("first"));

    let second = tokio::spawn(async move { ask(&requester, "second").await });
    tokio::task::yield_now().await;
    reply.send(bytes("to the first"));
    let (asked, reply) = soon(replier.recv()).await.expect("heard");
    assert_eq!(asked, bytes("second"));
    reply.send(bytes("to the second"));
    assert_eq!(soon(second).await.expect("answered"), bytes("to the second"));
}

async fn an_asker_that_gave_up_does_not_hold_up_the_replier(bus: impl Bus) {
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let quitter = bus.requester(&at("s1.rep"));
    let asked = tokio::spawn(async move { quitter.request(bytes("quit"), LIMIT).await });
    let (_, reply) = soon(replier.recv()).await.expect("heard");
    asked.abort();
    assert!(asked.await.expect_err("aborted").is_cancelled());
    reply.send(bytes("to nobody"));

    echo(replier);
    assert_eq!(ask(&bus.requester(&at("s1.rep")), "next").await, bytes("next!"));
}

async fn an_answer_never_given_ends_in_time_and_the_next_one_is_heard(bus: impl Bus) {
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let requester = bus.requester(&at("s1.rep"));
    let limit = Duration::from_secs(1);
    let (answer, heard) = tokio::join!(requester.request(bytes("one"), limit), async {
        soon(replier.recv()).await.map(|(payload, _)| payload)
    });
    assert!(matches!(answer, Err(BusError::Timeout(_))), "{answer:?}");
    assert_eq!(heard.expect("heard"), bytes("one"));
    echo(replier);
    assert_eq!(ask(&requester, "two").await, bytes("two!"));
}

async fn a_replier_that_came_back_answers_the_first_request(bus: impl Bus) {
    let requester = bus.requester(&at("s1.rep"));
    for _ in 0..3 {
        let replier = echo(bus.replier(&at("s1.rep")).await.expect("bound"));
        assert_eq!(ask(&requester, "there?").await, bytes("there?!"));
        replier.abort();
        assert!(replier.await.expect_err("aborted").is_cancelled());
    }
}

async fn a_request_in_the_hands_of_a_dead_replier_goes_to_its_successor(bus: impl Bus) {
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let requester = bus.requester(&at("s1.rep"));
    let asked = tokio::spawn(async move { ask(&requester, "again").await });
    let in_hand = soon(replier.recv()).await.expect("heard");
    drop((replier, in_hand));
    echo(bus.replier(&at("s1.rep")).await.expect("bound"));
    assert_eq!(soon(asked).await.expect("answered"), bytes("again!"));
}

async fn a_request_too_large_for_the_bus_is_refused(bus: impl Bus) {
    echo(bus.replier(&at("s1.rep")).await.expect("bound"));
    let requester = bus.requester(&at("s1.rep"));
    let large = Bytes::from(vec![0; crate::limits::MESSAGE_BYTES_MAX + 1]);
    let refused = requester.request(large, LIMIT).await;
    assert!(matches!(refused, Err(BusError::TooLarge(_))), "{refused:?}");
    assert_eq!(ask(&requester, "small").await, bytes("small!"));
}

async fn an_answer_too_large_for_the_bus_is_dropped(bus: impl Bus) {
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let requester = bus.requester(&at("s1.rep"));
    let limit = Duration::from_secs(1);
    let (answer, ()) = tokio::join!(requester.request(bytes("all"), limit), async {
        let (_, reply) = soon(replier.recv()).await.expect("heard");
        reply.send(Bytes::from(vec![0; crate::limits::MESSAGE_BYTES_MAX + 1]));
    });
    assert!(matches!(answer, Err(BusError::Timeout(_))), "{answer:?}");
    echo(replier);
    assert_eq!(ask(&requester, "less").await, bytes("less!"));
}
