//! What stands in a folder, and how two folders differ.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Must;

/// One path of a folder, contents of files aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    /// A directory.
    Directory,
    /// A file.
    File {
        /// In bytes.
        size: u64,
        /// Whether its owner may run it.
        executable: bool,
        /// Nanoseconds since the epoch.
        modified_ns: i64,
    },
    /// A symbolic link.
    Link {
        /// As it is written.
        target: PathBuf,
    },
}

/// Everything below `root` but what Onitu keeps for itself, by path relative to `root`.
///
/// Onitu may be at work meanwhile: what goes away between its listing and the look at it is not
/// there. Panics when something is there that Onitu puts under a name only while it writes.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, Thing> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        let listed = std::fs::read_dir(&directory);
        if directory != root && is_gone(&listed) {
            found.remove(directory.strip_prefix(root).must("a path below the root"));
            continue;
        }
        for entry in listed.must("list a directory") {
            let path = entry.must("list a directory").path();
            let below = path.strip_prefix(root).must("a path below the root").to_owned();
            if below == Path::new(".onitu") {
                continue;
            }
            let name = below.file_name().must("a name");
            let is_unfinished = name.as_encoded_bytes().starts_with(b".onitu-");
            assert!(!is_unfinished, "`{}` is left", path.display());
            let Some(thing) = look(&path) else { continue };
            if thing == Thing::Directory {
                waiting.push(path);
            }
            found.insert(below, thing);
        }
    }
    found
}

/// What stands at `path`; [`None`] if nothing does.
fn look(path: &Path) -> Option<Thing> {
    let looked = path.symlink_metadata();
    if is_gone(&looked) {
        return None;
    }
    let metadata = looked.must("look at a file");
    if metadata.is_dir() {
        return Some(Thing::Directory);
    }
    if metadata.is_symlink() {
        let read = std::fs::read_link(path);
        return (!is_gone(&read)).then(|| Thing::Link { target: read.must("read a link") });
    }
    Some(Thing::File {
        size: metadata.len(),
        executable: metadata.mode() & 0o100 != 0,
        modified_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
    })
}

/// Whether a directory went, or became something else, or nothing is at a path any more.
fn is_gone<T>(result: &std::io::Result<T>) -> bool {
    let gone = [ErrorKind::NotFound, ErrorKind::NotADirectory];
    result.as_ref().is_err_and(|error| gone.contains(&error.kind()))
}

/// How the folder `other` differs from `one`, a line each.
pub fn differences(one: &Path, other: &Path, with_times: bool) -> Vec<String> {
    let (left, right) = (tree(one), tree(other));
    let mut lines = Vec::new();
    for (path, thing) in &left {
        let shown = path.to_string_lossy();
        match right.get(path) {
            None => lines.push(format!("{shown:?} is only in {}", one.display())),
            Some(there) if !is_same(thing, there, with_times) => {
                lines.push(format!("{shown:?}: {thing:?} in {}, else {there:?}", one.display()));
            }
            Some(_) if !has_same_bytes(thing, &one.join(path), &other.join(path)) => {
                lines.push(format!("{shown:?}: other bytes in {}", other.display()));
            }
            Some(_) => {}
        }
    }
    let only = right.keys().filter(|path| !left.contains_key(*path));
    let shown = only.map(|path| path.to_string_lossy());
    lines.extend(shown.map(|shown| format!("{shown:?} is only in {}", other.display())));
    lines
}

fn is_same(one: &Thing, other: &Thing, with_times: bool) -> bool {
    match (one, other) {
        (
            Thing::File { size, executable, modified_ns },
            Thing::File { size: size_there, executable: executable_there, modified_ns: ns_there },
        ) => {
            size == size_there
                && executable == executable_there
                && (!with_times || modified_ns == ns_there)
        }
        (one, other) => one == other,
    }
}

fn has_same_bytes(thing: &Thing, one: &Path, other: &Path) -> bool {
    if !matches!(thing, Thing::File { .. }) {
        return true;
    }
    let opened = [one, other].map(File::open);
    if opened.iter().any(is_gone) {
        return false;
    }
    let mut files = opened.map(|it| it.must("open a file"));
    let mut parts = [vec![0; 1024 * 1024], vec![0; 1024 * 1024]];
    loop {
        let [left, right] =
            [0, 1].map(|at| fill(&mut files[at], &mut parts[at]).must("read a file"));
        if left != right || parts[0][..left] != parts[1][..right] {
            return false;
        }
        if left == 0 {
            return true;
        }
    }
}

/// Reads until `part` is full or the file ends.
fn fill(file: &mut File, part: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < part.len() {
        match file.read(&mut part[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::tree;
    use crate::{Files, Must};

    #[test]
    fn what_goes_away_during_the_look_is_not_there() {
        let home = tempfile::tempdir().must("a directory");
        let files = Files::new(home.path());
        files.write("kept/file", "kept");
        std::thread::scope(|scope| {
            let at_work = scope.spawn(|| {
                for _ in 0..1_000 {
                    files.write("going/file", "gone soon");
                    files.link("going/link", "file");
                    files.remove_all("going");
                }
            });
            while !at_work.is_finished() {
                assert!(tree(home.path()).contains_key(Path::new("kept/file")));
            }
        });
    }
}
