//! What rules may look at.

use crate::{Kind, Media, Path, Record, ServiceId};

/// What is known of one file. Nothing here changes because a rule was carried out, so that every
/// set of rules comes to rest: neither content, name, age nor origin depend on who holds the file.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Where it stands.
    pub path: &'a Path,
    /// What it is; [`None`] while nothing is known of it.
    pub kind: Option<Kind>,
    /// In bytes; [`None`] while nothing is known of it.
    pub size: Option<u64>,
    /// When its content was modified, in nanoseconds since the epoch; [`None`] where that is not
    /// known or means nothing.
    pub mtime_ns: Option<i64>,
    /// The media type that its content was found to have, empty if it is none that is known; [`None`]
    /// if nobody looked. Only asked where the name tells none.
    pub media: Option<&'a str>,
    /// The service on which it was seen first.
    pub origin: Option<ServiceId>,
    /// The time for which the question is asked, in nanoseconds since the epoch.
    pub now_ns: i64,
}

impl<'a> Facts<'a> {
    /// Of a path of which nothing is known but its name.
    pub fn of_path(path: &'a Path, now_ns: i64) -> Self {
        Self { path, kind: None, size: None, mtime_ns: None, media: None, origin: None, now_ns }
    }

    /// Of a path with this record, as far as its content tells: not its origin.
    pub fn of(path: &'a Path, record: Option<&Record>, now_ns: i64) -> Self {
        let Some(content) = record.map(|record| record.content) else {
            return Self::of_path(path, now_ns);
        };
        Self {
            kind: Some(content.kind),
            size: Some(content.size),
            mtime_ns: Some(content.mtime_ns).filter(|mtime_ns| *mtime_ns != 0),
            media: match content.kind {
                Kind::File => content.media.and_then(Media::name),
                // There is nothing in them to look at.
                Kind::Directory | Kind::Symlink => Some(""),
            },
            ..Self::of_path(path, now_ns)
        }
    }
}
