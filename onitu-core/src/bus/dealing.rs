//! What both buses do for a dealer beside carrying its messages.

use tokio::sync::mpsc;

use super::{Delivery, Frames};

/// Tells that the connection was lost. What waits to be sent was meant for the lost one, so it is
/// thrown away; were it kept, a dealer that waits for room to send would never come to hear this.
pub(super) async fn reset(out: &mut mpsc::Receiver<Frames>, heard: &mpsc::Sender<Delivery>) {
    loop {
        tokio::select! {
            biased;
            Some(_) = out.recv() => {}
            permit = heard.reserve() => {
                if let Ok(permit) = permit {
                    permit.send(Delivery::Reset);
                }
                return;
            }
        }
    }
}

/// The size of a message, all frames together.
pub(super) fn bytes_of(frames: &Frames) -> usize {
    frames.iter().map(bytes::Bytes::len).sum()
}
