//! Junk: what editors and systems leave behind for themselves. The list is short on purpose: a
//! name that a person might give a file of their own (`4913`, `*.part`, `*~`, `*.tmp`) isn't on it.

/// Files of these names.
const FILES: [&str; 5] = [".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".localized"];
/// Directories of these names.
const DIRECTORIES: [&str; 7] = [
    ".Spotlight-V100",
    ".fseventsd",
    ".TemporaryItems",
    ".DocumentRevisions-V100",
    ".Trashes",
    "$RECYCLE.BIN",
    "System Volume Information",
];

/// Which kind of junk a name is.
pub(super) fn kind(name: &str, is_directory: bool) -> Option<&'static str> {
    if is_directory {
        let trash = name.strip_prefix(".Trash-");
        if trash.is_some_and(|user| user.bytes().all(|byte| byte.is_ascii_digit())) {
            return Some("`.Trash-NUMBER`");
        }
        return DIRECTORIES.iter().find(|known| **known == name).copied();
    }
    if let Some(known) = FILES.iter().find(|known| **known == name) {
        return Some(known);
    }
    let lock = name.strip_prefix(".~lock.").is_some_and(|rest| rest.ends_with('#'));
    let begins = |prefix: &str| name.len() > prefix.len() && name.starts_with(prefix);
    let ends = |suffix: &str| name.len() > suffix.len() && name.ends_with(suffix);
    match () {
        () if begins("~$") => Some("`~$*`"),
        () if lock => Some("`.~lock.*#`"),
        () if ends(".swp") => Some("`*.swp`"),
        () if ends(".swo") => Some("`*.swo`"),
        () if ends(".crdownload") => Some("`*.crdownload`"),
        () => None,
    }
}
