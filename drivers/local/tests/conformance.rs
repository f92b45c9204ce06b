//! The local driver keeps every promise of the trait.

onitu_conformance::suite!(onitu_conformance::Folder<onitu_driver_local::Local>);
