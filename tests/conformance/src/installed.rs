//! The subject of a driver that is installed as a program: its options come from the command line.
//!
//! Where they name `{folder}`, the storage is a folder of this machine and its user edits the
//! files; else the second hand is a second connection of the driver itself.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use onitu_plug::{Fault, FaultKind, Path, Plug, Setting};
use serde_json::{Map, Value};

use crate::remote::{self, Process, Remote};
use crate::subject::{Door, Subject};
use crate::through;
use crate::yard::Yard;

/// Stands for a fresh folder of this machine.
pub const FOLDER: &str = "{folder}";
/// Stands for a fresh name.
pub const FRESH: &str = "{fresh}";

/// How a fresh storage is made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    /// The driver's options; texts may hold [`FOLDER`] and [`FRESH`].
    pub options: Map<String, Value>,
    /// A command for `sh` that makes a storage, with the same placeholders.
    pub prepare: Option<String>,
    /// The user edits the folder; else what is in it is the driver's own.
    pub edits_folder: bool,
}

static TEMPLATE: OnceLock<Template> = OnceLock::new();

/// Says how storages are made, for the whole of this process.
///
/// # Errors
/// When it was said before.
pub fn install(template: Template) -> Result<(), Fault> {
    let twice = |_| Fault::new(FaultKind::Bug, "it was said before how storages are made");
    TEMPLATE.set(template).map_err(twice)
}

/// One storage, and the process of the driver that serves all its connections.
pub struct Installed {
    storage: Result<Storage, Fault>,
    process: Result<Arc<Process>, Fault>,
    /// The second connection: kept, since opening one may be dear where there are thousands of edits.
    hand: tokio::sync::OnceCell<Remote>,
}

/// A storage of its own, made by a [`Template`]. What is no folder stays when this is dropped.
#[derive(Debug)]
pub struct Storage {
    yard: Yard,
    fresh: String,
    options: Map<String, Value>,
    edits_folder: bool,
}

impl Storage {
    /// Makes a fresh one.
    ///
    /// # Errors
    /// When there is no room for its folder, or the command failed; with what it said.
    pub fn make(template: &Template) -> Result<Self, Fault> {
        let wrong = |text: String| Fault::new(FaultKind::Bug, text);
        let yard = Yard::make(&std::env::temp_dir())
            .map_err(|error| wrong(format!("no temporary folder: {error}")))?;
        let (edits_folder, options) = (template.edits_folder, Map::new());
        let mut storage = Self { yard, fresh: fresh_name(), options, edits_folder };
        storage.options = storage.filled(&template.options);
        if let Some(command) = &template.prepare {
            prepare(&storage.fill(command)).map_err(wrong)?;
        }
        Ok(storage)
    }

    fn fill(&self, text: &str) -> String {
        let folder = self.yard.root().display().to_string();
        text.replace(FOLDER, &folder).replace(FRESH, &self.fresh)
    }

    /// Options with the placeholders filled in.
    pub fn filled(&self, options: &Map<String, Value>) -> Map<String, Value> {
        let filled = options.iter().map(|(name, value)| match value {
            Value::String(text) => (name.clone(), Value::String(self.fill(text))),
            other => (name.clone(), other.clone()),
        });
        filled.collect()
    }

    /// The driver's options for it.
    pub fn options(&self) -> &Map<String, Value> {
        &self.options
    }

    /// Leaves it where it is when this is dropped; tells where that is, if it is a folder.
    pub fn keep(&mut self) -> Option<std::path::PathBuf> {
        self.yard.keep();
        self.folder()
    }

    /// The folder in which its user edits, if that is how it is edited.
    pub fn folder(&self) -> Option<std::path::PathBuf> {
        self.edits_folder.then(|| self.yard.root())
    }
}

/// Fit for a bucket, a directory or a prefix, and nobody else's.
fn fresh_name() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let now_ms = onitu_plug::clock::now_ms();
    format!("onitu-test-{now_ms:x}-{}-{number}", std::process::id())
}

fn prepare(command: &str) -> Result<(), String> {
    let output = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`sh` can't be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("`{command}` failed ({}): {said}", output.status))
}

impl Installed {
    fn storage(&self) -> Result<&Storage, Fault> {
        self.storage.as_ref().map_err(Clone::clone)
    }

    /// The folder that the user edits, if there is one.
    fn yard(&self) -> Option<&Yard> {
        let storage = self.storage.as_ref().ok()?;
        storage.edits_folder.then_some(&storage.yard)
    }

    /// A second connection, for edits where there is no other way.
    async fn hand(&self) -> Result<&Remote, Fault> {
        self.hand.get_or_try_init(|| self.second()).await
    }

    /// Some storages let only the Onitu in that works there already, which is known by its state
    /// directory; some drivers let only one connection use such a directory.
    async fn second(&self) -> Result<Remote, Fault> {
        match self.connect(true).await {
            Err(fault) if fault.kind == FaultKind::Unavailable => {
                let state = self.storage()?.yard.other_state();
                let made = state.map_err(|error| Fault::new(FaultKind::Bug, error.to_string()));
                self.connect_with(true, made?).await
            }
            connected => connected,
        }
    }

    async fn connect_with(&self, known: bool, state: PathBuf) -> Result<Remote, Fault> {
        let storage = self.storage()?;
        let options = Value::Object(storage.options.clone());
        let process = self.process.as_ref().map_err(Clone::clone)?;
        let setting = Setting {
            service: "conformance".to_owned(),
            known,
            trash_days: 30,
            trash_size_bytes: None,
            state_dir: Some(state),
        };
        Remote::over(process, options, setting).await
    }
}

impl Subject for Installed {
    type Plug = Remote;

    async fn fresh() -> Self {
        let template = TEMPLATE.get().cloned().unwrap_or_default();
        let made = tokio::task::spawn_blocking(move || Storage::make(&template)).await;
        let storage =
            made.unwrap_or_else(|error| Err(Fault::new(FaultKind::Bug, error.to_string())));
        Self { storage, process: Remote::start(), hand: tokio::sync::OnceCell::new() }
    }

    fn options(&self) -> Value {
        let storage = self.storage.as_ref();
        Value::Object(storage.map(|storage| storage.options.clone()).unwrap_or_default())
    }

    async fn takes(&self, options: Value) -> bool {
        match &self.process {
            Ok(process) => remote::takes(process, options).await.is_ok(),
            Err(_) => false,
        }
    }

    async fn connect(&self, known: bool) -> Result<Remote, Fault> {
        self.connect_with(known, self.storage()?.yard.state()).await
    }

    fn has_door(&self) -> bool {
        self.yard().is_some()
    }

    async fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        match self.yard() {
            Some(yard) => yard.write(path, bytes),
            None => through::write(self.hand().await?, path, bytes).await,
        }
    }

    async fn append(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        match self.yard() {
            Some(yard) => yard.append(path, bytes),
            None => through::append(self.hand().await?, path, bytes).await,
        }
    }

    async fn remove(&self, path: &Path) -> Result<(), Fault> {
        match self.yard() {
            Some(yard) => yard.remove(path),
            None => through::remove(self.hand().await?, path).await,
        }
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        match self.yard() {
            Some(yard) => yard.rename(from, to),
            None => through::rename(self.hand().await?, from, to).await,
        }
    }

    async fn make_directory(&self, path: &Path) -> Result<(), Fault> {
        match self.yard() {
            Some(yard) => yard.make_directory(path),
            None => self.hand().await?.make_directory(path, None).await.map(drop),
        }
    }

    async fn symlink(&self, path: &Path, target: &str) -> Result<(), Fault> {
        match self.yard() {
            Some(yard) => yard.symlink(path, target),
            None => through::symlink(self.hand().await?, path, target).await,
        }
    }

    async fn set_attributes(
        &self,
        path: &Path,
        mtime_ns: i64,
        executable: bool,
    ) -> Result<(), Fault> {
        match self.yard() {
            Some(yard) => yard.set_attributes(path, mtime_ns, executable),
            None => through::set_attributes(self.hand().await?, path, mtime_ns, executable).await,
        }
    }

    async fn make_strange(&self, path: &Path) -> Result<Door, Fault> {
        self.yard().map_or(Ok(Door::None), |yard| yard.make_strange(path))
    }

    async fn make_unnameable(&self) -> Result<Door, Fault> {
        self.yard().map_or(Ok(Door::None), Yard::make_unnameable)
    }

    async fn take_away(&self) -> Result<Door, Fault> {
        self.yard().map_or(Ok(Door::None), Yard::take_away)
    }

    fn stands_again(&self) -> bool {
        self.yard().is_some_and(Yard::stands_again)
    }

    async fn bring_back(&self) -> Result<Door, Fault> {
        self.yard().map_or(Ok(Door::None), Yard::bring_back)
    }

    async fn lose_marker(&self) -> Result<Door, Fault> {
        // A driver need not leave one, nor call it like this.
        let marked = self.yard().filter(|yard| yard.root().join(".onitu").exists());
        marked.map_or(Ok(Door::None), Yard::lose_marker)
    }

    async fn trash(&self) -> Result<Option<Vec<Vec<u8>>>, Fault> {
        // Where else a driver's trash may be isn't known.
        let kept = self.yard().filter(|yard| yard.root().join(".onitu/trash").exists());
        Ok(kept.map(Yard::trash))
    }
}
