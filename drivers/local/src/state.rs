//! What stands at a name: kind, size, times, and the tag that identifies exactly that.
//!
//! Nothing here follows a link or opens anything.

use std::os::fd::AsFd;

use onitu_plug::{Checksum, Content, Kind, State, Tag};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp, readlinkat, statx};
use rustix::io::Errno;
use rustix::path::Arg;

/// What stands at a name.
#[derive(Debug, Clone)]
pub(crate) enum There {
    /// Certainly nothing.
    Nothing,
    /// Something that is synchronized.
    Is(Standing),
    /// Something that isn't: what it is, in a word.
    Other(&'static str),
}

/// A file, directory or link.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// As told to Onitu.
    pub(crate) state: State,
    /// Its permission bits.
    pub(crate) mode: u32,
    /// Its owner and group.
    pub(crate) owner: (u32, u32),
    /// How many names it has.
    pub(crate) links: u32,
}

/// The file system and the mount that something stands on; a rename never crosses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mount {
    device: (u32, u32),
    id: u64,
}

impl There {
    /// Its state, if it has one.
    pub(crate) fn state(&self) -> Option<State> {
        self.standing().map(|standing| standing.state)
    }

    /// What stands there, if it is synchronized.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        if let Self::Is(standing) = self { Some(standing) } else { None }
    }

    /// Whether this is exactly what `expect` stands for; something that isn't synchronized never.
    pub(crate) fn is(&self, expect: Option<Tag>) -> bool {
        match self {
            Self::Nothing => expect.is_none(),
            Self::Is(standing) => expect == Some(standing.state.tag),
            Self::Other(_) => false,
        }
    }
}

/// What stands at `name` in the directory `dir`.
pub(crate) fn at<N: Arg + Copy>(dir: impl AsFd, name: N) -> Result<There, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    // Again: a link may be replaced between the two calls that describe it.
    for _ in 0..8 {
        let stat = match statx(&dir, name, flags, StatxFlags::BASIC_STATS) {
            Err(Errno::NOENT) => return Ok(There::Nothing),
            stat => stat?,
        };
        let target = match FileType::from_raw_mode(stat.stx_mode.into()) {
            FileType::Symlink => match readlinkat(&dir, name, Vec::new()) {
                Err(Errno::INVAL | Errno::NOENT) => continue,
                target => target?.into_bytes(),
            },
            _ => Vec::new(),
        };
        return Ok(described(&stat, &target));
    }
    Err(Errno::AGAIN)
}

/// What the open file or directory `fd` is.
pub(crate) fn of(fd: impl AsFd) -> Result<There, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    let stat = statx(fd, c"", flags, StatxFlags::BASIC_STATS)?;
    Ok(described(&stat, &[]))
}

/// The mount that `fd` stands on.
pub(crate) fn mount_of(fd: impl AsFd) -> Result<Mount, Errno> {
    let stat = statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    Ok(Mount { device: (stat.stx_dev_major, stat.stx_dev_minor), id: stat.stx_mnt_id })
}

fn described(stat: &Statx, target: &[u8]) -> There {
    let mut content = Content { mtime_ns: 0, ..Content::DIRECTORY };
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => {
            content.kind = Kind::File;
            content.size = stat.stx_size;
            content.mtime_ns = Content::told_mtime_ns(nanoseconds(stat.stx_mtime));
            content.executable = stat.stx_mode & 0o100 != 0;
        }
        FileType::Directory => {}
        FileType::Symlink => {
            content.kind = Kind::Symlink;
            content.size = target.len() as u64;
            content.checksum = Some(Checksum::of(target));
        }
        FileType::Fifo => return There::Other("named pipe"),
        FileType::Socket => return There::Other("socket"),
        _ => return There::Other("device"),
    }
    There::Is(Standing {
        state: State { content, tag: tag(&content, stat.stx_ino, target) },
        mode: u32::from(stat.stx_mode) & 0o7777,
        owner: (stat.stx_uid, stat.stx_gid),
        links: stat.stx_nlink,
    })
}

/// The tag is made of nothing that a rename changes, so that a scan recognizes renamed files.
fn tag(content: &Content, inode: u64, target: &[u8]) -> Tag {
    let mut identity = Vec::with_capacity(32 + target.len());
    identity.push(content.kind as u8);
    identity.push(u8::from(content.executable));
    identity.extend(content.size.to_le_bytes());
    identity.extend(content.mtime_ns.to_le_bytes());
    identity.extend(inode.to_le_bytes());
    identity.extend(target);
    Tag::of(&identity)
}

fn nanoseconds(time: StatxTimestamp) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec.into())
}
