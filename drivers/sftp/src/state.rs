//! What stands at a name: kind, size, time, and the tag that identifies exactly that.
//!
//! The protocol tells whole seconds and no inode. So a file that was changed in the second that
//! is not over yet may change again and look the same: see [`crate::clock`], which waits it out.
//! And a tag may be that of two files: `tag_survives_rename` is denied.

use onitu_plug::{Checksum, Content, Kind, State, Tag};

use crate::wire::{Attrs, FileKind};

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
    /// As told by the server.
    pub(crate) attrs: Attrs,
}

impl There {
    /// What the attributes say; of a link with its text.
    pub(crate) fn of(attrs: &Attrs, text: &[u8]) -> Self {
        let mut content = Content { mtime_ns: 0, ..Content::DIRECTORY };
        match attrs.kind() {
            FileKind::File => {
                content.kind = Kind::File;
                content.size = attrs.size.unwrap_or(0);
                let mtime_ns = i64::from(attrs.mtime_s()) * 1_000_000_000;
                content.mtime_ns = Content::told_mtime_ns(mtime_ns);
                content.executable = attrs.permissions.is_some_and(|mode| mode & 0o100 != 0);
            }
            FileKind::Directory => {}
            FileKind::Link => {
                content.kind = Kind::Symlink;
                content.size = text.len() as u64;
                content.checksum = Some(Checksum::of(text));
            }
            FileKind::Other(what) => return Self::Other(what),
        }
        let state = State { content, tag: tag(&content, text) };
        Self::Is(Standing { state, attrs: *attrs })
    }

    /// Its state, if it has one.
    pub(crate) fn state(&self) -> Option<State> {
        self.standing().map(|standing| standing.state)
    }

    /// What stands there, if it is synchronized.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        if let Self::Is(standing) = self { Some(standing) } else { None }
    }

    /// Its kind, if it is synchronized.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.state().map(|state| state.content.kind)
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

fn tag(content: &Content, text: &[u8]) -> Tag {
    let mut identity = Vec::with_capacity(32 + text.len());
    identity.push(content.kind as u8);
    identity.push(u8::from(content.executable));
    identity.extend(content.size.to_le_bytes());
    identity.extend(content.mtime_ns.to_le_bytes());
    identity.extend(text);
    Tag::of(&identity)
}

/// A time as the protocol can tell it: whole seconds from 1970 to 2106.
pub(crate) fn seconds(mtime_ns: i64) -> u32 {
    u32::try_from(mtime_ns.div_euclid(1_000_000_000).max(0)).unwrap_or(u32::MAX)
}

/// `mode` with the executable bits as wanted: whoever may read may execute.
pub(crate) fn mode(mode: u32, executable: bool) -> u32 {
    let mode = mode & 0o777;
    match (executable, mode & 0o100 != 0) {
        (true, false) => mode | 0o100 | ((mode & 0o444) >> 2),
        (false, true) => mode & !0o111,
        _ => mode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, mtime: u32, mode: u32) -> There {
        let attrs = Attrs {
            size: Some(size),
            owner: None,
            permissions: Some(0o100_000 | mode),
            times: Some((0, mtime)),
        };
        There::of(&attrs, b"")
    }

    #[test]
    fn states_that_differ_have_other_tags() {
        let all = [file(1, 1, 0o644), file(2, 1, 0o644), file(1, 2, 0o644), file(1, 1, 0o755)];
        for (at, one) in all.iter().enumerate() {
            for (beside, other) in all.iter().enumerate() {
                assert_eq!(one.is(other.state().map(|it| it.tag)), at == beside);
            }
        }
    }

    #[test]
    fn what_travels_is_all_that_makes_a_tag() {
        let tag = |it: There| it.state().map(|it| it.tag);
        assert_eq!(tag(file(1, 1, 0o644)), tag(file(1, 1, 0o600)));
    }

    #[test]
    fn times_that_the_protocol_lacks_become_the_nearest() {
        assert_eq!(seconds(1_600_000_000_999_999_999), 1_600_000_000);
        assert_eq!(seconds(-1), 0);
        assert_eq!(seconds(7_258_118_400_000_000_000), u32::MAX);
    }

    #[test]
    fn only_what_must_change_of_the_permissions_changes() {
        assert_eq!(mode(0o100_644, true), 0o755);
        assert_eq!(mode(0o640, true), 0o750);
        assert_eq!(mode(0o755, false), 0o644);
        assert_eq!(mode(0o710, true), 0o710);
    }
}
