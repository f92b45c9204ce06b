//! The bus and sockets of another program, which know the frames but not our tricks.

use zeromq::{
    PubSocket, RepSocket, ReqSocket, RouterSocket, Socket, SocketEvent, SocketRecv, SocketSend,
    ZmqMessage,
};

use super::*;

fn uri(dir: &Path, name: &str) -> String {
    format!("ipc://{}", dir.join(name).display())
}

fn message(frames: &[&[u8]]) -> ZmqMessage {
    let frames: Vec<_> = frames.iter().map(|frame| Bytes::copy_from_slice(frame)).collect();
    ZmqMessage::try_from(frames).expect("frames")
}

#[tokio::test]
async fn a_rep_socket_of_another_program_answers_our_requests() {
    let dir = directory();
    let mut rep = RepSocket::new();
    rep.bind(&uri(dir.path(), "s1.rep")).await.expect("bound");
    let answering = tokio::spawn(async move {
        for _ in 0..3 {
            let frames = rep.recv().await.expect("heard").into_vec();
            assert_eq!(frames.len(), 2);
            rep.send(message(&[&frames[0], b"pong"])).await.expect("answered");
        }
        rep
    });
    let requester = bus(dir.path()).requester(&at("s1.rep"));
    for _ in 0..3 {
        let answer = requester.request(bytes("ping"), LIMIT).await;
        assert_eq!(answer.expect("answered"), bytes("pong"));
    }
    answering.await.expect("no complaint");
}

#[tokio::test]
async fn an_answer_with_another_number_is_not_taken() {
    let dir = directory();
    let mut rep = RepSocket::new();
    rep.bind(&uri(dir.path(), "s1.rep")).await.expect("bound");
    let answering = tokio::spawn(async move {
        rep.recv().await.expect("heard");
        rep.send(message(&[&7_u64.to_be_bytes(), b"stale"])).await.expect("answered");
        let frames = rep.recv().await.expect("asked again").into_vec();
        rep.send(message(&[&frames[0], b"fresh"])).await.expect("answered");
        rep
    });
    let requester = bus(dir.path()).requester(&at("s1.rep"));
    let answer = requester.request(bytes("?"), LIMIT).await;
    assert_eq!(answer.expect("answered"), bytes("fresh"));
    soon(answering).await.expect("no complaint");
}

#[tokio::test]
async fn what_is_not_understood_is_passed_over() {
    let dir = directory();
    let bus = bus(dir.path());
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let mut stranger = ReqSocket::new();
    stranger.connect(&uri(dir.path(), "s1.rep")).await.expect("connected");
    stranger.send(message(&[b"just one frame"])).await.expect("sent");
    let requester = bus.requester(&at("s1.rep"));
    let (answer, ()) = tokio::join!(requester.request(bytes("?"), LIMIT), async {
        soon(replier.recv()).await.expect("heard").1.send(bytes("!"));
    });
    assert_eq!(answer.expect("answered"), bytes("!"));

    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut stranger = zeromq::DealerSocket::new();
    stranger.connect(&uri(dir.path(), "s1.router")).await.expect("connected");
    for frames in
        [&[&b"of a later version"[..], b"x"][..], &[b""], &[&[200]], &[&[2]], &[&[0], b"m"]]
    {
        stranger.send(message(frames)).await.expect("sent");
    }
    assert_eq!(soon(router.recv()).await.expect("heard").1, [bytes("m")]);
}

/// A router of another program that answers pings until it heard nothing for `quiet`.
async fn pings(socket: &mut RouterSocket, quiet: Duration) -> u32 {
    let mut count = 0;
    while let Ok(heard) = tokio::time::timeout(quiet, socket.recv()).await {
        let frames = heard.expect("heard").into_vec();
        if frames[1..] == [Bytes::from_static(&[1])] {
            count += 1;
            socket.send(message(&[&frames[0], &[2]])).await.expect("sent");
        }
    }
    count
}

#[tokio::test]
async fn an_idle_connection_is_looked_after_for_a_while_only() {
    let dir = directory();
    let mut socket = RouterSocket::new();
    socket.bind(&uri(dir.path(), "s1.router")).await.expect("bound");
    let tick = Duration::from_millis(10);
    let mut dealer = ZeroBus::with_tick(dir.path().to_owned(), tick).dealer(&at("s1.router"));
    for round in 0..2 {
        dealer.sender().send(numbered(round)).await.expect("the bus is open");
        let count = soon(pings(&mut socket, tick * 30)).await;
        assert!((10..=31).contains(&count), "{count} pings in 30 ticks");
    }
    let delivered = tokio::time::timeout(tick, dealer.recv()).await;
    assert!(delivered.is_err(), "the connection stands: {delivered:?}");
}

#[tokio::test]
async fn a_router_that_answers_no_ping_is_given_up() {
    let dir = directory();
    let mut socket = RouterSocket::new();
    socket.bind(&uri(dir.path(), "s1.router")).await.expect("bound");
    let bus = ZeroBus::with_tick(dir.path().to_owned(), Duration::from_millis(20));
    let mut dealer = bus.dealer(&at("s1.router"));
    dealer.sender().send(numbered(1)).await.expect("the bus is open");
    soon(socket.recv()).await.expect("it greets, it hears");
    assert_eq!(soon(dealer.recv()).await.expect("told"), Delivery::Reset);
}

#[tokio::test]
async fn a_publisher_that_hangs_is_connected_to_anew() {
    let dir = directory();
    let mut silent = PubSocket::new();
    let mut events = silent.monitor();
    silent.bind(&uri(dir.path(), "s1.pub")).await.expect("bound");
    let bus = ZeroBus::with_tick(dir.path().to_owned(), Duration::from_millis(20));
    let mut subscriber = bus.subscriber(&at("s1.pub"), &[String::new()]);
    let mut accepted = 0;
    while accepted < 3 {
        let event = soon(events.recv()).await.expect("an event");
        accepted += u32::from(matches!(event, SocketEvent::Accepted(..)));
    }
    // Not merely dropped: it would take its successor's file.
    silent.close().await;
    let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
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
}
