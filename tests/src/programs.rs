//! Where the built programs are.

use std::path::{Path, PathBuf};

use crate::Must;

/// Everything an Onitu with local folders consists of.
pub(crate) const PROGRAMS: [&str; 4] =
    ["onitu", "onitu-core", "onitu-referee", "onitu-driver-local"];

/// The directory of the programs: a test's own is `deps` in the target directory, a command's is
/// the target directory itself.
pub(crate) fn directory() -> PathBuf {
    let own = std::env::current_exe().must("the test's own program");
    let directory = own.parent().must("its directory");
    let is_test = directory.file_name().is_some_and(|name| name == "deps");
    let target = if is_test { directory.parent().must("the target directory") } else { directory };
    for program in PROGRAMS {
        assert!(
            target.join(program).is_file(),
            "`{program}` isn't built (in `{}`): run `cargo build --workspace --bins` first",
            target.display()
        );
    }
    target.to_owned()
}

/// Copies the programs to where another user may run them.
pub(crate) fn copy_to(directory: &Path) {
    let from = self::directory();
    for program in PROGRAMS {
        std::fs::copy(from.join(program), directory.join(program)).must(program);
    }
}
