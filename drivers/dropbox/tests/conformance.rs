//! The Dropbox driver keeps every promise of the trait.

mod fixture;

onitu_conformance::suite!(fixture::Fixture);
