//! The server's clock, as its file system writes it down: in whole seconds.
//!
//! A file whose time is the second that isn't over may be changed again, keep its size and look
//! the same. So such a file is looked at when the second is over; any change from then on gives it
//! another time. What the clock says is found out by writing a byte to a file of the driver's own.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use crate::fault::Failure;
use crate::lane::Handle;
use crate::wire::request::Request;

/// Between two looks at the clock while a second is waited for.
const PAUSE: Duration = Duration::from_millis(40);
/// A second is over after one second, whatever a network adds to it.
const LIMIT: Duration = Duration::from_secs(10);

/// The server's clock.
pub(crate) struct Clock {
    file: Handle,
    /// The latest second that it told.
    told: Mutex<u32>,
}

impl Clock {
    /// Reads the clock from `file`, which is open for writing.
    pub(crate) async fn new(file: Handle) -> Result<Self, Failure> {
        let clock = Self { file, told: Mutex::new(0) };
        let now_s = clock.ask().await?;
        *clock.told.lock().await = now_s;
        Ok(clock)
    }

    async fn ask(&self) -> Result<u32, Failure> {
        let raw = self.file.raw();
        let write = Request::write(raw, 0, Bytes::from_static(b"."));
        let [written, stat] = self.file.lane().send([write, Request::fstat(raw)]).await?;
        written.done().await?;
        Ok(stat.attrs().await?.ok_or(Failure::Odd)?.mtime_s())
    }

    /// The latest second it is known to have reached.
    pub(crate) async fn reached(&self) -> u32 {
        *self.told.lock().await
    }

    /// The second it shows now.
    pub(crate) async fn now(&self) -> Result<u32, Failure> {
        let mut told = self.told.lock().await;
        *told = self.ask().await?;
        Ok(*told)
    }

    /// Waits until the second `mtime_s` is over, if it is the current one; tells whether it may
    /// have been when this was called, so that what was seen before has to be looked at again.
    pub(crate) async fn settle(&self, mtime_s: u32) -> Result<bool, Failure> {
        let mut told = self.told.lock().await;
        if mtime_s < *told {
            return Ok(false);
        }
        let began = Instant::now();
        let mut waited = false;
        loop {
            *told = self.ask().await?;
            // A time in the future is as good as one in the past: a change gives it another one.
            if mtime_s != *told || began.elapsed() > LIMIT {
                // One in the past may have been the current one when the file was seen.
                return Ok(waited || mtime_s < *told);
            }
            waited = true;
            sleep(PAUSE).await;
        }
    }
}
