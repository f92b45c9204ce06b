//! The conformance suite that any driver runs.
