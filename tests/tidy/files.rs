//! The files of the house, as they lie in the checkout.

use std::path::{Path, PathBuf};

/// What is made and not written: builds, repositories, demonstrations.
const MADE: [&str; 4] = ["target", ".git", "state", "demo"];
/// The same in packages outside of the workspace.
const MADE_BELOW: [&str; 4] =
    ["docs/examples/opendal/target", "fuzz/target", "fuzz/corpus", "fuzz/artifacts"];

/// A text file of the house.
pub struct File {
    /// Relative to the root of the checkout.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl File {
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|it| it == extension)
    }
}

/// The root of the checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every text file, ordered by path.
pub fn all() -> Vec<File> {
    let mut found = Vec::new();
    let mut waiting = vec![root()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = entry.file_name();
            // Only at the top: a module may be called `state`. In a second work tree `.git` is a file.
            let is_made = directory == root() && MADE.iter().any(|made| name == *made);
            if is_made || MADE_BELOW.iter().any(|made| path == root().join(made)) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                waiting.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(found.len() > 100, "only {} files found: is this the checkout?", found.len());
    found
}

/// Every Rust file.
pub fn rust() -> Vec<File> {
    all().into_iter().filter(|file| file.has_extension("rs")).collect()
}

/// Whether a Rust file is nothing but tests (or what only tests use).
pub fn is_test(path: &str) -> bool {
    let mut below = path;
    // Below the package that holds it: `tests` itself is a package, and not all of it is tests.
    for (at, _) in path.match_indices('/') {
        if root().join(&path[..at]).join("Cargo.toml").is_file() {
            below = &path[at + 1..];
        }
    }
    match below.strip_prefix("src/") {
        Some(source) => source.split('/').any(|part| part == "tests" || part == "tests.rs"),
        None => true,
    }
}

/// The lines of a Rust file before the tests inside it; none if it is nothing but tests.
pub fn lines_that_ship(file: &File) -> Vec<&str> {
    if is_test(&file.path) {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with("mod tests {"));
    lines[..tests.unwrap_or(lines.len())].to_vec()
}
