//! The traps of the `zeromq` crate that were measured, each with what the bus does about it.

mod foreign;
mod process;

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::*;
use crate::bus::{BusError, Delivery, ZeroBus};

/// A bus that looks after its connections five times as often as in earnest.
pub(super) fn bus(dir: &Path) -> ZeroBus {
    ZeroBus::with_tick(dir.to_owned(), Duration::from_millis(200))
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test]
async fn a_path_too_long_for_a_unix_socket_is_refused_with_its_length() {
    let dir = directory();
    let room = 107 - dir.path().as_os_str().len() - 1;
    bus(dir.path()).replier(&at(&"a".repeat(room))).await.expect("107 bytes are bound");
    let refused = bus(dir.path()).replier(&at(&"a".repeat(room + 1))).await;
    let Err(BusError::Bind { endpoint, reason }) = refused else { panic!("108 bytes are refused") };
    assert!(endpoint.starts_with(dir.path().to_str().expect("text")), "{endpoint}");
    assert!(reason.contains("108 bytes") && reason.contains("107"), "{reason}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_refused() {
    let dir = directory();
    let refused = bus(&dir.path().join("gone")).publisher(&at("s1.pub")).await;
    assert!(matches!(refused, Err(BusError::Bind { .. })));
}

#[tokio::test]
async fn the_socket_file_of_a_dead_process_is_replaced() {
    let dir = directory();
    let file = dir.path().join("s1.rep");
    drop(UnixListener::bind(&file).expect("bound"));
    assert!(file.exists() && UnixStream::connect(&file).is_err(), "a stale file");
    let _replier = bus(dir.path()).replier(&at("s1.rep")).await.expect("bound");
    UnixStream::connect(&file).expect("somebody listens");
    let names: Vec<_> = std::fs::read_dir(dir.path()).expect("listed").collect();
    assert_eq!(names.len(), 1, "nothing else is left behind: {names:?}");
}

#[tokio::test]
async fn a_closed_socket_does_not_take_its_successors_file() {
    let dir = directory();
    let bus = bus(dir.path());
    let mut last = bus.router(&at("s1.router")).await.expect("bound");
    for number in 0..20 {
        drop(std::mem::replace(&mut last, bus.router(&at("s1.router")).await.expect("bound")));
        let dealer = bus.dealer(&at("s1.router"));
        dealer.sender().send(numbered(number)).await.expect("the bus is open");
        let (_, frames) = soon(last.recv()).await.expect("heard");
        assert_eq!(number_of(&frames), number);
    }
}

#[tokio::test]
async fn a_dealer_notices_a_router_that_hangs() {
    let dir = directory();
    let bus = ZeroBus::with_tick(dir.path().to_owned(), Duration::from_millis(20));
    // The kernel accepts for it; no greeting ever comes.
    let hanging = UnixListener::bind(dir.path().join("s1.router")).expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    dealer.sender().send(numbered(1)).await.expect("the bus is open");
    assert_eq!(soon(dealer.recv()).await.expect("told"), Delivery::Reset);
    drop(hanging);
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    dealer.sender().send(numbered(2)).await.expect("the bus is open");
    assert_eq!(number_of(&soon(router.recv()).await.expect("heard").1), 2);
}

#[tokio::test]
async fn a_router_whose_owner_does_not_listen_keeps_its_dealers() {
    let dir = directory();
    let tick = Duration::from_millis(20);
    let bus = ZeroBus::with_tick(dir.path().to_owned(), tick);
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    for number in 0..1_000 {
        soon(dealer.sender().send(numbered(number))).await.expect("the bus is open");
    }
    let silence = tokio::time::timeout(tick * 25, dealer.recv()).await;
    assert!(silence.is_err(), "the router is slow, not dead: {silence:?}");
    for number in 0..1_000 {
        assert_eq!(number_of(&soon(router.recv()).await.expect("heard").1), number);
    }
}

#[tokio::test]
async fn a_dealer_that_does_not_listen_does_not_take_its_router_for_dead() {
    let dir = directory();
    let tick = Duration::from_millis(20);
    let bus = ZeroBus::with_tick(dir.path().to_owned(), tick);
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut dealer = bus.dealer(&at("s1.router"));
    dealer.sender().send(numbered(0)).await.expect("the bus is open");
    let (peer, _) = soon(router.recv()).await.expect("heard");
    for number in 0..100 {
        router.sender().send((peer.clone(), numbered(number))).await.expect("the bus is open");
    }
    let idle = tokio::time::timeout(tick * 25, router.recv()).await;
    assert!(idle.is_err(), "nothing was said: {idle:?}");
    for expected in 0..100 {
        let Ok(Delivery::Message(frames)) = soon(dealer.recv()).await else { panic!("reset") };
        assert_eq!(number_of(&frames), expected);
    }
}
