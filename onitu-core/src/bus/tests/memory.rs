use std::fmt::Write as _;

use super::*;
use crate::bus::{Delivery, MemoryBus, Weather};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Everything that can go wrong does, often.
fn storm() -> Weather {
    Weather {
        lose_news: 0.2,
        double_news: 0.2,
        reorder_news: true,
        lose_request: 0.1,
        lose_answer: 0.1,
        reset_dealer: 0.05,
        delay: 0.5,
        delay_by: ms(1)..=ms(50),
    }
}

fn hundred() -> Vec<u32> {
    (0..100).collect()
}

/// The news 0 to 99, as one subscriber hears it.
async fn hundred_news(bus: &MemoryBus) -> Vec<u32> {
    let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
    let mut subscriber = bus.subscriber(&at("s1.pub"), &[String::new()]);
    for number in 0..100_u32 {
        publisher.send("count", Bytes::from(number.to_be_bytes().to_vec())).await.expect("sent");
        tokio::time::sleep(ms(10)).await;
    }
    let mut heard = Vec::new();
    while let Ok(news) = tokio::time::timeout(ms(1_000), subscriber.recv()).await {
        let payload = news.expect("the bus is open").1;
        heard.push(u32::from_be_bytes(payload[..].try_into().expect("four bytes")));
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn in_calm_weather_everything_arrives_at_once() {
    let bus = MemoryBus::new(1);
    assert_eq!(hundred_news(&bus).await, hundred());

    let started = tokio::time::Instant::now();
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let requester = bus.requester(&at("s1.rep"));
    let (answer, ()) = tokio::join!(requester.request(bytes("now"), ms(1)), async {
        replier.recv().await.expect("heard").1.send(bytes("done"));
    });
    assert_eq!(answer.expect("answered"), bytes("done"));
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn news_is_lost_as_often_as_the_weather_says() {
    let bus = MemoryBus::new(2);
    bus.set_weather(Weather { lose_news: 0.5, ..Weather::default() });
    let heard = hundred_news(&bus).await;
    assert!((30..70).contains(&heard.len()), "{} of 100", heard.len());
    assert!(heard.is_sorted(), "in order: {heard:?}");
    bus.set_weather(Weather { lose_news: 1.0, ..bus.weather() });
    assert_eq!(hundred_news(&bus).await, Vec::<u32>::new());
}

#[tokio::test(start_paused = true)]
async fn news_is_doubled_as_often_as_the_weather_says() {
    let bus = MemoryBus::new(3);
    bus.set_weather(Weather { double_news: 0.5, ..Weather::default() });
    let mut heard = hundred_news(&bus).await;
    assert!((130..170).contains(&heard.len()), "{} for 100", heard.len());
    heard.dedup();
    assert_eq!(heard, hundred());
}

#[tokio::test(start_paused = true)]
async fn delayed_news_is_overtaken_only_if_the_weather_says_so() {
    let bus = MemoryBus::new(4);
    let mut weather = Weather { delay: 0.5, delay_by: ms(1)..=ms(100), ..Weather::default() };
    bus.set_weather(weather.clone());
    assert_eq!(hundred_news(&bus).await, hundred());
    weather.reorder_news = true;
    bus.set_weather(weather);
    let mut heard = hundred_news(&bus).await;
    assert!(!heard.is_sorted(), "some was overtaken");
    heard.sort_unstable();
    assert_eq!(heard, hundred());
}

/// Whether a request made in this weather was heard, and whether it was answered.
async fn asked(weather: Weather) -> (bool, bool) {
    let bus = MemoryBus::new(5);
    bus.set_weather(weather);
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let requester = bus.requester(&at("s1.rep"));
    let (answer, heard) = tokio::join!(requester.request(bytes("?"), ms(1_000)), async {
        let heard = tokio::time::timeout(ms(500), replier.recv()).await;
        heard.map(|heard| heard.expect("the bus is open").1.send(bytes("!"))).is_ok()
    });
    (heard, answer.is_ok())
}

#[tokio::test(start_paused = true)]
async fn a_request_or_its_answer_is_lost_when_the_weather_says_so() {
    assert_eq!(asked(Weather::default()).await, (true, true));
    let lost = Weather { lose_request: 1.0, ..Weather::default() };
    assert_eq!(asked(lost).await, (false, false));
    let lost = Weather { lose_answer: 1.0, ..Weather::default() };
    assert_eq!(asked(lost).await, (true, false));
    let late = Weather { delay: 1.0, delay_by: ms(600)..=ms(700), ..Weather::default() };
    assert_eq!(asked(late).await, (false, false));
}

#[tokio::test(start_paused = true)]
async fn a_dealers_messages_are_delayed_without_losing_their_order() {
    let bus = MemoryBus::new(6);
    bus.set_weather(Weather { delay: 0.5, delay_by: ms(5)..=ms(50), ..Weather::default() });
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    let started = tokio::time::Instant::now();
    for number in 0..200 {
        dealer.sender().send(numbered(number)).await.expect("the bus is open");
    }
    for expected in 0..200 {
        let (peer, frames) = soon(router.recv()).await.expect("heard");
        assert_eq!(number_of(&frames), expected);
        router.sender().send((peer, frames)).await.expect("the bus is open");
    }
    for expected in 0..200 {
        let Ok(Delivery::Message(frames)) = soon(dealer.recv()).await else { panic!("reset") };
        assert_eq!(number_of(&frames), expected);
    }
    assert!(started.elapsed() >= ms(10), "it took {:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dealers_connection_breaks_when_the_weather_says_so() {
    let bus = MemoryBus::new(7);
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    bus.set_weather(Weather { reset_dealer: 1.0, ..Weather::default() });
    dealer.sender().send(numbered(1)).await.expect("the bus is open");
    assert_eq!(soon(dealer.recv()).await.expect("told"), Delivery::Reset);
    bus.set_weather(Weather::default());
    dealer.sender().send(numbered(2)).await.expect("the bus is open");
    let (peer, frames) = soon(router.recv()).await.expect("heard");
    assert_eq!(number_of(&frames), 2, "the first one was lost");

    bus.set_weather(Weather { reset_dealer: 1.0, ..Weather::default() });
    router.sender().send((peer, numbered(3))).await.expect("the bus is open");
    assert_eq!(soon(dealer.recv()).await.expect("told"), Delivery::Reset, "the answer was lost");
}

/// All that a small crowd hears in a storm, with the time of each.
fn stormy_run(seed: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let bus = MemoryBus::new(seed);
        bus.set_weather(storm());
        let started = tokio::time::Instant::now();
        let mut log = String::new();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for service in 0..4 {
            tokio::spawn(crowd(bus.clone(), service, tell.clone()));
        }
        drop(tell);
        while let Some(line) = told.recv().await {
            writeln!(log, "{:?} {line}", started.elapsed()).expect("a string");
        }
        log
    })
}

/// One of a crowd: it hears its neighbour's news, asks it, sends it messages, and crashes once.
async fn crowd(bus: MemoryBus, me: u32, tell: tokio::sync::mpsc::UnboundedSender<String>) {
    let name = |service: u32, kind: &str| at(&format!("s{}.{kind}", service % 4));
    let mut news = bus.subscriber(&name(me + 1, "pub"), &[String::new()]);
    let requester = bus.requester(&name(me + 1, "rep"));
    let mut dealer = bus.dealer(&name(me + 1, "router"));
    for life in 0..2 {
        let publisher = bus.publisher(&name(me, "pub")).await.expect("bound");
        let mut replier = bus.replier(&name(me, "rep")).await.expect("bound");
        let mut router = bus.router(&name(me, "router")).await.expect("bound");
        for round in 0..50_u32 {
            publisher.send("n", bytes(&round.to_string())).await.expect("sent");
            let _ = dealer.sender().try_send(numbered(round));
            let asking = requester.request(bytes(&round.to_string()), ms(15));
            let until = tokio::time::sleep(ms(20));
            tokio::pin!(asking, until);
            let mut asked = false;
            loop {
                let line = tokio::select! {
                    biased;
                    heard = news.recv() => format!("heard {heard:?}"),
                    told = dealer.recv() => format!("told {told:?}"),
                    Ok((payload, reply)) = replier.recv() => {
                        reply.send(payload.clone());
                        format!("answered {payload:?}")
                    }
                    Ok((peer, frames)) = router.recv() => {
                        let line = format!("routed {frames:?} of {peer:?}");
                        let _ = router.sender().try_send((peer, frames));
                        line
                    }
                    answer = &mut asking, if !asked => {
                        asked = true;
                        format!("answer {answer:?}")
                    }
                    () = &mut until => break,
                };
                let _ = tell.send(format!("s{me} life {life} round {round}: {line}"));
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..5 {
        let run = stormy_run(seed);
        for event in ["heard", "answered", "answer Ok", "answer Err", "routed", "told Ok(Reset)"] {
            assert!(run.contains(event), "{event} is part of a storm");
        }
        assert!(run == stormy_run(seed), "seed {seed} ran otherwise the second time");
        assert!(run != stormy_run(seed + 1), "another seed is another run");
    }
}
