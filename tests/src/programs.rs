//! Where the built programs are.

use std::path::{Path, PathBuf};

use crate::Must;

/// Everything an Onitu with local folders consists of.
pub(crate) const PROGRAMS: [&str; 4] =
    ["onitu", "onitu-core", "onitu-referee", "onitu-driver-local"];

/// The directory of the programs: the test's own is `deps` in the target directory.
pub(crate) fn directory() -> PathBuf {
    let test = std::env::current_exe().must("the test's own program");
    let target = test.ancestors().nth(2).must("the target directory").to_owned();
    for program in PROGRAMS {
        assert!(
            target.join(program).is_file(),
            "`{program}` isn't built (in `{}`): run `cargo build --workspace --bins` first",
            target.display()
        );
    }
    target
}

/// Copies the programs to where another user may run them.
pub(crate) fn copy_to(directory: &Path) {
    let from = self::directory();
    for program in PROGRAMS {
        std::fs::copy(from.join(program), directory.join(program)).must(program);
    }
}
