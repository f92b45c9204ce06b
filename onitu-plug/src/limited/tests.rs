use bytes::Bytes;
use futures_util::future::join_all;

use super::*;

/// Gives and takes zeros for ever.
struct Endless;

impl Source for Endless {
    fn content(&self) -> Content {
        Content::DIRECTORY
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        Ok(Bytes::from(vec![0; max as usize]))
    }
}

impl Sink for Endless {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        Ok((0, Hasher::default()))
    }

    async fn write(&mut self, _bytes: Bytes) -> Result<(), Fault> {
        Ok(())
    }

    async fn place(self, _content: Content, _expect: Option<Tag>) -> Result<State, Fault> {
        Err(Fault::new(onitu_core::FaultKind::Unsupported, "never placed"))
    }

    async fn discard(self) {}
}

const RATE: u64 = 100_000;

fn pace(between: Option<(u16, u16)>) -> Arc<Pace> {
    let debt = || Mutex::new(Debt::new(Instant::now()));
    Arc::new(Pace { limit: Limit { bytes_per_s: RATE, between }, read: debt(), written: debt() })
}

/// How long one source takes to give `total` bytes.
async fn read(pace: Arc<Pace>, total: usize) -> Duration {
    let began = Instant::now();
    let mut source = LimitedSource { inner: Endless, pace: Some(pace) };
    let mut done = 0;
    while done < total {
        done += source.next(64 * 1024).await.expect("zeros").len();
    }
    began.elapsed()
}

async fn write(pace: Arc<Pace>, total: usize) -> Duration {
    let began = Instant::now();
    let mut sink = LimitedSink { inner: Endless, pace: Some(pace) };
    for _ in 0..total / 50_000 {
        sink.write(Bytes::from(vec![0; 50_000])).await.expect("taken");
    }
    began.elapsed()
}

fn is_about(took: Duration, seconds: f64) {
    let took = took.as_secs_f64();
    assert!((took - seconds).abs() < 0.8, "took {took} s, not {seconds}");
}

#[tokio::test(start_paused = true)]
async fn a_service_is_read_and_written_at_its_rate_each_way() {
    let pace = pace(None);
    let (given, taken) =
        tokio::join!(read(pace.clone(), 1_000_000), write(pace.clone(), 1_000_000));
    is_about(given, 10.0);
    is_about(taken, 10.0);
}

#[tokio::test(start_paused = true)]
async fn many_transfers_share_the_rate_and_none_starves() {
    let pace = pace(None);
    let took = join_all((0..10).map(|_| read(pace.clone(), 200_000))).await;
    for took in took {
        assert!(took.as_secs_f64() > 15.0, "all end near the end: {took:?}");
        assert!(took.as_secs_f64() < 26.0, "together no slower than the rate: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn outside_of_the_hours_nothing_is_limited_and_the_hours_end_while_it_waits() {
    // The day of a simulated machine begins somewhere within a minute of this one.
    clock::simulate(1_700_000_000_000);
    let now = minute_of_day();
    let later = (now + 60) % 1_440;
    is_about(read(pace(Some((later, (later + 1) % 1_440))), 10_000_000).await, 0.0);
    // Until the next minute but one begins it is limited, then the rest comes at once.
    let took = read(pace(Some((now, (now + 2) % 1_440))), 1_000_000_000).await;
    assert!(took > Duration::from_secs(55) && took < Duration::from_secs(125), "{took:?}");
}
