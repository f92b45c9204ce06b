//! Frames on a pipe: a length, and a message as on the bus.

use std::io::{ErrorKind, Read};

use onitu_core::message::{self, MessageError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of a frame, its length aside.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most bytes of a file in one frame.
pub const CHUNK_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Why a frame can't be read, or written.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The pipe broke, or ended amid a frame.
    #[error("the pipe broke: {0}")]
    Pipe(#[from] std::io::Error),
    /// It says that it is longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes is too long: at most {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// It isn't what it should be.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// A whole frame, to be written at once.
///
/// # Errors
/// Only [`FrameError::TooLong`].
pub fn to_frame(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let encoded = message::encode(message);
    let length = u32::try_from(encoded.len()).unwrap_or(u32::MAX);
    if encoded.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(encoded.len()));
    }
    Ok([&length.to_le_bytes(), &encoded[..]].concat())
}

/// The next frame without its length, for [`from_frame`]; [`None`] where the pipe has ended between
/// two frames. Waits; memory grows only with the bytes that come.
pub fn read_frame(pipe: &mut impl Read) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [0; 4];
    let mut filled = 0;
    while filled < length.len() {
        match pipe.read(&mut length[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    let mut frame = Vec::new();
    pipe.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length {
        return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(frame))
}

/// What a frame says.
///
/// # Errors
/// Only [`FrameError::Message`].
pub fn from_frame<T: DeserializeOwned>(frame: &[u8]) -> Result<T, FrameError> {
    Ok(message::decode(frame)?)
}
