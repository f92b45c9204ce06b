//! The S3 driver keeps every promise of the trait: on a server that knows all conditions, and on
//! one that ignores them and whose listings lack what they may lack.

mod fixture;

mod full {
    onitu_conformance::suite!(super::fixture::Full);
}

mod lesser {
    onitu_conformance::suite!(super::fixture::Lesser);
}
