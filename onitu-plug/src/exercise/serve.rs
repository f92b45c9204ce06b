//! The pipes: frames in, frames out, each on a thread of its own.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;

use super::desk::Desk;
use super::frame::{FrameError, from_frame, read_frame};
use super::words::Ask;
use crate::plug::Plug;

/// Most frames that wait to be looked at, and to be written.
const FRAMES_MAX: usize = 16;
/// The longest a driver may take to end its blocking work when its stdin has ended.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Serves the driver over stdin and stdout until stdin ends.
pub(crate) fn serve<P: Plug>() -> ExitCode {
    let threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let Ok(threads) = threads else {
        tracing::error!("can't start threads");
        return ExitCode::FAILURE;
    };
    let (asks, asked) = mpsc::channel(FRAMES_MAX);
    let (out, frames) = mpsc::channel(FRAMES_MAX);
    std::thread::spawn(move || listen(std::io::stdin().lock(), &asks));
    let writer = std::thread::spawn(move || speak(std::io::stdout().lock(), frames));
    let end = threads.block_on(serve_frames::<P>(asked, out));
    threads.shutdown_timeout(STOP_LIMIT);
    let end = end.and_then(|()| {
        let written = writer.join();
        written.unwrap_or(Ok(())).map_err(FrameError::from)
    });
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries out what is asked, in order, until there is no more.
pub(super) async fn serve_frames<P: Plug>(
    mut asked: mpsc::Receiver<Result<Ask, FrameError>>,
    out: mpsc::Sender<Vec<u8>>,
) -> Result<(), FrameError> {
    let mut desk = Desk::<P>::new(out);
    let end = loop {
        match asked.recv().await {
            None => break Ok(()),
            Some(Ok(ask)) => desk.take(ask).await,
            Some(Err(error)) => break Err(error),
        }
    };
    desk.close().await;
    end
}

/// Reads until the pipe ends or breaks, or nobody wants to know.
fn listen(mut pipe: impl Read, asks: &mpsc::Sender<Result<Ask, FrameError>>) {
    loop {
        let ask = match read_frame(&mut pipe) {
            Ok(None) => return,
            Ok(Some(frame)) => from_frame(&frame),
            Err(error) => Err(error),
        };
        let is_last = ask.is_err();
        if asks.blocking_send(ask).is_err() || is_last {
            return;
        }
    }
}

/// Writes until there is no more to say.
fn speak(mut pipe: impl Write, mut frames: mpsc::Receiver<Vec<u8>>) -> std::io::Result<()> {
    while let Some(frame) = frames.blocking_recv() {
        pipe.write_all(&frame)?;
        pipe.flush()?;
    }
    Ok(())
}
