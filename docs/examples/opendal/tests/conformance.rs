//! The driver keeps every promise of the trait, over WebDAV.

mod fixture;

onitu_conformance::suite!(fixture::Fixture);
