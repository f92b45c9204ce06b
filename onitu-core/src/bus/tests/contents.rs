use super::*;
use crate::bus::{BusError, Dealer, Delivery, Peer, Router};

promises!(
    messages_go_both_ways_in_order,
    a_router_tells_its_dealers_apart,
    a_dealer_that_was_first_is_heard_once_the_router_exists,
    a_dealer_is_told_when_its_router_went_and_goes_on_with_the_next,
    a_dealer_is_told_when_nobody_is_there,
    a_router_that_does_not_listen_yet_hears_everything_later,
    a_dealer_that_does_not_listen_yet_hears_everything_later,
    a_router_goes_on_after_a_dealer_went_away,
    nothing_is_lost_by_closing,
    closing_waits_until_the_router_took_everything,
    closing_tells_when_nobody_acknowledged,
    a_message_too_large_for_the_bus_breaks_the_dealers_connection_only,
);

async fn say(dealer: &Dealer, number: u32) {
    soon(dealer.sender().send(numbered(number))).await.expect("the bus is open");
}

async fn answer(router: &Router, peer: &Peer, number: u32) {
    let message = (peer.clone(), numbered(number));
    soon(router.sender().send(message)).await.expect("the bus is open");
}

/// The number the router hears next, and from whom.
async fn asked(router: &mut Router) -> (Peer, u32) {
    let (peer, frames) = soon(router.recv()).await.expect("heard");
    (peer, number_of(&frames))
}

/// The number the dealer hears next.
async fn told(dealer: &mut Dealer) -> u32 {
    match soon(dealer.recv()).await.expect("heard") {
        Delivery::Message(frames) => number_of(&frames),
        Delivery::Reset => panic!("the connection was lost"),
    }
}

async fn reset(dealer: &mut Dealer) {
    assert_eq!(soon(dealer.recv()).await.expect("heard"), Delivery::Reset);
}

async fn messages_go_both_ways_in_order(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    let sender = dealer.sender();
    let saying = tokio::spawn(async move {
        for number in 0..1_000 {
            sender.send(numbered(number)).await.expect("the bus is open");
        }
    });
    let answering = tokio::spawn(async move {
        for expected in 0..1_000 {
            let (peer, number) = asked(&mut router).await;
            assert_eq!(number, expected);
            answer(&router, &peer, number + 1).await;
        }
        router
    });
    for number in 0..1_000 {
        assert_eq!(told(&mut dealer).await, number + 1);
    }
    soon(saying).await.expect("said");
    soon(answering).await.expect("in order");
}

async fn a_router_tells_its_dealers_apart(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealers: Vec<_> = (0..5).map(|_| bus.dealer(&at("s1.router"))).collect();
    for (number, dealer) in (0..).zip(&dealers) {
        say(dealer, number).await;
    }
    for _ in 0..5 {
        let (peer, number) = asked(&mut router).await;
        answer(&router, &peer, number).await;
    }
    for (number, dealer) in (0..).zip(&mut dealers) {
        assert_eq!(told(dealer).await, number);
    }
}

async fn a_dealer_that_was_first_is_heard_once_the_router_exists(bus: impl Bus) {
    let dealer = bus.dealer(&at("s1.router"));
    say(&dealer, 7).await;
    tokio::task::yield_now().await;
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    assert_eq!(asked(&mut router).await.1, 7);
}

async fn a_dealer_is_told_when_its_router_went_and_goes_on_with_the_next(bus: impl Bus) {
    let mut dealer = bus.dealer(&at("s1.router"));
    for number in 0..3 {
        let mut router = bus.router(&at("s1.router")).await.expect("bound");
        say(&dealer, number).await;
        let (peer, heard) = asked(&mut router).await;
        assert_eq!(heard, number);
        answer(&router, &peer, number).await;
        assert_eq!(told(&mut dealer).await, number);
        drop(router);
        reset(&mut dealer).await;
    }
}

async fn a_dealer_is_told_when_nobody_is_there(bus: impl Bus) {
    let mut dealer = bus.dealer(&at("s1.router"));
    say(&dealer, 1).await;
    say(&dealer, 2).await;
    reset(&mut dealer).await;

    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    say(&dealer, 3).await;
    assert_eq!(asked(&mut router).await.1, 3, "what was void isn't sent again");
}

async fn a_router_that_does_not_listen_yet_hears_everything_later(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let dealer = bus.dealer(&at("s1.router"));
    for number in 0..5_000 {
        let sent = tokio::time::timeout(AGAIN * 20, dealer.sender().send(numbered(number))).await;
        if sent.is_err() {
            // Full: from here on both sides work at once.
            assert!(number > 256, "there is some room");
            let sender = dealer.sender();
            tokio::spawn(async move {
                for number in number..5_000 {
                    sender.send(numbered(number)).await.expect("the bus is open");
                }
            });
            break;
        }
    }
    for number in 0..5_000 {
        assert_eq!(asked(&mut router).await.1, number);
    }
}

async fn a_dealer_that_does_not_listen_yet_hears_everything_later(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    say(&dealer, 0).await;
    let (peer, _) = asked(&mut router).await;
    for number in 0..2_000 {
        answer(&router, &peer, number).await;
    }
    // While it isn't listening it can speak.
    say(&dealer, 1).await;
    assert_eq!(asked(&mut router).await.1, 1);
    for number in 0..2_000 {
        assert_eq!(told(&mut dealer).await, number);
    }
}

async fn a_router_goes_on_after_a_dealer_went_away(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let gone = bus.dealer(&at("s1.router"));
    say(&gone, 1).await;
    let (peer, _) = asked(&mut router).await;
    drop(gone);
    for number in 0..100 {
        answer(&router, &peer, number).await;
    }
    let mut dealer = bus.dealer(&at("s1.router"));
    say(&dealer, 2).await;
    let (other, number) = asked(&mut router).await;
    assert_ne!(other, peer);
    answer(&router, &other, number).await;
    assert_eq!(told(&mut dealer).await, 2);
}

async fn nothing_is_lost_by_closing(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let dealer = bus.dealer(&at("s1.router"));
    let hearing = tokio::spawn(async move {
        for number in 0..2_000 {
            assert_eq!(asked(&mut router).await.1, number);
        }
        router
    });
    for number in 0..2_000 {
        say(&dealer, number).await;
    }
    dealer.close(LIMIT).await.expect("acknowledged");
    soon(hearing).await.expect("all of it");
}

async fn closing_waits_until_the_router_took_everything(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let dealer = bus.dealer(&at("s1.router"));
    let sender = dealer.sender();
    // More than the router's own queue has room for.
    let saying = tokio::spawn(async move {
        for number in 0..1_500 {
            sender.send(numbered(number)).await.expect("the bus is open");
        }
    });
    assert_eq!(asked(&mut router).await.1, 0);
    let mut closing = tokio::spawn(dealer.close(LIMIT));
    for number in 1..1_000 {
        assert_eq!(asked(&mut router).await.1, number);
    }
    soon(saying).await.expect("said");
    let closed = tokio::time::timeout(AGAIN * 20, &mut closing).await;
    assert!(closed.is_err(), "500 messages are still to be taken");
    for number in 1_000..1_500 {
        assert_eq!(asked(&mut router).await.1, number);
    }
    soon(closing).await.expect("no panic").expect("acknowledged");
}

async fn closing_tells_when_nobody_acknowledged(bus: impl Bus) {
    bus.dealer(&at("s1.router")).close(LIMIT).await.expect("nothing was sent");

    let dealer = bus.dealer(&at("s1.router"));
    say(&dealer, 1).await;
    let closed = dealer.close(LIMIT).await;
    assert!(matches!(closed, Err(BusError::Timeout(_))), "{closed:?}");
}

async fn a_message_too_large_for_the_bus_breaks_the_dealers_connection_only(bus: impl Bus) {
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    let large = Bytes::from(vec![0; crate::limits::MESSAGE_BYTES_MAX]);
    dealer.sender().send(vec![large.clone(), bytes("more")]).await.expect("the bus is open");
    reset(&mut dealer).await;
    say(&dealer, 1).await;
    let (peer, _) = asked(&mut router).await;
    router.sender().send((peer.clone(), vec![large.clone(), bytes("")])).await.expect("open");
    match soon(dealer.recv()).await.expect("heard") {
        Delivery::Message(frames) => assert_eq!(frames, [large, bytes("")], "just small enough"),
        Delivery::Reset => panic!("the connection was lost"),
    }
}
