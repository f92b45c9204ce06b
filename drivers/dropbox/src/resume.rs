//! What is remembered of large uploads, so that they go on after a crash: a small file each, in the
//! driver's own directory.
//!
//! Dropbox keeps the bytes of a session for seven days and doesn't show them to anybody; it can't
//! be told to forget them earlier. What is older is thrown away here too.

use std::path::PathBuf;

use onitu_plug::{Checksum, Hasher, Path, clock};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::hash::{ContentHash, hex, unhex};

/// For so long Dropbox keeps a session, less a margin.
const LIFE_MS: u64 = 6 * 24 * 60 * 60 * 1000;

/// How far an upload is.
#[derive(Clone)]
pub(crate) struct Progress {
    /// The session at Dropbox.
    pub(crate) session: String,
    /// So many bytes are there.
    pub(crate) sent: u64,
    /// Whether those are all of them.
    pub(crate) is_closed: bool,
    /// Of those bytes.
    pub(crate) hash: ContentHash,
    /// Of those bytes.
    pub(crate) checksum: Hasher,
}

#[derive(Serialize, Deserialize)]
struct Written {
    session: String,
    sent: u64,
    is_closed: bool,
    hash: String,
    checksum: String,
    at_ms: u64,
}

/// Where all of a service's uploads are remembered.
pub(crate) struct Uploads {
    directory: Option<PathBuf>,
    /// Tells the services from each other that have one token.
    whose: String,
}

/// Where one upload is remembered, if it is.
#[derive(Clone)]
pub(crate) struct Memory(Option<PathBuf>);

impl Uploads {
    /// In the driver's own directory; nothing is remembered without one.
    pub(crate) fn new(state_dir: Option<&std::path::Path>, whose: String) -> Self {
        Self { directory: state_dir.map(|it| it.join("uploads")), whose }
    }

    /// The memory of the upload of `path` under a key.
    pub(crate) fn memory(&self, path: &Path, resume: u64) -> Memory {
        let key = format!("{}\0{path}\0{resume}", self.whose);
        let name = format!("{}.json", Checksum::of(key.as_bytes()));
        Memory(self.directory.as_ref().map(|directory| directory.join(name)))
    }

    /// Throws away what is too old to be taken up.
    pub(crate) async fn tend(&self) {
        let Some(directory) = self.directory.clone() else { return };
        // What can't be thrown away does no harm.
        let _ = spawn_blocking(move || {
            let Ok(entries) = std::fs::read_dir(directory) else { return };
            for entry in entries.flatten() {
                if read(&entry.path()).is_none() {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        })
        .await;
    }
}

/// What is written there; nothing that is too old.
fn read(path: &std::path::Path) -> Option<Written> {
    let written: Written = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    (clock::now_ms().saturating_sub(written.at_ms) < LIFE_MS).then_some(written)
}

impl Memory {
    /// Of an upload that isn't worth one.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// What was remembered.
    pub(crate) async fn load(&self) -> Option<Progress> {
        let path = self.0.clone()?;
        let written = spawn_blocking(move || read(&path)).await.ok()??;
        Some(Progress {
            hash: ContentHash::load(&written.hash)?,
            checksum: Hasher::resume(&unhex(&written.checksum)?)?,
            session: written.session,
            sent: written.sent,
            is_closed: written.is_closed,
        })
    }

    /// Remembers. An upload that can't be remembered begins anew after a crash, and that is all.
    pub(crate) async fn save(&self, progress: &Progress) {
        let Some(path) = self.0.clone() else { return };
        let written = Written {
            session: progress.session.clone(),
            sent: progress.sent,
            is_closed: progress.is_closed,
            hash: progress.hash.save(),
            checksum: hex(&progress.checksum.state()),
            at_ms: clock::now_ms(),
        };
        let Ok(text) = serde_json::to_vec(&written) else { return };
        let _ = spawn_blocking(move || write(&path, &text)).await;
    }

    /// Forgets.
    pub(crate) async fn forget(&self) {
        let Some(path) = self.0.clone() else { return };
        let _ = spawn_blocking(move || std::fs::remove_file(path)).await;
    }
}

/// Replaces the file in one step. A session's name is no secret without the token.
fn write(path: &std::path::Path, text: &[u8]) -> std::io::Result<()> {
    let part = path.with_extension("part");
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&part, text)?;
    std::fs::rename(part, path)
}
