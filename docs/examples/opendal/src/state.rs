//! What stands at a name, and what tells one state from another.

use onitu_plug::{Content, Kind, State, Tag};
use opendal::Metadata;

/// A file or a directory, as the service tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    is_directory: bool,
    size: u64,
    etag: Option<String>,
    /// As the service writes it: mostly whole seconds.
    changed: Option<String>,
    changed_ms: Option<i64>,
}

impl Thing {
    /// A directory of which nothing else is known.
    pub(crate) const DIRECTORY: Self =
        Self { is_directory: true, size: 0, etag: None, changed: None, changed_ms: None };

    /// Reads what opendal tells.
    pub(crate) fn of(told: &Metadata) -> Self {
        Self {
            is_directory: told.is_dir(),
            size: told.content_length(),
            etag: told.etag().map(str::to_owned),
            changed: told.last_modified().map(|time| time.to_string()),
            changed_ms: told.last_modified().map(|time| time.into_inner().as_millisecond()),
        }
    }

    /// Whether it is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.is_directory
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// When it was changed, by the service's clock; [`None`] if it doesn't say.
    pub(crate) fn changed_ms(&self) -> Option<i64> {
        self.changed_ms
    }

    /// As told to Onitu: without a time, since none could be set.
    pub(crate) fn state(&self) -> State {
        if self.is_directory {
            return State { content: Content::DIRECTORY, tag: Tag::of(b"directory") };
        }
        let content = Content { kind: Kind::File, size: self.size, ..Content::DIRECTORY };
        let known = format!("{} {:?} {:?}", self.size, self.etag, self.changed);
        State { content, tag: Tag::of(known.as_bytes()) }
    }

    /// Whether this, found where `before` was moved to, is still the same. Some servers give what
    /// they move another `ETag`, and some another time; `probe` has refused those that do both.
    /// A directory is one whatever it holds.
    pub(crate) fn is_still(&self, before: &Self) -> bool {
        if self.is_directory || before.is_directory {
            return self.is_directory && before.is_directory;
        }
        self.size == before.size
            && ((self.etag.is_some() && self.etag == before.etag)
                || (self.changed.is_some() && self.changed == before.changed))
    }

    /// Whether the two differ in their `ETag`, though they changed within one second.
    pub(crate) fn is_told_from(&self, other: &Self) -> bool {
        self.etag != other.etag && self.changed == other.changed
    }
}

/// What stands at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum There {
    /// Certainly nothing.
    Nothing,
    /// This.
    Is(Thing),
}

impl There {
    /// What stands there, if something does.
    pub(crate) fn thing(self) -> Option<Thing> {
        if let Self::Is(thing) = self { Some(thing) } else { None }
    }

    /// Its state, if something stands there.
    pub(crate) fn state(&self) -> Option<State> {
        if let Self::Is(thing) = self { Some(thing.state()) } else { None }
    }

    /// Whether this is exactly what `expect` stands for.
    pub(crate) fn is(&self, expect: Option<Tag>) -> bool {
        self.state().map(|state| state.tag) == expect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, etag: &str, changed: &str) -> Thing {
        let text = |text: &str| Some(text.to_owned()).filter(|it| !it.is_empty());
        Thing {
            is_directory: false,
            size,
            etag: text(etag),
            changed: text(changed),
            changed_ms: None,
        }
    }

    #[test]
    fn each_of_size_etag_and_time_makes_another_tag() {
        let all = [file(1, "a", "1"), file(2, "a", "1"), file(1, "b", "1"), file(1, "a", "2")];
        for (at, one) in all.iter().enumerate() {
            for (beside, other) in all.iter().enumerate() {
                assert_eq!(one.state().tag == other.state().tag, at == beside);
            }
        }
    }

    #[test]
    fn what_was_moved_is_known_by_its_etag_or_its_time_and_always_its_size() {
        let before = file(1, "a", "1");
        assert!(file(1, "a", "2").is_still(&before) && file(1, "b", "1").is_still(&before));
        for other in [file(1, "b", "2"), file(2, "a", "1"), file(1, "", "")] {
            assert!(!other.is_still(&before), "{other:?}");
        }
        assert!(!file(1, "", "").is_still(&file(1, "", "")), "nothing tells them apart");
    }
}
