//! Reads a whole storage through its driver, after Onitu has stopped.

use std::path::{Path as File, PathBuf};

use onitu_plug::{Abilities, Found, Kind, Path, Plug, Setting};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::promise::Broken;
use crate::remote::Remote;
use crate::through;

/// Brings everything that the storage holds to the folder `to`; tells what the driver can do. It
/// connects as the Onitu did whose `state_dir` that is: to another one the storage may be closed.
///
/// # Errors
/// When something can't be read, or isn't one of the things that Onitu keeps.
pub(super) async fn read_back(
    options: Map<String, Value>,
    state_dir: PathBuf,
    to: &File,
) -> Result<Abilities, Broken> {
    let setting = Setting {
        service: "subject".to_owned(),
        known: true,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: Some(state_dir),
    };
    let remote = Remote::connect(Value::Object(options), setting).await?;
    let mut waiting = vec![Path::root()];
    while let Some(directory) = waiting.pop() {
        std::fs::create_dir_all(to.join(directory.as_str())).map_err(wrong)?;
        for found in list(&remote, &directory).await? {
            let Found::Entry { name, .. } = found else {
                return Err(Broken::new(format!("in `{directory}` is a problem: {found:?}")));
            };
            let path = directory.join(&name).map_err(|error| Broken::new(error.to_string()))?;
            let Some(state) = remote.look(&path).await? else {
                return Err(Broken::new(format!("`{path}` is listed, but nothing is there")));
            };
            if state.content.kind == Kind::Directory {
                waiting.push(path);
                continue;
            }
            let bytes = through::read(&remote, &path, &state).await?;
            let file = to.join(path.as_str());
            if state.content.kind == Kind::Symlink {
                let target = String::from_utf8_lossy(&bytes).into_owned();
                std::os::unix::fs::symlink(target, file).map_err(wrong)?;
                continue;
            }
            std::fs::write(&file, bytes).map_err(wrong)?;
            set_executable(&file, state.content.executable)?;
        }
    }
    Ok(remote.abilities())
}

async fn list(remote: &Remote, directory: &Path) -> Result<Vec<Found>, Broken> {
    let (sender, mut pages) = mpsc::channel(1);
    let read = async {
        let mut all = Vec::new();
        while let Some(page) = pages.recv().await {
            all.extend(page);
        }
        all
    };
    let (listed, all) = tokio::join!(remote.list(directory, sender), read);
    listed?;
    Ok(all)
}

pub(super) fn set_executable(file: &File, executable: bool) -> Result<(), Broken> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).map_err(wrong)
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
#[track_caller]
fn wrong(error: std::io::Error) -> Broken {
    Broken::new(format!("the suite's own disk: {error}"))
}
