//! What every bus promises, tried on both; what only one of them does, beside it.

mod contents;
mod memory;
mod news;
mod requests;
#[cfg(feature = "zeromq")]
mod zero;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;

use super::{Bus, Endpoint, Frames};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(20);
/// How often a test says its piece again while it waits to be heard.
const AGAIN: Duration = Duration::from_millis(5);

/// The output of `future`, within the limit.
async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it takes too long")
}

fn at(name: &str) -> Endpoint {
    Endpoint(name.to_owned())
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A message that carries `number` and a second, empty frame.
fn numbered(number: u32) -> Frames {
    vec![Bytes::copy_from_slice(&number.to_be_bytes()), Bytes::new()]
}

fn number_of(frames: &Frames) -> u32 {
    let [number, empty] = frames.as_slice() else { panic!("two frames, not {frames:?}") };
    assert!(empty.is_empty());
    u32::from_be_bytes(number[..].try_into().expect("four bytes"))
}

/// Runs each promise of a module on both buses: in memory under a paused clock, for real in real
/// time over sockets in a directory of its own.
macro_rules! promises {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test(start_paused = true)]
            async fn $name() {
                super::$name(crate::bus::MemoryBus::new(1)).await;
            })*
        }

        #[cfg(feature = "zeromq")]
        mod by_zeromq {
            $(#[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().expect("a directory");
                super::$name(crate::bus::tests::zero::bus(dir.path())).await;
            })*
        }
    };
}
use promises;
