//! What Dropbox tells of a file or folder.

use jiff::Timestamp;
use onitu_plug::{Content, Fault, FaultKind, Kind, State, Tag};
use serde_json::Value;

/// How Dropbox writes a time.
const TIME: &str = "%Y-%m-%dT%H:%M:%SZ";

/// What isn't synchronized.
const ODD: [&str; 2] =
    ["a symbolic link made by a Dropbox client", "a document that can only be exported"];

/// A file or a folder, as its metadata says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    /// The last component as Dropbox holds it.
    pub(crate) name: String,
    /// The whole path as Dropbox shows it; the folders in it may be spelled otherwise.
    pub(crate) shown: String,
    /// What stands there.
    pub(crate) state: State,
    /// Of a file: what conditional calls name.
    pub(crate) rev: String,
    /// Of a file: Dropbox's own hash of its bytes.
    pub(crate) hash: String,
    /// Why it can't be synchronized, if it can't: one of [`ODD`].
    pub(crate) odd: Option<u8>,
}

impl Thing {
    /// Whether it is a folder.
    pub(crate) fn is_folder(&self) -> bool {
        self.state.content.kind == Kind::Directory
    }

    /// Reads a `Metadata`; [`None`] for what was deleted.
    pub(crate) fn read(metadata: &Value) -> Option<Self> {
        let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
        // Where only a file can be answered, there is no tag.
        let is_file = match metadata[".tag"].as_str() {
            Some("deleted") => return None,
            Some(tag) => tag == "file",
            None => metadata["rev"].is_string(),
        };
        let (id, hash) = (text("id"), text("content_hash"));
        let state = if is_file {
            let modified = text("client_modified");
            let content = Content {
                kind: Kind::File,
                size: metadata["size"].as_u64().unwrap_or(0),
                mtime_ns: mtime_ns(&modified),
                executable: false,
                checksum: None,
                media: None,
            };
            // A rename changes the rev, and nothing of this.
            let identity = [&id, "\0", &hash, "\0", &modified].map(AsRef::<str>::as_ref).concat();
            State { content, tag: Tag::of(identity.as_bytes()) }
        } else {
            State { content: Content::DIRECTORY, tag: Tag::of(id.as_bytes()) }
        };
        let is_link = metadata["symlink_info"].is_object();
        let is_paper = metadata["is_downloadable"].as_bool() == Some(false);
        let odd = match (is_link, is_paper) {
            (true, _) => Some(0),
            (_, true) => Some(1),
            _ => None,
        };
        let (name, shown) = (text("name"), text("path_display"));
        Some(Self { name, shown, state, rev: text("rev"), hash, odd })
    }

    /// Its state, unless it can't be synchronized.
    pub(crate) fn told(&self) -> Result<State, Fault> {
        match self.odd {
            None => Ok(self.state),
            Some(odd) => {
                let what = ODD[usize::from(odd) % ODD.len()];
                let text = format!("`{}` is {what}: it is not synchronized", self.name);
                Err(Fault::new(FaultKind::Unsupported, text))
            }
        }
    }
}

/// The root, which has no metadata: it is always in the same state.
pub(crate) fn root() -> State {
    State { content: Content::DIRECTORY, tag: Tag::of(b"the root") }
}

fn mtime_ns(text: &str) -> i64 {
    text.parse::<Timestamp>()
        .map_or(0, |time| Content::told_mtime_ns(time.as_second().saturating_mul(1_000_000_000)))
}

/// A time as Dropbox writes it, which knows no part of a second; [`None`] beyond its years, and where
/// it means nothing: then Dropbox notes that of the arrival.
pub(crate) fn time(mtime_ns: i64) -> Option<String> {
    if mtime_ns == 0 {
        return None;
    }
    let time = Timestamp::from_second(mtime_ns.div_euclid(1_000_000_000)).ok()?;
    Some(time.strftime(TIME).to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn file(change: impl Fn(&mut Value)) -> Thing {
        let mut metadata = json!({
            ".tag": "file", "name": "a", "path_display": "/a", "id": "id:1", "rev": "0123456789",
            "size": 7, "client_modified": "2020-09-13T12:26:40Z", "content_hash": "abc",
        });
        change(&mut metadata);
        Thing::read(&metadata).expect("it is there")
    }

    #[test]
    fn a_tag_is_that_of_bytes_and_time_and_outlives_a_rename() {
        let before = file(|_| {});
        assert_eq!(before.state.content.mtime_ns, 1_600_000_000_000_000_000);
        let renamed = file(|it| {
            it["rev"] = json!("0999999999");
            it["path_display"] = json!("/b");
        });
        assert_eq!(renamed.state, before.state);
        for (field, value) in
            [("content_hash", "abd"), ("client_modified", "2020-09-13T12:26:41Z"), ("id", "id:2")]
        {
            assert_ne!(file(|it| it[field] = json!(value)).state.tag, before.state.tag, "{field}");
        }
    }

    #[test]
    fn times_are_whole_seconds() {
        assert_eq!(time(1_600_000_000_999_999_999).as_deref(), Some("2020-09-13T12:26:40Z"));
        assert_eq!((time(0), mtime_ns("no time")), (None, 0));
        let epoch = "1970-01-01T00:00:00Z";
        assert_ne!(mtime_ns(epoch), 0, "that means nothing");
        assert_eq!(time(mtime_ns(epoch)).as_deref(), Some(epoch));
        assert_eq!(time(-1).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(mtime_ns("1969-12-31T23:59:59Z"), -1_000_000_000);
    }

    #[test]
    fn what_cant_be_downloaded_is_told_as_it_is() {
        let paper = file(|it| it["is_downloadable"] = json!(false));
        assert_eq!(paper.told().map_err(|fault| fault.kind), Err(FaultKind::Unsupported));
        assert!(file(|it| it["is_downloadable"] = json!(true)).told().is_ok());
        assert_eq!(Thing::read(&json!({ ".tag": "deleted", "name": "a" })), None);
    }
}
