//! Placeholder.
/// A packed record that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
pub struct UnpackError;
