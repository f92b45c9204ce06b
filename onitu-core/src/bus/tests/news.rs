use super::*;
use crate::bus::{BusError, Publisher, Subscriber};

promises!(
    a_subscriber_hears_its_topics_in_order_and_no_others,
    a_subscriber_that_was_first_hears_the_publisher_once_it_exists,
    a_subscriber_hears_a_publisher_that_came_back,
    every_subscriber_hears_all_news,
    a_listening_publisher_is_replaced_by_the_next_one,
    news_too_large_for_the_bus_is_refused,
);

/// Says `hello` until `subscriber` hears it, then a last word, and hears up to that.
async fn meet(publisher: &Publisher, subscriber: &mut Subscriber) {
    let again = async {
        loop {
            publisher.send("news", bytes("hello")).await.expect("sent");
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::select! {
        () = again => unreachable!("it never ends"),
        heard = soon(subscriber.recv()) => assert_eq!(heard.expect("heard").1, bytes("hello")),
    }
    publisher.send("news", bytes("last")).await.expect("sent");
    while soon(subscriber.recv()).await.expect("heard").1 != bytes("last") {}
}

fn everything(bus: &impl Bus, at: &Endpoint) -> Subscriber {
    bus.subscriber(at, &[String::new()])
}

async fn a_subscriber_hears_its_topics_in_order_and_no_others(bus: impl Bus) {
    let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
    let topics = ["news".to_owned(), "s04".to_owned(), "s1".to_owned()];
    let mut subscriber = bus.subscriber(&at("s1.pub"), &topics);
    meet(&publisher, &mut subscriber).await;

    for (number, topic) in ["s04", "s05", "s10", "other", "s04"].into_iter().enumerate() {
        publisher.send(topic, bytes(&number.to_string())).await.expect("sent");
    }
    for (topic, number) in [("s04", "0"), ("s10", "2"), ("s04", "4")] {
        let heard = soon(subscriber.recv()).await.expect("heard");
        assert_eq!(heard, (topic.to_owned(), bytes(number)));
    }
}

async fn a_subscriber_that_was_first_hears_the_publisher_once_it_exists(bus: impl Bus) {
    let mut subscriber = everything(&bus, &at("s1.pub"));
    assert!(tokio::time::timeout(AGAIN * 10, subscriber.recv()).await.is_err(), "nobody speaks");
    let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
    meet(&publisher, &mut subscriber).await;
}

async fn a_subscriber_hears_a_publisher_that_came_back(bus: impl Bus) {
    let mut subscriber = everything(&bus, &at("s1.pub"));
    for _ in 0..3 {
        let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
        meet(&publisher, &mut subscriber).await;
    }
}

async fn every_subscriber_hears_all_news(bus: impl Bus) {
    let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
    let mut subscribers: Vec<_> = (0..3).map(|_| everything(&bus, &at("s1.pub"))).collect();
    for subscriber in &mut subscribers {
        meet(&publisher, subscriber).await;
    }
    for number in 0..200 {
        publisher.send("count", bytes(&number.to_string())).await.expect("sent");
    }
    for subscriber in &mut subscribers {
        let mut expected = 0;
        while expected < 200 {
            let (topic, payload) = soon(subscriber.recv()).await.expect("heard");
            // The others' greetings stand before.
            if topic == "count" {
                assert_eq!(payload, bytes(&expected.to_string()));
                expected += 1;
            }
        }
    }
}

async fn a_listening_publisher_is_replaced_by_the_next_one(bus: impl Bus) {
    let old = bus.publisher(&at("s1.pub")).await.expect("bound");
    let new = bus.publisher(&at("s1.pub")).await.expect("bound");
    let mut subscriber = everything(&bus, &at("s1.pub"));
    meet(&new, &mut subscriber).await;
    drop(old);
    let mut late = everything(&bus, &at("s1.pub"));
    meet(&new, &mut late).await;
}

async fn news_too_large_for_the_bus_is_refused(bus: impl Bus) {
    let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
    let large = Bytes::from(vec![0; crate::limits::MESSAGE_BYTES_MAX]);
    let refused = publisher.send("topic", large).await;
    assert!(matches!(refused, Err(BusError::TooLarge(_))), "{refused:?}");
    let mut subscriber = everything(&bus, &at("s1.pub"));
    meet(&publisher, &mut subscriber).await;
}
