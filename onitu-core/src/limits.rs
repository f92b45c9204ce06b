//! The named bound of every queue, message and loop that more than one room shares.

/// Longest name of one path component, in bytes (Linux `NAME_MAX`).
pub const NAME_BYTES_MAX: usize = 255;
/// Longest path, in bytes (Linux `PATH_MAX` less its NUL).
pub const PATH_BYTES_MAX: usize = 4095;
/// Most events in one published batch.
pub const BATCH_EVENTS_MAX: usize = 512;
/// Most unacknowledged events a driver keeps; its scan waits when the ring is full.
pub const RING_EVENTS_MAX: usize = 32_768;
/// Most events that one answer replays.
pub const REPLAY_EVENTS_MAX: usize = 2_048;
/// Most orders that wait at one driver; the credit window of design §5.
pub const ORDERS_IN_FLIGHT_MAX: usize = 512;
/// A file up to this size is hashed when it is seen, and travels inside the answer to `Open`.
pub const INLINE_BYTES_MAX: u64 = 128 * 1024;
/// Most bytes of inline contents in one answer.
pub const INLINE_ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Smallest chunk of a transfer, in bytes.
pub const CHUNK_BYTES_MIN: u32 = 64 * 1024;
/// Largest chunk of a transfer, in bytes.
pub const CHUNK_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Bytes a puller lets the sender have under way for one transfer.
pub const CREDIT_BYTES: u32 = 8 * 1024 * 1024;
/// Most bytes of one bus message; a larger one is an error of the sender's.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A driver says so at least this often that it lives, in milliseconds.
pub const HEARTBEAT_MS: u64 = 1_000;
/// A driver that was silent for so long counts as away, in milliseconds.
pub const SILENCE_MS: u64 = 5_000;
/// An answer to a request is waited for so long before the socket is made anew, in milliseconds.
pub const REQUEST_TIMEOUT_MS: u64 = 2_000;
/// Most conflicts that one request to the Core ends.
pub const RESOLVE_MAX: usize = 64;
