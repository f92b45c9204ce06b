//! The house's style, held by tests: what no compiler and no lint looks at.
//!
//! `source` reads the Rust files, `crates` asks cargo who depends on whom, `docs` follows what the
//! documents point at. A rule that gets in the way is changed here, with the reason.

#![allow(clippy::unwrap_used, reason = "a test ends by a panic")]

mod crates;
mod docs;
mod files;
mod source;

/// Fails with every finding, not only the first.
fn nothing_in(findings: &[String], rule: &str) {
    assert!(findings.is_empty(), "{rule}\n  {}\n", findings.join("\n  "));
}
