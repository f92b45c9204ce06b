// --- begin
//! The driver: the calls of the trait, in calls of the service.

use onitu_plug::{
    Abilities, Bytes, Content, Fault, FaultKind, Found, Hasher, Hint, Hints, Kind, Listing,
    Manifest, OptionKind, OptionSpec, Path, Plug, Setting, Sink, Source, State, Tag,
};
use serde::Deserialize;
use tokio::sync::watch;

use crate::client::{Client, Item, Refusal};

/// Items that are asked for at once.
const PAGE_ITEMS: usize = 1_000;

// --- options
/// What stands in `[services.NAME]`.
#[derive(Deserialize)]
pub struct Options {
    shelf: String,
}

/// What the driver can do: little. The engine works around the rest.
const ABILITIES: Abilities = Abilities {
    rename: false,
    mtime: false,
    executable: false,
    directories: false,
    symlinks: false,
    tag_survives_rename: false,
    exact_names: true,
    trash: false,
};

fn manifest() -> Manifest {
    Manifest {
        name: "shelf".to_owned(),
        description: "A shelf, the example of the guide".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: onitu_plug::PROTOCOL_VERSION,
        options: vec![OptionSpec {
            name: "shelf".to_owned(),
            kind: OptionKind::File,
            required: true,
            default: None,
            help: "The shelf's file.".to_owned(),
        }],
        abilities: ABILITIES,
    }
}
// --- words
/// The one place where the service's refusals become faults.
fn fault(name: &str, refusal: Refusal) -> Fault {
    match refusal {
        Refusal::NoShelf => Fault::new(
            FaultKind::Unavailable,
            format!("there is no shelf `{name}`: build it, or correct `shelf`"),
        ),
        Refusal::Conflict => {
            Fault::new(FaultKind::Changed, format!("`{name}` has another version"))
        }
        Refusal::NoUpload => {
            Fault::new(FaultKind::Unavailable, format!("the upload of `{name}` was forgotten"))
        }
        Refusal::Full => Fault::new(FaultKind::Full, format!("no room for `{name}`")),
    }
}

fn refused(path: &Path, kind: FaultKind) -> Fault {
    Fault::new(kind, format!("`{path}` is not what was expected ({kind:?})"))
}

fn unsupported(message: &str) -> Fault {
    Fault::new(FaultKind::Unsupported, message)
}

/// A version identifies a state, so its hash is the tag.
fn tag_of(version: u64) -> Tag {
    Tag::of(&version.to_le_bytes())
}

fn file(size: u64, version: u64) -> State {
    // Neither mtime nor executable bit; the checksum is found out by whoever reads.
    let content = Content { kind: Kind::File, size, ..Content::DIRECTORY };
    State { content, tag: tag_of(version) }
}

/// All directories are alike: keys have a prefix in common, that is all.
fn directory() -> State {
    State { content: Content::DIRECTORY, tag: Tag::of(b"directory") }
}

fn prefix(path: &Path) -> String {
    if path.is_root() { String::new() } else { format!("{path}/") }
}

/// Whether the path belongs to Onitu itself, wherever it came from.
fn is_own(path: &Path) -> bool {
    path.as_str().split('/').next() == Some(".onitu")
}

fn found(prefix: &str, item: Item) -> Option<Found> {
    let (key, state) = match item {
        Item::Key(key, size, version) => (key, file(size, version)),
        Item::Prefix(key) => (key, directory()),
    };
    let name = key.strip_prefix(prefix).unwrap_or(&key).to_owned();
    match Path::new(&key) {
        Ok(path) if is_own(&path) => None,
        Ok(_) => Some(Found::Entry { name, state }),
        Err(error) => {
            let fault = Fault::new(FaultKind::InvalidName, error.to_string());
            Some(Found::Problem { name, fault })
        }
    }
}

/// Says that there is no watch any more, however it ended.
struct Unset<'a>(&'a watch::Sender<Option<u64>>);

impl Drop for Unset<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}
// --- plug
/// One connected shelf.
pub struct Shelf {
    client: Client,
    /// Up to which change the watch has told; nothing while there is no watch.
    told: watch::Sender<Option<u64>>,
}

impl Plug for Shelf {
    type Options = Options;
    type Source = ShelfSource;
    type Sink = ShelfSink;

    fn manifest() -> Manifest {
        manifest()
    }

    async fn connect(options: Options, _: Setting) -> Result<Self, Fault> {
        let client = Client::open(&options.shelf).map_err(|it| fault(&options.shelf, it))?;
        Ok(Self { client, told: watch::Sender::new(None) })
    }

    async fn check(&self) -> Result<(), Fault> {
        Ok(())
    }
    // --- watch
    async fn watch(&self, hints: Hints) -> Result<(), Fault> {
        let mut cursor = self.client.cursor();
        self.told.send_replace(Some(cursor));
        let _unset = Unset(&self.told);
        loop {
            let (keys, reached) = self.client.changes(cursor).await;
            match keys {
                Some(keys) => {
                    let paths = keys.iter().filter_map(|key| Path::new(key).ok());
                    hints.tell_all(paths.map(|path| (path, Hint::Changed)));
                }
                None => hints.rescan("the service forgot some changes"),
            }
            cursor = reached;
            self.told.send_replace(Some(cursor));
        }
    }

    async fn settle(&self) -> Result<(), Fault> {
        let now = self.client.cursor();
        let mut told = self.told.subscribe();
        let settled = told.wait_for(|told| told.is_none_or(|told| told >= now)).await;
        settled.map(drop).map_err(|_| unsupported("the watch is gone"))
    }
    // --- look
    async fn list(&self, directory: &Path, listing: Listing) -> Result<(), Fault> {
        match self.look(directory).await? {
            Some(state) if state.content.kind == Kind::Directory => {}
            Some(_) => return Err(refused(directory, FaultKind::NotADirectory)),
            None => return Err(refused(directory, FaultKind::NotFound)),
        }
        let prefix = prefix(directory);
        let mut from = Some(String::new());
        while let Some(begin) = from {
            let (items, next) = self.client.list(&prefix, &begin, PAGE_ITEMS);
            let page = items.into_iter().filter_map(|item| found(&prefix, item)).collect();
            let sent = listing.send(page).await;
            sent.map_err(|_| Fault::new(FaultKind::Cancelled, "nobody reads the listing"))?;
            from = next;
        }
        Ok(())
    }

    async fn look(&self, path: &Path) -> Result<Option<State>, Fault> {
        if is_own(path) {
            return Ok(None);
        }
        if let Some((size, version)) = self.client.head(path.as_str()) {
            return Ok(Some(file(size, version)));
        }
        let holds_something = !self.client.list(&prefix(path), "", 1).0.is_empty();
        Ok((path.is_root() || holds_something).then(directory))
    }
    // --- read
    async fn read(&self, path: &Path, tag: Tag, offset: u64) -> Result<ShelfSource, Fault> {
        let head = self.client.head(path.as_str());
        let (size, version) = head
            .filter(|(_, version)| tag_of(*version) == tag)
            .ok_or_else(|| refused(path, FaultKind::Changed))?;
        Ok(ShelfSource { client: self.client.clone(), path: path.clone(), size, version, offset })
    }
    // --- write
    async fn write(&self, path: &Path, content: &Content, _: u64) -> Result<ShelfSink, Fault> {
        if is_own(path) || path.is_root() {
            return Err(refused(path, FaultKind::InvalidName));
        }
        if content.kind != Kind::File {
            return Err(unsupported("a shelf keeps nothing but files"));
        }
        let upload = self.client.begin();
        Ok(ShelfSink { client: self.client.clone(), path: path.clone(), upload })
    }

    async fn remove(&self, path: &Path, expect: Tag) -> Result<(), Fault> {
        match self.look(path).await? {
            None => Ok(()),
            Some(state) if state.tag != expect => Err(refused(path, FaultKind::Changed)),
            Some(state) if state.content.kind == Kind::Directory => {
                Err(refused(path, FaultKind::NotEmpty))
            }
            Some(_) => {
                let version = self.client.head(path.as_str()).map(|it| it.1);
                let version = version.filter(|version| tag_of(*version) == expect);
                let version = version.ok_or_else(|| refused(path, FaultKind::Changed))?;
                self.client.delete(path.as_str(), version).map_err(|it| fault(path.as_str(), it))
            }
        }
    }
    // --- what it can't
    async fn make_directory(&self, _: &Path, _: Option<Tag>) -> Result<State, Fault> {
        Err(unsupported("a shelf keeps no empty directories"))
    }

    async fn set_attributes(&self, _: &Path, _: Tag, _: &Content) -> Result<State, Fault> {
        Err(unsupported("a shelf keeps no attributes"))
    }

    async fn rename(&self, _: &Path, _: Tag, _: &Path, _: Option<Tag>) -> Result<State, Fault> {
        Err(unsupported("a shelf can't rename"))
    }
}
// --- source
/// Reads one version of one key.
pub struct ShelfSource {
    client: Client,
    path: Path,
    size: u64,
    version: u64,
    offset: u64,
}

impl Source for ShelfSource {
    fn content(&self) -> Content {
        file(self.size, self.version).content
    }

    async fn next(&mut self, max: u32) -> Result<Bytes, Fault> {
        let chunk = self.client.get(self.path.as_str(), self.version, self.offset, max);
        let chunk = chunk.map_err(|it| fault(self.path.as_str(), it))?;
        self.offset += chunk.len() as u64;
        Ok(chunk)
    }
}
// --- sink
/// An upload that nobody sees until it is complete.
pub struct ShelfSink {
    client: Client,
    path: Path,
    upload: u64,
}

impl Sink for ShelfSink {
    async fn resumed(&mut self) -> Result<(u64, Hasher), Fault> {
        Ok((0, Hasher::default()))
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.client.upload(self.upload, &bytes).map_err(|it| fault(self.path.as_str(), it))
    }

    async fn place(self, content: Content, expect: Option<Tag>) -> Result<State, Fault> {
        let mut parent = self.path.parent();
        while let Some(path) = parent {
            if self.client.head(path.as_str()).is_some() {
                return Err(refused(&path, FaultKind::NotADirectory));
            }
            parent = path.parent();
        }
        if !self.client.list(&prefix(&self.path), "", 1).0.is_empty() {
            let expected = expect == Some(directory().tag);
            let kind = if expected { FaultKind::NotEmpty } else { FaultKind::Changed };
            return Err(refused(&self.path, kind));
        }
        // The version whose tag is expected; the service refuses if it is another one by then.
        let standing = self.client.head(self.path.as_str()).map(|it| it.1);
        if standing.map(tag_of) != expect {
            return Err(refused(&self.path, FaultKind::Changed));
        }
        let placed = self.client.complete(self.upload, self.path.as_str(), standing);
        placed
            .map(|version| file(content.size, version))
            .map_err(|it| fault(self.path.as_str(), it))
    }

    async fn discard(self) {}
}

impl Drop for ShelfSink {
    fn drop(&mut self) {
        self.client.abort(self.upload);
    }
}
