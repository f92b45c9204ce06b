//! ZeroMQ
/// ZeroMQ
pub struct ZeroBus;
