//! What dealers and routers say to each other. The first frame of every message is one byte, its [`Kind`]; only those of
//! [`Kind::Message`] have more and are seen above.
//!
//! A dealer connects when it has something to say. The end of its connection is seen at once; that
//! a router hangs is seen by a ping unanswered. Pings are answered here, not above, so they tell
//! that the process runs, and a router whose owner is slow to listen says unasked that it lives.
//! Messages that wait for their owner are bounded, so a side that doesn't listen isn't read from;
//! what the other side then has under way must be bounded there, by credits.

use bytes::Bytes;
use zeromq::ZmqMessage;

use crate::bus::dealing::bytes_of;
use crate::bus::{BusError, Frames, fits};

/// What the first frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The frames after this one belong to those above.
    Message,
    /// Say that you live.
    Ping,
    /// I live.
    Pong,
    /// Nothing follows; say it back when everything before was heard.
    Bye,
}

impl Kind {
    pub(super) fn frame(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Message => &[0],
            Self::Ping => &[1],
            Self::Pong => &[2],
            Self::Bye => &[3],
        })
    }

    pub(super) fn message(self) -> ZmqMessage {
        ZmqMessage::from(self.frame())
    }

    /// [`None`] for a kind that a later version may know.
    pub(super) fn read(frame: &Bytes) -> Option<Self> {
        match frame[..] {
            [0] => Some(Self::Message),
            [1] => Some(Self::Ping),
            [2] => Some(Self::Pong),
            [3] => Some(Self::Bye),
            _ => None,
        }
    }
}

/// A message of `frames`, with its kind before them.
pub(super) fn wrap(frames: Frames) -> Result<ZmqMessage, BusError> {
    fits(bytes_of(&frames))?;
    let mut message = Kind::Message.message();
    for frame in frames {
        message.push_back(frame);
    }
    Ok(message)
}
