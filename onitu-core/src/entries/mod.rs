//! `entries.toml`
