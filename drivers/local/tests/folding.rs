//! The local driver on a disk that can't tell `a` from `A`, nor `é` from `e` with an accent: it
//! keeps every promise of the trait, and wrapped by the runtime every name is exact.
//!
//! Mounting needs root and `/dev/fuse`; where the environment says that it can't be done
//! (`ONITU_TEST_NO_MOUNT`), the tests run in an ordinary folder.

#[path = "folding/disk.rs"]
mod disk;
#[path = "folding/ground.rs"]
mod ground;

use onitu_conformance::Folder;
use onitu_driver_local::Local;
use onitu_plug::Twins;

mod as_it_is {
    use super::{Folder, Local, ground};
    onitu_conformance::suite!(Folder<Local, ground::FoldingDisk>);
}

mod wrapped {
    use super::{Folder, Local, Twins, ground};
    onitu_conformance::suite!(Folder<Twins<Local>, ground::FoldingDisk>);
}
