//! A driver alone: each method of its [`Plug`](crate::Plug), called by another process.
//!
//! `onitu-driver-NAME exercise` reads calls from stdin and tells what becomes of them on stdout,
//! as `docs/protocol.md` says; this is how the conformance suite tries a driver that it wasn't
//! built with, of whatever language. Here are the words of both sides and their frames; the
//! driver's side is `desk.rs`, the suite's is the crate `onitu-conformance`. No store, no bus.

#[cfg(feature = "process")]
mod calls;
#[cfg(feature = "process")]
mod desk;
mod frame;
#[cfg(feature = "process")]
mod serve;
mod words;

pub use frame::{CHUNK_BYTES_MAX, FRAME_BYTES_MAX, FrameError, from_frame, read_frame, to_frame};
#[cfg(feature = "process")]
pub(crate) use serve::serve;
pub use words::{Answer, Ask, Bulk, Call, Hinted, Told};

#[cfg(test)]
mod tests;
