//! In memory.
/// A bus in memory.
pub struct MemoryBus;
/// Losses.
pub struct Weather;
