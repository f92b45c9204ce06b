//! The memory driver keeps every promise of the trait, whatever it is able to do.

mod fixture;

mod everything {
    onitu_conformance::suite!(super::fixture::Fixture<onitu_driver_memory::Everything>);
}

mod bucket {
    onitu_conformance::suite!(super::fixture::Fixture<onitu_driver_memory::Bucket>);
}

mod folding {
    onitu_conformance::suite!(super::fixture::Fixture<onitu_driver_memory::Folding>);
}
