//! The same over the real bus.

use onitu_core::bus::ZeroBus;

use super::*;

/// A source and a destination whose sockets are in `dir`.
async fn over(dir: &std::path::Path) -> (Puller, Fake, Fake, JoinSet<()>) {
    let bus = ZeroBus::new(dir.to_owned());
    let (source, here) = (Fake::default(), Fake::default());
    let router = bus.router(&Endpoint::contents(SOURCE)).await.expect("free");
    let (mut serving, plug) = (JoinSet::new(), Arc::new(source.clone()));
    serving.spawn(async move {
        let _ = serve(plug, router, crate::Hints::default()).await;
    });
    (Puller::new(Arc::new(bus)), source, here, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_small_contents_pass_the_real_bus() {
    let dir = tempfile::tempdir().expect("a directory");
    let (puller, source, here, _serving) = over(dir.path()).await;
    let sizes = [0, INLINE, INLINE + 1, 40 * MIB].into_iter().chain((0..500).map(|at| at * 7));
    let mut fetches = Vec::new();
    for (at, size) in sizes.enumerate() {
        let (path, bytes) = (path(&format!("{at}")), noise(size));
        let state = source.put(&path, Kind::File, bytes.clone());
        let (puller, here) = (puller.clone(), here.clone());
        let fetch = tokio::spawn(async move {
            let wanted = wanted(&path, state.content);
            let from = Origin { service: SOURCE, tag: state.tag };
            puller.attempt(&here, &wanted, from).await.expect("fetched");
            assert_eq!(here.bytes(&path), Some(bytes), "{size} bytes");
        });
        fetches.push(fetch);
    }
    for fetch in fetches {
        fetch.await.expect("arrived as it was");
    }
}
