//! Another process, ended the hard way.

use std::process::{Child, Command, Stdio};

use super::*;

/// Set in the other process: where its sockets are.
const DIRECTORY: &str = "ONITU_TEST_BUS_DIRECTORY";

/// A test of this module, run once more as the other process.
struct Other(Child);

impl Other {
    fn start(test: &str, dir: &Path) -> Self {
        let module = module_path!().split_once("::").expect("a crate and a module").1;
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", &format!("{module}::{test}")])
            .env(DIRECTORY, dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("started");
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().expect("killed");
        assert!(!self.0.wait().expect("ended").success(), "it didn't end by itself");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the other process does: it speaks on all sockets until it is killed.
async fn serve(bus: impl Bus) {
    let publisher = bus.publisher(&at("s1.pub")).await.expect("bound");
    let mut replier = bus.replier(&at("s1.rep")).await.expect("bound");
    let mut router = bus.router(&at("s1.router")).await.expect("bound");
    let mut again = tokio::time::interval(AGAIN);
    let who = bytes(&std::process::id().to_string());
    loop {
        tokio::select! {
            _ = again.tick() => publisher.send("news", who.clone()).await.expect("sent"),
            asked = replier.recv() => asked.expect("heard").1.send(who.clone()),
            heard = router.recv() => {
                let (peer, _) = heard.expect("heard");
                router.sender().send((peer, vec![who.clone()])).await.expect("sent");
            }
        }
    }
}

#[tokio::test]
async fn traffic_goes_on_after_the_other_process_was_killed() {
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        let served = tokio::time::timeout(LIMIT * 3, serve(ZeroBus::new(dir.into()))).await;
        panic!("nobody killed this process: {served:?}");
    }
    let dir = directory();
    let bus = bus(dir.path());
    let mut subscriber = bus.subscriber(&at("s1.pub"), &["news".to_owned()]);
    let requester = bus.requester(&at("s1.rep"));
    let mut dealer = bus.dealer(&at("s1.router"));
    for _ in 0..3 {
        let other = Other::start("traffic_goes_on_after_the_other_process_was_killed", dir.path());
        let who = bytes(&other.0.id().to_string());
        // What the one before said last may still be on its way.
        while soon(subscriber.recv()).await.expect("heard").1 != who {}
        assert_eq!(requester.request(bytes("who?"), LIMIT).await.expect("answered"), who);
        let told = loop {
            soon(dealer.sender().send(vec![bytes("who?")])).await.expect("the bus is open");
            // Should the other be slow to start, the first message may be given up.
            if let Delivery::Message(frames) = soon(dealer.recv()).await.expect("heard") {
                break frames;
            }
        };
        assert_eq!(told, [who]);
        other.kill();
        assert_eq!(soon(dealer.recv()).await.expect("told"), Delivery::Reset);
    }
}

#[tokio::test]
async fn what_a_process_says_before_it_closes_and_exits_is_heard() {
    // Far more than a socket's buffer holds.
    const MESSAGES: u32 = 2_000;
    let message = |number: u32| vec![Bytes::from(number.to_be_bytes().repeat(4_096))];
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        let dealer = ZeroBus::new(dir.into()).dealer(&at("s1.router"));
        for number in 0..MESSAGES {
            dealer.sender().send(message(number)).await.expect("the bus is open");
        }
        dealer.close(LIMIT).await.expect("acknowledged");
        std::process::exit(0);
    }
    let dir = directory();
    let mut router = bus(dir.path()).router(&at("s1.router")).await.expect("bound");
    let _other =
        Other::start("what_a_process_says_before_it_closes_and_exits_is_heard", dir.path());
    for expected in 0..MESSAGES {
        let (_, frames) = soon(router.recv()).await.expect("heard");
        assert!(frames == message(expected), "message {expected} isn't the next one");
    }
}
